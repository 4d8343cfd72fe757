#include "mover_orders.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <errno.h>
#include <sys/eventfd.h>

#include <utility>

namespace flocker {

int MoverOrders::Open() {
  wake_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return wake_ ? 0 : errno;
}

template <typename Change>
bool MoverOrders::Order(Change change) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return false;
  change(batch_);
  eventfd_write(wake_.get(), 1);
  return true;
}

void MoverOrders::Ask(std::unique_ptr<NewsAnswer> answer, bool bytes) {
  bool taken = Order([&](Batch& batch) {
    batch.asked = std::move(answer);
    batch.wanted = bytes;
  });
  if (taken) return;
  answer->news = ending_;
  state_->Post(std::move(answer));
}

void MoverOrders::Want() {
  Order([&](Batch& batch) { batch.wanted = true; });
}

void MoverOrders::Say(std::unique_ptr<SayAnswer> answer) {
  if (Order([&](Batch& batch) { batch.says.push_back(std::move(answer)); })) return;
  answer->Refuse();
  state_->Post(std::move(answer));
}

void MoverOrders::Feed(std::shared_ptr<PipeEnd> source, std::shared_ptr<RateShare> share) {
  Order([&](Batch& batch) {
    batch.source = std::move(source);
    batch.share = std::move(share);
  });
}

void MoverOrders::Drain(std::shared_ptr<PipeEnd> sink, size_t left) {
  Order([&](Batch& batch) {
    batch.sink = std::move(sink);
    batch.left = left;
  });
}

void MoverOrders::Release(std::unique_ptr<ReleaseAnswer> answer) {
  if (!Order([&](Batch& batch) { batch.releases.push_back(std::move(answer)); })) state_->Post(std::move(answer));
}

void MoverOrders::Finish(std::vector<char> last, int milliseconds) {
  Order([&](Batch& batch) {
    batch.finish = true;
    batch.last = std::move(last);
    batch.milliseconds = milliseconds;
  });
}

void MoverOrders::Cancel() {
  std::lock_guard<std::mutex> lock(mutex_);
  cancelled_ = true;
  if (!closed_ && wake_) eventfd_write(wake_.get(), 1);
}

std::optional<MoverOrders::Batch> MoverOrders::Take() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (cancelled_) return std::nullopt;
  return std::exchange(batch_, {});
}

void MoverOrders::Woken() {
  eventfd_t ignored;
  eventfd_read(wake_.get(), &ignored);
}

void MoverOrders::Close(std::unique_ptr<NewsAnswer> asked, MoverNews ending) {
  Batch rest;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    wake_.Reset();
    rest = std::exchange(batch_, {});
    if (rest.asked) asked = std::move(rest.asked);
    if (asked) asked->news = std::move(ending);
    else ending_ = std::move(ending);
  }
  for (auto& say : rest.says) {
    say->Refuse();
    state_->Post(std::move(say));
  }
  for (auto& release : rest.releases) state_->Post(std::move(release));
  if (asked) state_->Post(std::move(asked));
}

}  // namespace flocker

#endif
