#include "traffic_secret.h"

#ifdef FLOCKER_ZFS_OPENSSL

#include <openssl/hmac.h>
#include <string.h>

#include <algorithm>
#include <string>

namespace flocker {

namespace {

/** The digit's value, or -1. */
int ValueOf(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

}  // namespace

TrafficSecret::~TrafficSecret() { explicit_bzero(bytes_.data(), kSize); }

bool TrafficSecret::Parse(const char* digits) {
  if (strlen(digits) != 2 * kSize) return false;
  for (size_t i = 0; i < kSize; i++) {
    int high = ValueOf(digits[2 * i]), low = ValueOf(digits[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes_[i] = static_cast<uint8_t>(high << 4 | low);
  }
  present_ = true;
  return true;
}

bool TrafficSecret::Expand(const char* label, uint8_t* bytes, size_t size) const {
  // HkdfLabel: the size, the label with its prefix and an empty context; then the number of the one block (RFC 5869, section 2.3).
  std::string full = std::string("tls13 ") + label;
  std::string info{static_cast<char>(size >> 8), static_cast<char>(size), static_cast<char>(full.size())};
  info += full;
  info += '\0';
  info += '\1';
  uint8_t block[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  bool made = HMAC(EVP_sha256(), bytes_.data(), static_cast<int>(kSize), reinterpret_cast<const uint8_t*>(info.data()),
                   info.size(), block, &length) != nullptr;
  if (made) memcpy(bytes, block, std::min<size_t>(size, length));
  explicit_bzero(block, sizeof block);
  return made && length >= size;
}

bool TrafficSecret::Advance() {
  TrafficSecret next;
  if (!Expand("traffic upd", next.bytes_.data(), kSize)) return false;
  next.present_ = true;
  *this = next;
  return true;
}

}  // namespace flocker

#endif
