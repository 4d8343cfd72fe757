#include "outgoing.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace flocker {

namespace {

/** A frame fills its records; more at once is slower, for the caches of the processor. */
constexpr size_t kRecord = TlsSession::kRecord;
constexpr size_t kFrameSize = 4 * kRecord;
/** What is taken out of the pipe at once, if it holds so much: whoever writes to a full one is woken less often. */
constexpr size_t kReadSize = 512 * 1024;
/** What is there leaves while a small pipe, of 64 KiB, is filled again. */
constexpr size_t kEnough = 2 * kRecord;
constexpr size_t kHeader = FrameCutter::kHeaderSize;
constexpr size_t kMostData = kFrameSize - kHeader;
/** ZFS writes its records one by one. A part of a frame waits so long for the rest. */
constexpr int kGatherMilliseconds = 5;
/** A rate can be changed at any time: a limit is asked again after so long, in milliseconds. */
constexpr double kLongestDelay = 100;

}  // namespace

void Outgoing::Feed(std::shared_ptr<PipeEnd> source, std::shared_ptr<RateShare> share) {
  source_ = std::move(source);
  share_ = std::move(share);
  gathered_.resize(kHeader + kReadSize);
}

void Outgoing::Drop() {
  source_.reset();
  if (share_) share_->Leave(allowed_ - size_, 0);
  share_.reset();
  allowed_ = 0;
}

void Outgoing::Refuse() {
  for (auto& answer : says_) leaving_.push_back(std::move(answer));
  says_.clear();
  for (auto& answer : leaving_) {
    answer->Refuse();
    state_->Post(std::move(answer));
  }
  leaving_.clear();
}

bool Outgoing::Step(TlsSession& tls, int64_t now) {
  bool filled = tls.outSize() == 0 && Fill(tls, now);
  bool flushed = !failed && tls.outSize() > 0 && Flush(tls);
  return filled || flushed;
}

bool Outgoing::Fill(TlsSession& tls, int64_t now) {
  sourceWaits_ = shareWaits_ = false;
  if (!says_.empty()) {
    FillFromSays(tls);
    return true;
  }
  return source_ != nullptr && FillFromSource(tls, now);
}

void Outgoing::Encrypt(TlsSession& tls, const char* data, size_t size) {
  if (!tls.Write(data, size)) failed = true;
}

/** As much of what was said as one frame would be. */
void Outgoing::FillFromSays(TlsSession& tls) {
  size_t left = kFrameSize;
  while (left > 0 && !says_.empty() && !failed) {
    const auto& parts = says_.front()->parts();
    if (part_ == parts.size()) {
      leaving_.push_back(std::move(says_.front()));
      says_.pop_front();
      part_ = at_ = 0;
      continue;
    }
    size_t size = std::min(left, parts[part_].iov_len - at_);
    Encrypt(tls, static_cast<const char*>(parts[part_].iov_base) + at_, size);
    left -= size;
    at_ += size;
    if (at_ < parts[part_].iov_len) continue;
    part_ += 1;
    at_ = 0;
  }
}

bool Outgoing::FillFromSource(TlsSession& tls, int64_t now) {
  bool read = Gather(now);
  bool whole = size_ >= kMostData || (share_ && size_ == allowed_) || ended || now >= until_;
  if (size_ > 0 && whole) {
    Cut(tls, std::min(size_, kMostData));
    read = true;
  } else if (kHeader + size_ >= kEnough) {
    Cut(tls, (kHeader + size_) / kRecord * kRecord - kHeader);
    read = true;
  }
  if (ended) Drop();
  return read;
}

/** A frame of the first bytes of what is gathered. Its header takes the place of what has left. */
void Outgoing::Cut(TlsSession& tls, size_t size) {
  char* frame = gathered_.data() + from_ - kHeader;
  FrameCutter::PutHeader(frame, FrameCutter::kData, static_cast<uint32_t>(size));
  Encrypt(tls, frame, kHeader + size);
  moved += size;
  if (share_) allowed_ -= size;
  from_ += size;
  size_ -= size;
}

/** How much may be gathered. */
size_t Outgoing::Allowed(int64_t now) {
  if (!share_) return kReadSize;
  if (allowed_ == size_ && size_ < kMostData) allowed_ += share_->Take(kMostData - size_, now);
  shareWaits_ = allowed_ == 0;
  return std::min<uint64_t>(kMostData, allowed_);
}

/** Reads as much as is there and fits, if what is gathered fills no frame; whether there was anything new. */
bool Outgoing::Gather(int64_t now) {
  if (size_ < kMostData && from_ > kHeader) {
    memmove(gathered_.data() + kHeader, gathered_.data() + from_, size_);
    from_ = kHeader;
  }
  bool any = false;
  while (size_ < kMostData) {
    size_t most = Allowed(now);
    if (size_ >= most) break;
    ssize_t count = read(source_->get(), gathered_.data() + from_ + size_, most - size_);
    if (count > 0) {
      if (size_ == 0) until_ = now + kGatherMilliseconds;
      size_ += count;
      any = true;
      continue;
    }
    if (count == 0) ended = true;
    else if (errno == EAGAIN) sourceWaits_ = true;
    else {
      failed = true;
      error = errno;
    }
    return any || ended;
  }
  return any;
}

int Outgoing::Milliseconds(int64_t now) {
  if (source_ == nullptr) return -1;
  if (shareWaits_) return static_cast<int>(std::min(kLongestDelay, std::ceil(std::max(1.0, share_->Delay(now)))));
  return size_ == 0 ? -1 : static_cast<int>(std::max<int64_t>(0, until_ - now));
}

bool Outgoing::Flush(TlsSession& tls) {
  int errorOfSocket = tls.Flush();
  if (errorOfSocket != 0) {
    failed = errorOfSocket != EAGAIN;
    if (failed) error = errorOfSocket;
    return false;
  }
  if (tls.outSize() > 0) return true;
  for (auto& answer : leaving_) state_->Post(std::move(answer));
  leaving_.clear();
  return true;
}

}  // namespace flocker

#endif
