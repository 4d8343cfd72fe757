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
  bool Step(TlsSession& tls, bool asked, int64_t now);

  /** What there is for JavaScript, once what came before it is in the pipe. */
  bool hasBytes() const { return !bytes_.empty() && written(); }
  std::vector<char> TakeBytes() { return hasBytes() ? std::exchange(bytes_, {}) : std::vector<char>(); }

  bool waitsForSocket() const { return socketWaits_; }
  /** The pipe to wait for, or -1; how long to wait for more that can go there at once, or -1. */
  int waitsFor() const { return sinkWaits_ && sink_ ? sink_->get() : -1; }
  int Milliseconds(int64_t now) const;

  uint64_t moved = 0;
  bool ended = false;
  bool failed = false;

 private:
  /** What was decrypted, up to `end`; up to `at` it has been cut. */
  struct Block {
    std::vector<char> bytes;
    size_t at = 0, end = 0;
    bool empty() const { return at == end; }
  };

  bool Read(TlsSession& tls, size_t most, int64_t now);
  bool Ripe(int64_t now) const;
  bool Swap();
  bool ForJavaScript(TlsSession& tls, int64_t now);
  bool ForSink(TlsSession& tls, int64_t now);
  bool written() const { return part_ == parts_.size(); }
  bool waitsForJavaScript() const;
  void Cut();
  bool Write();
  void Written(size_t count);

  std::shared_ptr<PipeEnd> sink_;
  bool draining_ = false, broken_ = false, socketWaits_ = false, sinkWaits_ = false;
  // One is filled while the other leaves.
  Block filling_, leaving_;
  int64_t until_ = 0;                                    // when what was filled leaves as it is
  TlsSession::Result last_ = TlsSession::Result::kDone;  // kEnded or kFailed: behind what was filled nothing comes
  FrameCutter cutter_;
  std::vector<iovec> parts_;  // of what leaves, for the pipe
  size_t part_ = 0;
  std::vector<char> bytes_;
};

}  // namespace flocker

#endif
