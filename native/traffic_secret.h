#pragma once

#include "openssl.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <array>
#include <cstddef>
#include <cstdint>

namespace flocker {

/**
 * What the keys of one direction of a TLS 1.3 session come from (RFC 8446, section 7), where its hash is SHA-256. Wiped when nobody needs
 * it any more.
 */
class TrafficSecret {
 public:
  static constexpr size_t kSize = 32;

  TrafficSecret() = default;
  TrafficSecret(const TrafficSecret&) = default;
  TrafficSecret& operator=(const TrafficSecret&) = default;
  ~TrafficSecret();

  /** From hexadecimal digits; false where they aren't those of one. */
  bool Parse(const char* digits);
  /** Whether there is one. */
  explicit operator bool() const { return present_; }

  /** HKDF-Expand-Label without a context, of up to 32 bytes. False where OpenSSL can't. */
  bool Expand(const char* label, uint8_t* bytes, size_t size) const;
  /** Becomes that of the next keys. False where OpenSSL can't. */
  bool Advance();

 private:
  std::array<uint8_t, kSize> bytes_{};
  bool present_ = false;
};

}  // namespace flocker

#endif
