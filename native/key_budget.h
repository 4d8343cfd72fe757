#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace flocker {

/** Counts what a key of a TLS session carries. */
class KeyBudget {
 public:
  /** @param bytes that a key may carry */
  explicit KeyBudget(uint64_t bytes = 0) : bytes_(bytes) {}

  /** Counts what is to be written; true where the key must be changed before that. */
  bool Spend(size_t size) {
    carried_ += std::max<uint64_t>(size, kLeastCounted);
    if (carried_ <= bytes_) return false;
    carried_ = size;
    return true;
  }

 private:
  /** What is written counts for no less, so that a key is changed long before it has made 2^24.5 records (RFC 8446, section 5.5). */
  static constexpr uint64_t kLeastCounted = 4096;

  uint64_t bytes_;
  uint64_t carried_ = 0;
};

}  // namespace flocker
