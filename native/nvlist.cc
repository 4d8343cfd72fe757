#include "nvlist.h"

#include <string.h>

#include <algorithm>
#include <utility>

namespace flocker {

namespace {
constexpr int kNativeEncoding = 0;  // NV_ENCODE_NATIVE
constexpr size_t kListHeader = 12;
constexpr int32_t kNvlistType = 19, kNvlistArrayType = 20, kDeepest = 20;

/** What every packed pair begins with: OpenZFS's nvpair_t. Its name follows. */
struct PairHeader {
  int32_t size;
  int16_t nameSize;
  int16_t reserved;
  int32_t count;
  int32_t type;
};

/** Reads on in a packed list's pairs; false at their end, or where they don't fit into the bytes. */
class PairWalk {
 public:
  PairWalk(const uint8_t* bytes, size_t size, size_t at) : bytes_(bytes), size_(size), at_(at) {}

  bool Next() {
    start_ = at_;
    if (!broken_ && size_ - at_ < sizeof(int32_t)) broken_ = true;
    if (broken_) return false;
    memcpy(&pair_.size, bytes_ + at_, sizeof(int32_t));
    if (pair_.size == 0) {
      at_ += sizeof(int32_t);
      return false;
    }
    broken_ = pair_.size < static_cast<int32_t>(sizeof(pair_)) || static_cast<size_t>(pair_.size) > size_ - at_;
    if (broken_) return false;
    memcpy(&pair_, bytes_ + at_, sizeof(pair_));
    at_ += pair_.size;
    broken_ = pair_.nameSize < 1 || pair_.nameSize > pair_.size - static_cast<int32_t>(sizeof(pair_)) || !SkipLists();
    return !broken_;
  }

  bool broken() const { return broken_; }
  /** The pair, with the pairs of the lists in it, which come after it. */
  const uint8_t* start() const { return bytes_ + start_; }
  size_t length() const { return at_ - start_; }
  bool IsNamed(const std::string& name) const {
    return name.size() + 1 == static_cast<size_t>(pair_.nameSize) &&
           memcmp(start() + sizeof(pair_), name.data(), name.size()) == 0;
  }

 private:
  bool SkipLists() {
    int lists = pair_.type == kNvlistType ? 1 : pair_.type == kNvlistArrayType ? pair_.count : 0;
    for (; lists > 0; lists--) {
      PairWalk inner(bytes_, size_, at_);
      inner.depth_ = depth_ + 1;
      if (inner.depth_ > kDeepest) return false;
      while (inner.Next()) continue;
      if (inner.broken_) return false;
      at_ = inner.at_;
    }
    return true;
  }

  const uint8_t* bytes_;
  size_t size_, at_, start_ = 0;
  PairHeader pair_{};
  bool broken_ = false;
  int depth_ = 0;
};
}  // namespace

Packed Pick(const uint8_t* bytes, size_t size, const std::vector<std::string>& names) {
  if (size < kListHeader) return {};
  Packed picked(bytes, bytes + kListHeader);
  PairWalk walk(bytes, size, kListHeader);
  while (walk.Next()) {
    if (std::any_of(names.begin(), names.end(), [&](auto& name) { return walk.IsNamed(name); })) {
      picked.insert(picked.end(), walk.start(), walk.start() + walk.length());
    }
  }
  if (walk.broken()) return {};
  picked.insert(picked.end(), sizeof(int32_t), 0);
  return picked;
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
