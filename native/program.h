#pragma once

#include <napi.h>

namespace flocker {

/** channelProgram(). */
void ExportPrograms(Napi::Env env, Napi::Object exports);

}  // namespace flocker
