#pragma once

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

/** Throws unless the library is open. */
Library* RequireLibrary(const Napi::CallbackInfo& info);

}  // namespace flocker
