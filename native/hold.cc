#include "hold.h"

#include <errno.h>
#include <fcntl.h>

#include "arguments.h"
#include "operations.h"

namespace flocker {

namespace {

/** The descriptor on which temporary holds hang. Resetting it, or destroying it, releases them. */
class Cleanup {
 public:
  Cleanup() = default;
  Cleanup(Cleanup&&) = default;
  Cleanup(const Cleanup&) = delete;
  ~Cleanup() { Reset(); }

  /** Returns 0 or an errno. */
  int Open(const Library& library) {
    // See lzc_hold in libzfs_core.c for what the kernel wants.
    descriptor_ = library.embedded() ? UniqueFd(library.flocker_embedded_cleanup_open())
                                     : UniqueFd(open("/dev/zfs", O_RDWR | O_EXCL | O_CLOEXEC));
    close_ = library.flocker_embedded_cleanup_close;
    return descriptor_ ? 0 : errno;
  }
  /** Returns 0 or an errno. */
  int Reset() {
    // The engine, whose code is never unloaded, closes its own.
    if (descriptor_ && close_ != nullptr) return close_(descriptor_.Release());
    descriptor_.Reset();
    return 0;
  }
  int get() const { return descriptor_.get(); }
  explicit operator bool() const { return bool(descriptor_); }

 private:
  UniqueFd descriptor_;
  int (*close_)(int) = nullptr;
};

void CloseCleanup(napi_env, void* data, void*) { delete static_cast<Cleanup*>(data); }

/** An Outcome, with `cleanup` where the holds are temporary. Collected, or at the environment's end, it closes. */
class HoldOperation : public Operation {
 public:
  HoldOperation(const Library& library, Packed holds, bool temporary)
      : library_(library), holds_(std::move(holds)), temporary_(temporary) {}

  void Run() override {
    Nvlist holds(library_), errors(library_);
    if ((outcome_.error = holds.Unpack(holds_)) != 0) return;
    if (temporary_ && (outcome_.error = cleanup_.Open(library_)) != 0) return;
    outcome_.error = library_.lzc_hold(holds.get(), temporary_ ? cleanup_.get() : -1, errors.Out());
    errors.Pack(&outcome_.list);
    // Some snapshots may be held and others missing. All or nothing is what we promise.
    if (outcome_.error != 0 || !errors.empty()) cleanup_.Reset();
  }
  void Fail(int error) override { outcome_.error = error; }

  napi_value Value(napi_env env) override {
    napi_value object = outcome_.ToObject(env), external = nullptr;
    if (object == nullptr || !cleanup_) return object;
    auto* cleanup = new Cleanup(std::move(cleanup_));
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
  Cleanup cleanup_;
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
  auto cleanup = std::make_shared<Cleanup>(std::move(*static_cast<Cleanup*>(data)));
  return Call(info, [cleanup](const Library&, Outcome& outcome) { outcome.error = cleanup->Reset(); });
}

}  // namespace

void ExportHolds(Napi::Env env, Napi::Object exports) {
  exports.Set("hold", Napi::Function::New(env, Hold, "hold"));
  exports.Set("closeHold", Napi::Function::New(env, CloseHold, "closeHold"));
}

}  // namespace flocker
