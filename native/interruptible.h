#pragma once

#include <napi.h>

#include <functional>

#include "operations.h"

namespace flocker {

/**
 * Runs a call that may block in the kernel for as long as it likes, on a thread of its own: `{ call, result }`. interrupt(call),
 * or the end of the environment, sends that thread a signal; the kernel's wait then ends with EINTR.
 */
Napi::Value CallInterruptible(const Napi::CallbackInfo& info, std::function<void(const Library&, Outcome&)> body);

/** interrupt() */
void ExportInterruptible(Napi::Env env, Napi::Object exports);

}  // namespace flocker
