#include "state.h"

#include <algorithm>

namespace flocker {

void State::Attach(napi_env env) {
  auto* state = new State;
  napi_set_instance_data(env, state, nullptr, nullptr);
  napi_value name;
  napi_create_string_utf8(env, "flocker-zfs", NAPI_AUTO_LENGTH, &name);
  napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, state, OnPosted, &state->wake_);
  napi_unref_threadsafe_function(env, state->wake_);
  // Hooks run last come, first served: ours, added after the threadsafe function's own, finds that function alive and
  // ends every thread that could call it.
  napi_add_async_cleanup_hook(env, OnEnvironmentEnd, state, nullptr);
}

State* State::Of(napi_env env) {
  void* state = nullptr;
  napi_get_instance_data(env, &state);
  return static_cast<State*>(state);
}

State::~State() = default;

void State::OnEnvironmentEnd(napi_async_cleanup_hook_handle handle, void* data) {
  auto* state = static_cast<State*>(data);
  state->End();
  delete state;
  napi_remove_async_cleanup_hook(handle);
}

// Everything that blocks is waiting on a pipe of ours, whose end is closed first, or is a short call: the joins that
// follow don't last. None of these threads ever waits for the JavaScript thread.
void State::End() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  std::vector<std::shared_ptr<Resource>> resources;
  for (auto& weak : resources_) {
    if (auto resource = weak.lock()) resources.push_back(std::move(resource));
  }
  for (auto& resource : resources) resource->Cancel();
  for (auto& operation : running_) operation->thread_.Join();
  for (auto& resource : resources) resource->Join();
  running_.clear();
  posted_.clear();
  napi_release_threadsafe_function(wake_, napi_tsfn_abort);
}

bool State::Choose(const std::string& engine) {
  if (library_ != nullptr) return engine_ == engine;
  engine_ = engine;
  return true;
}

Library* State::loaded(LoadFailure* failure) {
  if (library_ == nullptr) library_ = Library::Load(engine_, failure);
  return library_.get();
}

bool State::Open(LoadFailure* failure) {
  if (open_) return true;
  if (loaded(failure) == nullptr) return false;
  failure->error = library_->Open();
  open_ = failure->error == 0;
  return open_;
}

#ifdef FLOCKER_ZFS_OPENSSL
const std::shared_ptr<TlsContext>& State::tls() {
  if (tls_ == nullptr) tls_ = TlsContext::Make();
  return tls_;
}
#endif

napi_value State::Expect(napi_env env, Answer* answer) {
  napi_value promise = nullptr;
  if (napi_create_promise(env, &answer->deferred_, &promise) != napi_ok) return nullptr;
  if (expected_++ == 0) napi_ref_threadsafe_function(env, wake_);
  return promise;
}

napi_value State::Run(napi_env env, std::unique_ptr<Operation> operation) {
  napi_value promise = Expect(env, operation.get());
  if (promise == nullptr) return nullptr;
  Operation* started = operation.get();
  running_.push_back(std::move(operation));
  int error = started->thread_.Start([this, started] {
    started->Run();
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
    finished_.push_back(started);
    napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
  });
  if (error != 0) {
    started->Fail(error);
    std::lock_guard<std::mutex> lock(mutex_);
    finished_.push_back(started);
    napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
  }
  return promise;
}

void State::Post(std::unique_ptr<Answer> answer) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (ended_) return;
  posted_.push_back(std::move(answer));
  napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

void State::OnPosted(napi_env env, napi_value, void* context, void*) {
  if (env != nullptr) static_cast<State*>(context)->Settle(env);
}

void State::Settle(napi_env env) {
  std::vector<std::unique_ptr<Answer>> answers;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    answers.swap(posted_);
    for (Operation* finished : finished_) {
      auto found = std::find_if(running_.begin(), running_.end(), [=](auto& each) { return each.get() == finished; });
      answers.push_back(std::move(*found));
      running_.erase(found);
    }
    finished_.clear();
  }
  for (auto& answer : answers) {
    answer->thread_.Join();
    // A scope of its own, so that a long row of answers doesn't pile up handles.
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) != napi_ok) continue;
    napi_value value = answer->Value(env);
    if (value == nullptr) napi_get_undefined(env, &value);
    napi_resolve_deferred(env, answer->deferred_, value);
    napi_close_handle_scope(env, scope);
    if (--expected_ == 0) napi_unref_threadsafe_function(env, wake_);
  }
}

void State::Register(const std::shared_ptr<Resource>& resource) {
  auto gone = [](auto& weak) { return weak.expired(); };
  resources_.erase(std::remove_if(resources_.begin(), resources_.end(), gone), resources_.end());
  resources_.push_back(resource);
}

}  // namespace flocker
