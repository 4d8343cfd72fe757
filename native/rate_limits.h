#pragma once

#include <napi.h>

#include <memory>

#include "rate_bucket.h"

namespace flocker {

/** makeBucket() and what is done with one. */
void ExportRateLimits(Napi::Env env, Napi::Object exports);

/** The share that an argument is; null where it is null, and with an exception thrown where it is something else. */
std::shared_ptr<RateShare> ShareOf(const Napi::CallbackInfo& info, size_t index);

}  // namespace flocker
