#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

namespace flocker {

/** A token bucket that several take from in turn, on any thread. Time is passed in, in milliseconds. */
class RateBucket {
 public:
  /** One of those who take from it. */
  struct Account {
    /** Bytes granted and not used. */
    uint64_t credit = 0;
    bool waiting = false;
  };

  /** The rate is in bytes per second. */
  RateBucket(double rate, double now) : rate_(rate), time_(now) {}

  /** Changes the rate from now on. */
  void SetRate(double rate, double now);
  /** How many of so many bytes may leave now; if none, the account waits for its turn. */
  uint64_t Take(Account* account, uint64_t most, double now);
  /** Milliseconds until the account may take something. */
  double Delay(const Account& account, double now);
  /** Forgets the account; what it has not used goes to the others, as do so many bytes more that it took. */
  void Leave(Account* account, uint64_t unused, double now);

 private:
  double Grant() const;
  double Most() const;
  void Fill(double now);
  bool Pay(Account* account);
  void Serve();

  std::mutex mutex_;
  double rate_;
  double tokens_ = 0;
  double time_;
  std::list<Account*> waiting_;  // who has waited longest comes first
};

/** An account and its bucket, for whoever shares in it. */
class RateShare {
 public:
  explicit RateShare(std::shared_ptr<RateBucket> bucket) : bucket_(std::move(bucket)) {}
  RateShare(const RateShare&) = delete;
  RateShare& operator=(const RateShare&) = delete;
  ~RateShare() { bucket_->Leave(&account_, 0, 0); }

  uint64_t Take(uint64_t most, double now) { return bucket_->Take(&account_, most, now); }
  double Delay(double now) { return bucket_->Delay(account_, now); }
  void Leave(uint64_t unused, double now) { bucket_->Leave(&account_, unused, now); }

 private:
  const std::shared_ptr<RateBucket> bucket_;
  RateBucket::Account account_;
};

}  // namespace flocker
