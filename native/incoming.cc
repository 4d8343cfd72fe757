#include "incoming.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>

namespace flocker {

namespace {

/** What leaves at once: whoever reads from the pipe is woken less often. Less than that waits so long for more, if more seems to come. */
constexpr size_t kBlockSize = 256 * 1024;
constexpr int kGatherMilliseconds = 2;
/** What JavaScript is given at once. */
constexpr size_t kPieceSize = 64 * 1024;
/** How much may wait for JavaScript where the stream itself doesn't go there. */
constexpr size_t kMostBytes = FrameCutter::kHeaderSize + FrameCutter::kMostOther;

}  // namespace

void Incoming::Drain(std::shared_ptr<PipeEnd> sink, size_t left) {
  sink_ = std::move(sink);
  draining_ = true;
  broken_ = false;
  cutter_.Begin(left);
}

void Incoming::Drop() {
  sink_.reset();
  parts_.clear();
  part_ = 0;
  draining_ = socketWaits_ = sinkWaits_ = false;
}

bool Incoming::Step(TlsSession& tls, bool asked, int64_t now) {
  socketWaits_ = sinkWaits_ = false;
  if (draining_) return ForSink(tls, now);
  return asked && bytes_.empty() && ForJavaScript(tls, now);
}

/** Fills a block further, up to so much. Whether there was anything. */
bool Incoming::Read(TlsSession& tls, size_t most, int64_t now) {
  Block& block = filling_;
  if (last_ != TlsSession::Result::kDone || block.end >= most) return false;
  if (block.bytes.empty()) block.bytes.resize(kBlockSize);
  size_t count = 0;
  auto result = tls.Read(block.bytes.data() + block.end, most - block.end, &count);
  socketWaits_ = result == TlsSession::Result::kAgain;
  if (socketWaits_) return false;
  if (block.end == 0) until_ = now + kGatherMilliseconds;
  block.end += count;
  last_ = result;
  return true;
}

/** Whether what was filled may leave. A sender that has more fills its records. */
bool Incoming::Ripe(int64_t now) const {
  bool more = last_ == TlsSession::Result::kDone && filling_.end % TlsSession::kRecord == 0;
  return !more || filling_.end == kBlockSize || now >= until_;
}

/** Has what was filled leave, where all before it has left; whether there was anything. */
bool Incoming::Swap() {
  if (filling_.empty()) {
    ended = last_ == TlsSession::Result::kEnded;
    failed = last_ == TlsSession::Result::kFailed;
    return false;
  }
  std::swap(leaving_, filling_);
  filling_.at = filling_.end = 0;
  return true;
}

bool Incoming::waitsForJavaScript() const { return bytes_.size() >= kMostBytes; }

int Incoming::Milliseconds(int64_t now) const {
  bool waits = socketWaits_ && !filling_.empty() && leaving_.empty() && written() && !waitsForJavaScript();
  return waits ? static_cast<int>(std::max<int64_t>(0, until_ - now)) : -1;
}

bool Incoming::ForJavaScript(TlsSession& tls, int64_t now) {
  if (leaving_.empty()) {
    bool read = Read(tls, kPieceSize, now);
    if (!Swap()) return read;
  }
  bytes_.assign(leaving_.bytes.begin() + leaving_.at, leaving_.bytes.begin() + leaving_.end);
  leaving_.at = leaving_.end;
  return true;
}

bool Incoming::ForSink(TlsSession& tls, int64_t now) {
  bool read = Read(tls, kBlockSize, now);
  if (!written()) return Write() || read;
  if (waitsForJavaScript()) return read;
  if (leaving_.empty() && !(Ripe(now) && Swap())) return read;
  Cut();
  return true;
}

/** Cuts what leaves, up to the first that is no part of the stream and comes after one. */
void Incoming::Cut() {
  parts_.clear();
  part_ = 0;
  Block& block = leaving_;
  while (!block.empty() && !waitsForJavaScript()) {
    size_t used = 0;
    FrameCutter::Piece piece = cutter_.Next(block.bytes.data() + block.at, block.end - block.at, &used);
    block.at += used;
    if (piece.kind == FrameCutter::Piece::kData) parts_.push_back({const_cast<char*>(piece.data), piece.size});
    if (piece.kind != FrameCutter::Piece::kOther) continue;
    bytes_.insert(bytes_.end(), piece.data, piece.data + piece.size);
    if (!parts_.empty()) return;
  }
}

bool Incoming::Write() {
  if (broken_) {
    size_t left = 0;
    for (size_t i = part_; i < parts_.size(); i++) left += parts_[i].iov_len;
    Written(left);
    return true;
  }
  int count = static_cast<int>(std::min<size_t>(parts_.size() - part_, IOV_MAX));
  ssize_t written = writev(sink_->get(), &parts_[part_], count);
  if (written >= 0) {
    Written(written);
    return true;
  }
  if (errno == EAGAIN) {
    sinkWaits_ = true;
    return false;
  }
  // Whoever read has had enough, or has failed, and says so himself.
  broken_ = true;
  return true;
}

void Incoming::Written(size_t count) {
  moved += count;
  while (part_ < parts_.size() && count >= parts_[part_].iov_len) count -= parts_[part_++].iov_len;
  if (part_ == parts_.size()) return;
  parts_[part_].iov_base = static_cast<char*>(parts_[part_].iov_base) + count;
  parts_[part_].iov_len -= count;
}

}  // namespace flocker

#endif
