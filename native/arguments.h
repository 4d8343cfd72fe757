#pragma once

#include <napi.h>
#include <string.h>

#include <optional>
#include <string>

#include "nvlist.h"

namespace flocker {

/**
 * Reads a call's arguments. TypeScript has checked them already: a wrong one throws a TypeError and gives a neutral
 * value, and the caller returns when `ok` is false.
 */
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  bool ok() const { return ok_; }

  std::string Text(size_t index) {
    if (!Check(info_[index].IsString(), index, "a string")) return {};
    return info_[index].As<Napi::String>().Utf8Value();
  }

  std::optional<std::string> OptionalText(size_t index) {
    if (Absent(index)) return std::nullopt;
    return Text(index);
  }

  /** A packed nvlist; empty for an absent one. */
  Packed List(size_t index) {
    if (Absent(index)) return {};
    if (!Check(info_[index].IsBuffer(), index, "a Buffer")) return {};
    auto buffer = info_[index].As<Napi::Buffer<uint8_t>>();
    return Packed(buffer.Data(), buffer.Data() + buffer.Length());
  }

  /** Copies so many bytes, neither more nor fewer; false where there is no such argument. */
  bool Bytes(size_t index, uint8_t* target, size_t size) {
    if (Absent(index)) return false;
    if (!Check(info_[index].IsBuffer(), index, "a Buffer")) return false;
    auto buffer = info_[index].As<Napi::Buffer<uint8_t>>();
    if (!Check(buffer.Length() == size, index, "of another size")) return false;
    memcpy(target, buffer.Data(), size);
    return true;
  }

  bool Flag(size_t index) { return !Absent(index) && info_[index].ToBoolean().Value(); }

  int Int(size_t index) {
    if (!Check(info_[index].IsNumber(), index, "a number")) return 0;
    return info_[index].As<Napi::Number>().Int32Value();
  }

  double Double(size_t index) {
    if (!Check(info_[index].IsNumber(), index, "a number")) return 0;
    return info_[index].As<Napi::Number>().DoubleValue();
  }

  std::optional<uint64_t> OptionalBigInt(size_t index) {
    if (Absent(index)) return std::nullopt;
    return BigInt(index);
  }

  uint64_t BigInt(size_t index) {
    if (!Check(info_[index].IsBigInt(), index, "a bigint")) return 0;
    bool lossless = false;
    uint64_t value = info_[index].As<Napi::BigInt>().Uint64Value(&lossless);
    Check(lossless, index, "a bigint of 64 bits");
    return value;
  }

 private:
  bool Absent(size_t index) { return info_[index].IsUndefined() || info_[index].IsNull(); }

  bool Check(bool condition, size_t index, const char* what) {
    if (!condition && ok_) {
      ok_ = false;
      std::string message = "argument " + std::to_string(index) + " must be " + what;
      napi_throw_type_error(info_.Env(), "ERR_INVALID_ARG_TYPE", message.c_str());
    }
    return condition;
  }

  const Napi::CallbackInfo& info_;
  bool ok_ = true;
};

/** The C string of an optional one, or NULL. */
inline const char* OrNull(const std::optional<std::string>& text) {
  return text.has_value() ? text->c_str() : nullptr;
}

}  // namespace flocker
