#include "interruptible.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <mutex>

#include "wake_signal.h"

namespace flocker {

namespace {

/** A thread that is in such a call, or isn't. */
class Interruptible : public Resource {
 public:
  /** Returns 0 or an errno. */
  int Prepare() { return signal_.Open(); }

  void Run(const std::function<void()>& body, Outcome* outcome) {
    if (!Enter()) {
      outcome->error = EINTR;
      return;
    }
    body();
    Leave();
  }

  /** Whether the thread is in its call. A signal that comes just before the call does nothing: interrupt again until it is over. */
  bool Interrupt() {
    std::lock_guard<std::mutex> lock(mutex_);
    interrupted_ = true;
    if (inside_) pthread_kill(thread_, signal_.number());
    return inside_;
  }

  void Cancel() override {
    while (Interrupt()) usleep(1000);
  }
  void Join() override {}

 private:
  bool Enter() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (interrupted_) return false;
    thread_ = pthread_self();
    inside_ = true;
    signal_.Unblock();
    return true;
  }

  void Leave() {
    std::lock_guard<std::mutex> lock(mutex_);
    inside_ = false;
    signal_.Block();
  }

  WakeSignal signal_;
  std::mutex mutex_;
  pthread_t thread_{};
  bool inside_ = false;
  bool interrupted_ = false;
};

class InterruptibleOperation : public Operation {
 public:
  InterruptibleOperation(const Library& library, std::shared_ptr<Interruptible> call,
                         std::function<void(const Library&, Outcome&)> body)
      : library_(library), call_(std::move(call)), body_(std::move(body)) {}
  void Run() override {
    call_->Run([this] { body_(library_, outcome_); }, &outcome_);
  }
  void Fail(int error) override { outcome_.error = error; }
  napi_value Value(napi_env env) override { return outcome_.ToObject(env); }

 private:
  const Library& library_;
  const std::shared_ptr<Interruptible> call_;
  const std::function<void(const Library&, Outcome&)> body_;
  Outcome outcome_;
};

void Forget(napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Interruptible>*>(data); }

/** interrupt(call): whether it is still in its call, and must be interrupted again if it doesn't end soon */
Napi::Value Interrupt(const Napi::CallbackInfo& info) {
  void* data = nullptr;
  if (napi_get_value_external(info.Env(), info[0], &data) != napi_ok) {
    napi_throw_type_error(info.Env(), "ERR_INVALID_ARG_TYPE", "argument 0 must be a call");
    return {};
  }
  return Napi::Boolean::New(info.Env(), (*static_cast<std::shared_ptr<Interruptible>*>(data))->Interrupt());
}

}  // namespace

Napi::Value CallInterruptible(const Napi::CallbackInfo& info, std::function<void(const Library&, Outcome&)> body) {
  Napi::Env env = info.Env();
  Library* library = RequireLibrary(info);
  if (library == nullptr) return {};
  auto call = std::make_shared<Interruptible>();
  int error = call->Prepare();
  if (error != 0) {
    napi_throw_error(env, "ERR_SYSTEM", strerror(error));
    return {};
  }
  napi_value external = nullptr;
  auto* shared = new std::shared_ptr<Interruptible>(call);
  if (napi_create_external(env, shared, Forget, nullptr, &external) != napi_ok) {
    delete shared;
    return {};
  }
  State* state = State::Of(env);
  state->Register(call);
  auto operation = std::make_unique<InterruptibleOperation>(*library, std::move(call), std::move(body));
  Napi::Object object = Napi::Object::New(env);
  object.Set("call", Napi::Value(env, external));
  object.Set("result", Napi::Value(env, state->Run(env, std::move(operation))));
  return object;
}

void ExportInterruptible(Napi::Env env, Napi::Object exports) {
  exports.Set("interrupt", Napi::Function::New(env, Interrupt, "interrupt"));
}

}  // namespace flocker
