#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <algorithm>

namespace flocker {

/** Cuts what arrives on a data connection into parts of the stream and all the rest. See docs/protocol.md. */
class FrameCutter {
 public:
  static constexpr size_t kHeaderSize = 8;
  static constexpr uint32_t kData = 1;
  static constexpr uint32_t kMostData = 1024 * 1024;
  /** Nothing but DATA is longer; JavaScript, which gets the header, refuses it. */
  static constexpr uint32_t kMostOther = 64 * 1024;

  struct Piece {
    enum { kNone, kData, kOther } kind;
    const char* data;
    size_t size;
  };

  static void PutHeader(char* target, uint32_t type, uint32_t length) {
    Put(target, type);
    Put(target + 4, length);
  }

  /** Begins within a DATA frame of which so much is left, or at a frame's beginning. */
  void Begin(size_t left) {
    dataLeft_ = left;
    otherLeft_ = headerSize_ = 0;
  }

  /** The next piece of these bytes; `*used` of them are done with. */
  Piece Next(const char* data, size_t size, size_t* used) {
    if (dataLeft_ > 0) return Take(Piece::kData, &dataLeft_, data, size, used);
    if (otherLeft_ > 0) return Take(Piece::kOther, &otherLeft_, data, size, used);
    *used = std::min(size, kHeaderSize - headerSize_);
    memcpy(header_ + headerSize_, data, *used);
    headerSize_ += *used;
    if (headerSize_ < kHeaderSize) return {Piece::kNone, nullptr, 0};
    headerSize_ = 0;
    uint32_t type = Get(header_), length = Get(header_ + 4);
    if (type == kData && length > 0 && length <= kMostData) {
      dataLeft_ = length;
      return {Piece::kNone, nullptr, 0};
    }
    otherLeft_ = std::min(length, kMostOther);
    return {Piece::kOther, header_, kHeaderSize};
  }

 private:
  static Piece Take(decltype(Piece::kind) kind, size_t* left, const char* data, size_t size, size_t* used) {
    *used = std::min(size, *left);
    *left -= *used;
    return {kind, data, *used};
  }

  static void Put(char* target, uint32_t number) {
    for (int i = 0; i < 4; i++) target[i] = static_cast<char>(number >> (24 - 8 * i));
  }

  static uint32_t Get(const char* source) {
    uint32_t number = 0;
    for (int i = 0; i < 4; i++) number = number << 8 | static_cast<uint8_t>(source[i]);
    return number;
  }

  size_t dataLeft_ = 0, otherLeft_ = 0, headerSize_ = 0;
  char header_[kHeaderSize];
};

}  // namespace flocker
