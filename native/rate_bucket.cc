#include "rate_bucket.h"

#include <algorithm>
#include <cmath>

namespace flocker {

namespace {

/** What may have gathered while nobody took anything, as time at the rate: it makes up for timers that are late. */
constexpr double kBurstMilliseconds = 50;
/** What is granted at once. */
constexpr double kGrantMilliseconds = 10;
constexpr double kLeastGrant = 1024;
constexpr double kMostGrant = 256 * 1024;

}  // namespace

void RateBucket::SetRate(double rate, double now) {
  std::lock_guard<std::mutex> lock(mutex_);
  Fill(now);
  rate_ = rate;
  // What has gathered is cut to what may have at this rate.
  Fill(now);
}

uint64_t RateBucket::Take(Account* account, uint64_t most, double now) {
  std::lock_guard<std::mutex> lock(mutex_);
  Fill(now);
  Serve();
  if (account->credit == 0 && !account->waiting && !(waiting_.empty() && Pay(account))) {
    account->waiting = true;
    waiting_.push_back(account);
  }
  uint64_t bytes = std::min(most, account->credit);
  account->credit -= bytes;
  return bytes;
}

double RateBucket::Delay(const Account& account, double now) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (account.credit > 0) return 0;
  Fill(now);
  double before = 1;
  for (const Account* each : waiting_) {
    if (each == &account) break;
    before += 1;
  }
  return std::max(0.0, (Grant() * before - tokens_) * 1000 / rate_);
}

void RateBucket::Leave(Account* account, uint64_t unused, double now) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (account->waiting) waiting_.remove(account);
  account->waiting = false;
  Fill(now);
  tokens_ = std::min(Most(), tokens_ + static_cast<double>(account->credit + unused));
  account->credit = 0;
}

double RateBucket::Grant() const {
  return std::floor(std::min(kMostGrant, std::max(kLeastGrant, rate_ * kGrantMilliseconds / 1000)));
}

double RateBucket::Most() const { return std::max(Grant(), rate_ * kBurstMilliseconds / 1000); }

void RateBucket::Fill(double now) {
  tokens_ = std::min(Most(), tokens_ + rate_ * std::max(0.0, now - time_) / 1000);
  time_ = std::max(time_, now);
}

bool RateBucket::Pay(Account* account) {
  // A hair's breadth below it, from rounding, would cost another timer.
  if (tokens_ < Grant() - 0.5) return false;
  tokens_ -= Grant();
  account->credit += static_cast<uint64_t>(Grant());
  return true;
}

/** Grants what is due to those who wait, whoever it was that came to look. */
void RateBucket::Serve() {
  while (!waiting_.empty() && Pay(waiting_.front())) {
    waiting_.front()->waiting = false;
    waiting_.pop_front();
  }
}

}  // namespace flocker
