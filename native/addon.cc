#include <napi.h>

#include "arguments.h"
#include "data_session.h"
#include "engine.h"
#include "hold.h"
#include "interruptible.h"
#include "keys.h"
#include "mount.h"
#include "operations.h"
#include "pool_operations.h"
#include "program.h"
#include "rate_limits.h"
#include "state.h"
#include "transfer.h"
#include "wait.h"
#include "zfs_ioctl.h"

namespace flocker {

namespace {

/** choose(engine): whether the embedded engine at that path, or null for the kernel, is what is or will be loaded. */
Napi::Value Choose(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string engine = arguments.OptionalText(0).value_or("");
  if (!arguments.ok()) return {};
  return Napi::Boolean::New(info.Env(), State::Of(info.Env())->Choose(engine));
}

/** open(): null, or `{ library, detail, errno }` telling why ZFS can't be used. */
Napi::Value Open(const Napi::CallbackInfo& info) {
  LoadFailure failure;
  if (State::Of(info.Env())->Open(&failure)) return info.Env().Null();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("library", failure.library);
  object.Set("detail", failure.detail);
  object.Set("errno", failure.error);
  return object;
}

/** has(function): whether the open library has that function of libzfs_core's. */
Napi::Value HasFunction(const Napi::CallbackInfo& info) {
  Library* library = RequireLibrary(info);
  if (library == nullptr) return {};
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  if (!arguments.ok()) return {};
  return Napi::Boolean::New(info.Env(), library->Has(name.c_str()));
}

/** features(): the file that the open library came from, and the embedded engine's release. */
Napi::Value Features(const Napi::CallbackInfo& info) {
  Library* library = RequireLibrary(info);
  if (library == nullptr) return {};
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("path", library->Path());
  if (library->embedded()) object.Set("embedded", library->version());
  return object;
}

}  // namespace

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  State::Attach(env);
  exports.Set("choose", Napi::Function::New(env, Choose, "choose"));
  exports.Set("open", Napi::Function::New(env, Open, "open"));
  exports.Set("has", Napi::Function::New(env, HasFunction, "has"));
  exports.Set("features", Napi::Function::New(env, Features, "features"));
  ExportOperations(env, exports);
  ExportKeys(env, exports);
  ExportPools(env, exports);
  ExportPrograms(env, exports);
  ExportInterruptible(env, exports);
  ExportWaits(env, exports);
  ExportHolds(env, exports);
  ExportTransfers(env, exports);
  ExportDataSessions(env, exports);
  ExportRateLimits(env, exports);
  ExportIoctls(env, exports);
  ExportMounts(env, exports);
  ExportEngine(env, exports);
  return exports;
}

NODE_API_MODULE(flocker_zfs, Init)

}  // namespace flocker
