#include <napi.h>

#include "arguments.h"
#include "engine.h"
#include "hold.h"
#include "mount.h"
#include "operations.h"
#include "state.h"
#include "transfer.h"
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

/** features(): the optional functions of the open library, the file it came from, and the embedded engine's release. */
Napi::Value Features(const Napi::CallbackInfo& info) {
  Library* library = RequireLibrary(info);
  if (library == nullptr) return {};
  std::vector<std::string> names = library->Features();
  Napi::Array functions = Napi::Array::New(info.Env(), names.size());
  for (size_t i = 0; i < names.size(); i++) functions.Set(i, names[i]);
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("functions", functions);
  object.Set("path", library->Path());
  if (library->embedded()) object.Set("embedded", library->version());
  return object;
}

}  // namespace

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  State::Attach(env);
  exports.Set("choose", Napi::Function::New(env, Choose, "choose"));
  exports.Set("open", Napi::Function::New(env, Open, "open"));
  exports.Set("features", Napi::Function::New(env, Features, "features"));
  ExportOperations(env, exports);
  ExportHolds(env, exports);
  ExportTransfers(env, exports);
  ExportIoctls(env, exports);
  ExportMounts(env, exports);
  ExportEngine(env, exports);
  return exports;
}

NODE_API_MODULE(flocker_zfs, Init)

}  // namespace flocker
