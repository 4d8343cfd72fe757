#pragma once

#include "openssl.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <sys/uio.h>

#include <memory>
#include <utility>
#include <vector>

#include "frame_cutter.h"
#include "pipe_end.h"
#include "tls_session.h"

namespace flocker {

/** What a mover receives: for JavaScript as it comes, or the stream into a pipe and the rest for JavaScript. The mover's thread's own. */
class Incoming {
 public:
  /** Puts the stream into the pipe from here on, within a DATA frame of which so much is left. */
  void Drain(std::shared_ptr<PipeEnd> sink, size_t left);
  /** Lets go of the pipe. What has arrived for it and was not taken is lost. */
  void Drop();

  /** Takes what is there; `asked`: whether JavaScript waits for bytes. Whether there was anything. */
  bool Step(TlsSession& tls, bool asked);

  /** What there is for JavaScript. */
  std::vector<char> TakeBytes() { return std::exchange(bytes_, {}); }
  bool hasBytes() const { return !bytes_.empty(); }

  bool waitsForSocket() const { return socketWaits_; }
  /** The pipe to wait for, or -1. */
  int waitsFor() const { return sinkWaits_ && sink_ ? sink_->get() : -1; }

  uint64_t moved = 0;
  /** Bytes that have arrived, of all kinds. */
  uint64_t heard = 0;
  bool ended = false;
  bool failed = false;

 private:
  bool Read(TlsSession& tls);
  bool ForJavaScript(TlsSession& tls);
  bool ForSink(TlsSession& tls);
  void Cut();
  bool Write();
  void Written(size_t count);

  std::shared_ptr<PipeEnd> sink_;
  bool draining_ = false, broken_ = false, socketWaits_ = false, sinkWaits_ = false;
  std::vector<char> in_;
  size_t at_ = 0, end_ = 0;
  FrameCutter cutter_;
  std::vector<iovec> parts_;  // for the pipe
  size_t part_ = 0;
  std::vector<char> bytes_;
};

}  // namespace flocker

#endif
