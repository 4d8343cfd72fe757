#include "incoming.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>

namespace flocker {

namespace {

/** What is decrypted before it goes on. */
constexpr size_t kReadSize = 64 * 1024;
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
  draining_ = false;
}

bool Incoming::Step(TlsSession& tls, bool asked) {
  socketWaits_ = sinkWaits_ = false;
  if (draining_) return ForSink(tls);
  return asked && bytes_.empty() && ForJavaScript(tls);
}

bool Incoming::Read(TlsSession& tls) {
  if (in_.empty()) in_.resize(kReadSize);
  at_ = end_ = 0;
  switch (tls.Read(in_.data(), in_.size(), &end_)) {
    case TlsSession::Result::kDone:
      heard += end_;
      return true;
    case TlsSession::Result::kAgain:
      socketWaits_ = true;
      return false;
    case TlsSession::Result::kEnded:
      ended = true;
      return true;
    case TlsSession::Result::kFailed:
      failed = true;
      return true;
  }
  return false;
}

bool Incoming::ForJavaScript(TlsSession& tls) {
  if (at_ == end_ && (ended || failed || !Read(tls))) return false;
  bytes_.assign(in_.begin() + at_, in_.begin() + end_);
  at_ = end_ = 0;
  return true;
}

bool Incoming::ForSink(TlsSession& tls) {
  if (part_ < parts_.size()) return Write();
  if (at_ == end_ && (ended || failed || bytes_.size() >= kMostBytes || !Read(tls))) return false;
  Cut();
  return true;
}

/** Cuts what was read, up to what must wait until the parts of the stream before it are in the pipe. */
void Incoming::Cut() {
  parts_.clear();
  part_ = 0;
  while (at_ < end_ && (parts_.empty() || cutter_.atData()) && bytes_.size() < kMostBytes) {
    size_t used = 0;
    FrameCutter::Piece piece = cutter_.Next(in_.data() + at_, end_ - at_, &used);
    at_ += used;
    if (piece.kind == FrameCutter::Piece::kOther) bytes_.insert(bytes_.end(), piece.data, piece.data + piece.size);
    if (piece.kind == FrameCutter::Piece::kData) parts_.push_back({const_cast<char*>(piece.data), piece.size});
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
