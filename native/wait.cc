#include "wait.h"

#include "arguments.h"
#include "interruptible.h"

namespace flocker {

namespace {

/** wait(pool, activity, tag or null): the number is whether there was anything to wait for */
Napi::Value Wait(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string pool = arguments.Text(0);
  int activity = arguments.Int(1);
  auto tag = arguments.OptionalBigInt(2);
  if (!arguments.ok()) return {};
  return CallInterruptible(info, [=](const Library& library, Outcome& outcome) {
    boolean waited = 0;
    if (!Has(library.lzc_wait, outcome) || !Has(library.lzc_wait_tag, outcome)) return;
    outcome.error = tag.has_value() ? library.lzc_wait_tag(pool.c_str(), activity, *tag, &waited)
                                    : library.lzc_wait(pool.c_str(), activity, &waited);
    outcome.number = waited;
  });
}

/** waitFs(dataset, activity): as wait() */
Napi::Value WaitFs(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string dataset = arguments.Text(0);
  int activity = arguments.Int(1);
  if (!arguments.ok()) return {};
  return CallInterruptible(info, [=](const Library& library, Outcome& outcome) {
    boolean waited = 0;
    if (!Has(library.lzc_wait_fs, outcome)) return;
    outcome.error = library.lzc_wait_fs(dataset.c_str(), activity, &waited);
    outcome.number = waited;
  });
}

}  // namespace

void ExportWaits(Napi::Env env, Napi::Object exports) {
  exports.Set("wait", Napi::Function::New(env, Wait, "wait"));
  exports.Set("waitFs", Napi::Function::New(env, WaitFs, "waitFs"));
}

}  // namespace flocker
