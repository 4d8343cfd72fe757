#pragma once

#include <errno.h>
#include <node_api.h>

#include <optional>
#include <string>

#include "nvlist.h"

namespace flocker {

/** What a blocking call came to; `{ errno, list?, number?, text? }` in JavaScript. */
struct Outcome {
  int error = 0;
  Packed list;
  std::optional<uint64_t> number;
  std::optional<std::string> text;

  /** Null where JavaScript can't be entered any more. */
  napi_value ToObject(napi_env env) const {
    napi_value object = nullptr, value = nullptr;
    int told = error;
    if (napi_create_object(env, &object) != napi_ok) return nullptr;
    if (!list.empty()) {
      // Without its list the answer would read as an empty one.
      if (napi_create_buffer_copy(env, list.size(), list.data(), nullptr, &value) == napi_ok) {
        napi_set_named_property(env, object, "list", value);
      } else if (told == 0) {
        told = ENOMEM;
      }
    }
    if (napi_create_int32(env, told, &value) == napi_ok) napi_set_named_property(env, object, "errno", value);
    if (number.has_value() && napi_create_bigint_uint64(env, *number, &value) == napi_ok) {
      napi_set_named_property(env, object, "number", value);
    }
    if (text.has_value() && napi_create_string_utf8(env, text->data(), text->size(), &value) == napi_ok) {
      napi_set_named_property(env, object, "text", value);
    }
    return object;
  }
};

}  // namespace flocker
