#pragma once

#include <string.h>

#include <array>
#include <memory>

#include "arguments.h"

namespace flocker {

/**
 * A copy of a wrapping key, wiped when nobody needs it any more. What libzfs_core copies into its own nvlist and into the buffer
 * that it gives to the kernel is not within our reach.
 */
class Key {
 public:
  /** WRAPPING_KEY_LEN, include/sys/zio_crypt.h: the only size that ZFS takes. */
  static constexpr size_t kSize = 32;

  Key() = default;
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
  ~Key() { explicit_bzero(bytes_.data(), kSize); }

  /** The key among the arguments; none where it is absent. */
  static std::shared_ptr<Key> Copy(Arguments& arguments, size_t index) {
    auto key = std::make_shared<Key>();
    key->present_ = arguments.Bytes(index, key->bytes_.data(), kSize);
    return key;
  }

  /** Null where there is none. libzfs_core takes it without const. */
  uint8_t* data() const { return present_ ? bytes_.data() : nullptr; }
  unsigned size() const { return present_ ? kSize : 0; }

 private:
  mutable std::array<uint8_t, kSize> bytes_{};
  bool present_ = false;
};

}  // namespace flocker
