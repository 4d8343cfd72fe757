#include "hold.h"

#include <errno.h>
#include <fcntl.h>

#include "arguments.h"
#include "operations.h"

namespace flocker {

namespace {

// What a hold's cleanup descriptor must be, see lzc_hold in libzfs_core.c: closing it releases the holds.
UniqueFd OpenCleanup() { return UniqueFd(open("/dev/zfs", O_RDWR | O_EXCL | O_CLOEXEC)); }

void CloseCleanup(napi_env, void* data, void*) { delete static_cast<UniqueFd*>(data); }

/** An Outcome, with `cleanup` where the holds are temporary. Collected, or at the environment's end, it closes. */
class HoldOperation : public Operation {
 public:
  HoldOperation(const Library& library, Packed holds, bool temporary)
      : library_(library), holds_(std::move(holds)), temporary_(temporary) {}

  void Run() override {
    Nvlist holds(library_), errors(library_);
    if ((outcome_.error = holds.Unpack(holds_)) != 0) return;
    if (temporary_) {
      cleanup_ = OpenCleanup();
      if (!cleanup_) {
        outcome_.error = errno;
        return;
      }
    }
    outcome_.error = library_.lzc_hold(holds.get(), temporary_ ? cleanup_.get() : -1, errors.Out());
    errors.Pack(&outcome_.list);
    // Some snapshots may be held and others missing. All or nothing is what we promise.
    if (outcome_.error != 0 || !errors.empty()) cleanup_.Reset();
  }
  void Fail(int error) override { outcome_.error = error; }

  napi_value Value(napi_env env) override {
    napi_value object = outcome_.ToObject(env), external = nullptr;
    if (object == nullptr || !cleanup_) return object;
    auto* cleanup = new UniqueFd(std::move(cleanup_));
    if (napi_create_external(env, cleanup, CloseCleanup, nullptr, &external) != napi_ok) {
      delete cleanup;
      return object;
    }
    napi_set_named_property(env, object, "cleanup", external);
    return object;
  }

 private:
  const Library& library_;
  const Packed holds_;
  const bool temporary_;
  UniqueFd cleanup_;
  Outcome outcome_;
};

/** hold(holds, temporary) */
Napi::Value Hold(const Napi::CallbackInfo& info) {
  Library* library = RequireLibrary(info);
  if (library == nullptr) return {};
  Arguments arguments(info);
  auto operation = std::make_unique<HoldOperation>(*library, arguments.List(0), arguments.Flag(1));
  if (!arguments.ok()) return {};
  return Napi::Value(info.Env(), State::Of(info.Env())->Run(info.Env(), std::move(operation)));
}

/** closeHold(cleanup): releases. Closing waits for ZFS to write, so it has a thread too. */
Napi::Value CloseHold(const Napi::CallbackInfo& info) {
  void* data = nullptr;
  if (napi_get_value_external(info.Env(), info[0], &data) != napi_ok) {
    napi_throw_type_error(info.Env(), "ERR_INVALID_ARG_TYPE", "argument 0 must be a hold's cleanup");
    return {};
  }
  auto descriptor = std::make_shared<UniqueFd>(std::move(*static_cast<UniqueFd*>(data)));
  return Call(info, [descriptor](const Library&, Outcome&) { descriptor->Reset(); });
}

}  // namespace

void ExportHolds(Napi::Env env, Napi::Object exports) {
  exports.Set("hold", Napi::Function::New(env, Hold, "hold"));
  exports.Set("closeHold", Napi::Function::New(env, CloseHold, "closeHold"));
}

}  // namespace flocker
