#pragma once

#include <errno.h>
#include <napi.h>

#include <functional>
#include <memory>

#include "outcome.h"
#include "state.h"

namespace flocker {

/** Runs a blocking call on a thread of its own; the promise for its Outcome. Throws where the library isn't open. */
Napi::Value Call(const Napi::CallbackInfo& info, std::function<void(const Library&, Outcome&)> body);

/** The functions of libzfs_core that take and give nothing but names, numbers and nvlists. */
void ExportOperations(Napi::Env env, Napi::Object exports);

/** Whether the loaded library has an optional function; where it hasn't, the outcome says so, as the kernel would of a system call. */
template <typename Function>
bool Has(Function* function, Outcome& outcome) {
  if (function == nullptr) outcome.error = ENOSYS;
  return function != nullptr;
}

/** Throws unless the library is open. */
Library* RequireLibrary(const Napi::CallbackInfo& info);

}  // namespace flocker
