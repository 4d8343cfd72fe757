#pragma once

#include <napi.h>

namespace flocker {

/** loadKey(), unloadKey(), changeKey(): wrapping keys of encrypted datasets. */
void ExportKeys(Napi::Env env, Napi::Object exports);

}  // namespace flocker
