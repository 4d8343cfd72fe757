#pragma once

#include <napi.h>

namespace flocker {

/** hold() and closeHold(). */
void ExportHolds(Napi::Env env, Napi::Object exports);

}  // namespace flocker
