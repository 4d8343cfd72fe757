#pragma once

#include <napi.h>

namespace flocker {

/** What only the embedded engine has: pools in files, and volumes' bytes. ENOTSUP with the kernel. */
void ExportEngine(Napi::Env env, Napi::Object exports);

}  // namespace flocker
