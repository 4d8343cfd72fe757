#pragma once

#include <napi.h>

namespace flocker {

/** mount() and unmount(). */
void ExportMounts(Napi::Env env, Napi::Object exports);

}  // namespace flocker
