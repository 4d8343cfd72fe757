#pragma once

#include "openssl.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <deque>
#include <memory>
#include <vector>

#include "frame_cutter.h"
#include "mover_answers.h"
#include "pipe_end.h"
#include "rate_bucket.h"
#include "tls_session.h"

namespace flocker {

/** What a mover sends: what JavaScript says, and between that what comes out of a pipe, as DATA frames. The mover's thread's own. */
class Outgoing {
 public:
  explicit Outgoing(State* state) : state_(state) {}
  ~Outgoing() { Refuse(); }

  void Say(std::unique_ptr<SayAnswer> answer) { says_.push_back(std::move(answer)); }
  void Feed(std::shared_ptr<PipeEnd> source, std::shared_ptr<RateShare> share);
  /** Takes nothing more from the pipe. */
  void Drop();
  /** What was said and not sent can't be any more. */
  void Refuse();

  /** Sends what it can; whether there was anything. An error is in `error`, or the session's. */
  bool Step(TlsSession& tls, int64_t now);
  /** Whether everything has left. */
  bool empty(const TlsSession& tls) const { return says_.empty() && tls.outSize() == 0; }

  /** The pipe to wait for, or -1; how long to wait for the rest of a frame, or for what a limit allows, or -1. */
  int waitsFor() const { return sourceWaits_ && source_ ? source_->get() : -1; }
  int Milliseconds(int64_t now);

  uint64_t moved = 0;
  bool ended = false;
  bool failed = false;
  int error = 0;

 private:
  bool Fill(TlsSession& tls, int64_t now);
  void Encrypt(TlsSession& tls, const char* data, size_t size);
  void FillFromSays(TlsSession& tls);
  bool FillFromSource(TlsSession& tls, int64_t now);
  void Cut(TlsSession& tls, size_t size);
  size_t Allowed(int64_t now);
  bool Gather(int64_t now);
  bool Flush(TlsSession& tls);

  State* const state_;
  std::deque<std::unique_ptr<SayAnswer>> says_;
  size_t part_ = 0, at_ = 0;                        // of the first of them
  std::vector<std::unique_ptr<SayAnswer>> leaving_;  // encrypted, and not sent yet
  std::shared_ptr<PipeEnd> source_;
  bool sourceWaits_ = false, shareWaits_ = false;
  std::shared_ptr<RateShare> share_;  // null where there is no limit
  uint64_t allowed_ = 0;              // with a limit, and not sent yet
  std::vector<char> gathered_;
  size_t from_ = FrameCutter::kHeaderSize;  // where what is gathered begins
  size_t size_ = 0;
  int64_t until_ = 0;
};

}  // namespace flocker

#endif
