#pragma once

#include <napi.h>

#include <memory>
#include <type_traits>
#include <utility>

#include "state.h"

namespace flocker {

/** What JavaScript holds of something native. Collected, it cancels what is a resource. */
template <typename Held>
class ResourceHandle {
 public:
  /** Empty where there is no memory. */
  static Napi::Value Wrap(Napi::Env env, std::shared_ptr<Held> resource) {
    auto* shared = new std::shared_ptr<Held>(std::move(resource));
    napi_value value = nullptr;
    if (napi_create_external(env, shared, Release, nullptr, &value) != napi_ok) {
      Release(env, shared, nullptr);
      return {};
    }
    return Napi::Value(env, value);
  }

  /** What an argument is, or null with an exception thrown. */
  static Held* Unwrap(const Napi::CallbackInfo& info, size_t index, const char* wanted) {
    return Share(info, index, wanted).get();
  }

  /** The same, for longer than the call. */
  static std::shared_ptr<Held> Share(const Napi::CallbackInfo& info, size_t index, const char* wanted) {
    void* shared = nullptr;
    if (napi_get_value_external(info.Env(), info[index], &shared) == napi_ok) {
      return *static_cast<std::shared_ptr<Held>*>(shared);
    }
    napi_throw_type_error(info.Env(), "ERR_INVALID_ARG_TYPE", wanted);
    return nullptr;
  }

 private:
  static void Release(napi_env, void* data, void*) {
    auto* shared = static_cast<std::shared_ptr<Held>*>(data);
    if constexpr (std::is_base_of_v<Resource, Held>) (*shared)->Cancel();
    delete shared;
  }
};

}  // namespace flocker
