#include "pool_operations.h"

#include "call_shapes.h"
#include "ioctl_numbers.h"

namespace flocker {

namespace {

/** reopen(pool, restart the scrub) */
Napi::Value Reopen(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string pool = arguments.Text(0);
  bool restart = arguments.Flag(1);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (Has(library.lzc_reopen, outcome)) outcome.error = library.lzc_reopen(pool.c_str(), restart);
  });
}

/** initialize(pool, command, devices) */
Napi::Value Initialize(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string pool = arguments.Text(0);
  int command = arguments.Int(1);
  Packed packed = arguments.List(2);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (!Has(library.lzc_initialize, outcome)) return;
    Nvlist devices(library), errors(library);
    if ((outcome.error = devices.Unpack(packed)) != 0) return;
    outcome.error = library.lzc_initialize(pool.c_str(), command, devices.get(), errors.Out());
    errors.Pack(&outcome.list);
  });
}

/** trim(pool, command, rate, secure, devices) */
Napi::Value Trim(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string pool = arguments.Text(0);
  int command = arguments.Int(1);
  uint64_t rate = arguments.BigInt(2);
  bool secure = arguments.Flag(3);
  Packed packed = arguments.List(4);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (!Has(library.lzc_trim, outcome)) return;
    Nvlist devices(library), errors(library);
    if ((outcome.error = devices.Unpack(packed)) != 0) return;
    outcome.error = library.lzc_trim(pool.c_str(), command, rate, secure, devices.get(), errors.Out());
    errors.Pack(&outcome.list);
  });
}

/** scrub(pool, { scan_type, scan_command, ... }) */
Napi::Value Scrub(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string pool = arguments.Text(0);
  Packed packed = arguments.List(1);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (!Has(library.lzc_scrub, outcome)) return;
    Nvlist input(library);
    if ((outcome.error = input.Unpack(packed)) != 0) return;
    outcome.error = library.lzc_scrub(kPoolScrub, pool.c_str(), input.get(), nullptr);
  });
}

/** setBootenv(pool, environment): it must have a `version`, without which the kernel panics */
Napi::Value SetBootenv(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string pool = arguments.Text(0);
  Packed packed = arguments.List(1);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (!Has(library.lzc_set_bootenv, outcome)) return;
    Nvlist environment(library);
    if ((outcome.error = environment.Unpack(packed)) != 0) return;
    outcome.error = library.lzc_set_bootenv(pool.c_str(), environment.get());
  });
}

/** poolPrefetch(pool, kind) */
Napi::Value PoolPrefetch(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string pool = arguments.Text(0);
  int kind = arguments.Int(1);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (Has(library.lzc_pool_prefetch, outcome)) outcome.error = library.lzc_pool_prefetch(pool.c_str(), kind);
  });
}

/** ddtPrune(pool, unit, amount) */
Napi::Value DdtPrune(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string pool = arguments.Text(0);
  int unit = arguments.Int(1);
  uint64_t amount = arguments.BigInt(2);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (Has(library.lzc_ddt_prune, outcome)) outcome.error = library.lzc_ddt_prune(pool.c_str(), unit, amount);
  });
}

}  // namespace

void ExportPools(Napi::Env env, Napi::Object exports) {
  auto add = [&](const char* name, auto function) { exports.Set(name, Napi::Function::New(env, function, name)); };
  add("sync", CallWithNameAndList<&Library::lzc_sync>);
  add("reopen", Reopen);
  add("poolCheckpoint", CallWithName<&Library::lzc_pool_checkpoint>);
  add("poolCheckpointDiscard", CallWithName<&Library::lzc_pool_checkpoint_discard>);
  add("initialize", Initialize);
  add("trim", Trim);
  add("scrub", Scrub);
  add("setBootenv", SetBootenv);
  add("getBootenv", CallForList<&Library::lzc_get_bootenv>);
  add("getPoolProps", CallForList<&Library::lzc_get_props>);
  add("getVdevProps", CallWithNameAndList<&Library::lzc_get_vdev_prop>);
  add("setVdevProps", CallWithNameAndList<&Library::lzc_set_vdev_prop>);
  add("poolPrefetch", PoolPrefetch);
  add("ddtPrune", DdtPrune);
}

}  // namespace flocker
