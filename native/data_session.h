#pragma once

#include <napi.h>

#include "state.h"

namespace flocker {

/** openSession() and what is done with one. */
void ExportDataSessions(Napi::Env env, Napi::Object exports);

}  // namespace flocker
