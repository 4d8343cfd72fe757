#pragma once

#include <errno.h>
#include <node_api.h>
#include <sys/uio.h>

#include <vector>

namespace flocker {

/** A row of JavaScript's buffers, which must not be changed until they are let go of. */
class HeldBuffers {
 public:
  HeldBuffers(napi_env env, napi_value array) {
    uint32_t length = 0;
    napi_get_array_length(env, array, &length);
    for (uint32_t i = 0; i < length; i++) {
      napi_value element;
      void* data = nullptr;
      size_t size = 0;
      bool readable = napi_get_element(env, array, i, &element) == napi_ok &&
                      napi_get_buffer_info(env, element, &data, &size) == napi_ok;
      // A stream that lacks a part must not pass for a whole one.
      if (!readable) error = EINVAL;
      else if (size > 0) parts.push_back({data, size});
    }
    napi_create_reference(env, array, 1, &array_);
  }

  /** On the JavaScript thread. */
  void Release(napi_env env) { napi_delete_reference(env, array_); }

  std::vector<iovec> parts;
  int error = 0;

 private:
  napi_ref array_ = nullptr;
};

}  // namespace flocker
