#pragma once

#include <napi.h>

namespace flocker {

/** The functions of libzfs_core that concern a whole pool, or its devices. */
void ExportPools(Napi::Env env, Napi::Object exports);

}  // namespace flocker
