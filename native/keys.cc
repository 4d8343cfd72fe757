#include "keys.h"

#include "call_shapes.h"
#include "key.h"

namespace flocker {

namespace {

/** loadKey(dataset, check only, key) */
Napi::Value LoadKey(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  bool check = arguments.Flag(1);
  auto key = Key::Copy(arguments, 2);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (!Has(library.lzc_load_key, outcome)) return;
    outcome.error = library.lzc_load_key(name.c_str(), check, key->data(), key->size());
  });
}

/** changeKey(dataset, command, properties, key) */
Napi::Value ChangeKey(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  uint64_t command = arguments.BigInt(1);
  Packed packed = arguments.List(2);
  auto key = Key::Copy(arguments, 3);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (!Has(library.lzc_change_key, outcome)) return;
    Nvlist properties(library);
    if ((outcome.error = properties.Unpack(packed)) != 0) return;
    outcome.error = library.lzc_change_key(name.c_str(), command, properties.get(), key->data(), key->size());
  });
}

}  // namespace

void ExportKeys(Napi::Env env, Napi::Object exports) {
  auto add = [&](const char* name, auto function) { exports.Set(name, Napi::Function::New(env, function, name)); };
  add("loadKey", LoadKey);
  add("unloadKey", CallWithName<&Library::lzc_unload_key>);
  add("changeKey", ChangeKey);
}

}  // namespace flocker
