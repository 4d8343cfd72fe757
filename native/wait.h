#pragma once

#include <napi.h>

namespace flocker {

/** wait() and waitFs(), which block until some activity of a pool's or filesystem's is over. */
void ExportWaits(Napi::Env env, Napi::Object exports);

}  // namespace flocker
