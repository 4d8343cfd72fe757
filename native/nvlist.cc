#include "nvlist.h"

#include <utility>

namespace flocker {

namespace {
constexpr int kNativeEncoding = 0;  // NV_ENCODE_NATIVE
}

nvlist** Nvlist::Out() {
  Reset();
  return &list_;
}

void Nvlist::Reset() {
  if (list_ != nullptr) library_.nvlist_free(std::exchange(list_, nullptr));
}

int Nvlist::Unpack(const Packed& bytes) {
  Reset();
  if (bytes.empty()) return 0;
  // nvlist_unpack fixes pointers up in place, so it gets a copy.
  Packed copy(bytes);
  return library_.nvlist_unpack(reinterpret_cast<char*>(copy.data()), copy.size(), &list_, 0);
}

int Nvlist::Pack(Packed* bytes) const {
  bytes->clear();
  if (list_ == nullptr) return 0;
  size_t size = 0;
  int error = library_.nvlist_size(list_, &size, kNativeEncoding);
  if (error != 0) return error;
  bytes->resize(size);
  char* buffer = reinterpret_cast<char*>(bytes->data());
  error = library_.nvlist_pack(list_, &buffer, &size, kNativeEncoding, 0);
  bytes->resize(error == 0 ? size : 0);
  return error;
}

}  // namespace flocker
