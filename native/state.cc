#include "state.h"

#include <algorithm>

namespace flocker {

void State::Attach(napi_env env) {
  auto* state = new State;
  napi_set_instance_data(env, state, nullptr, nullptr);
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  uv_async_init(loop, &state->wake_, OnWoken);
  state->wake_.data = state;
  uv_unref(reinterpret_cast<uv_handle_t*>(&state->wake_));
  state->context_ = std::make_unique<Napi::AsyncContext>(env, "flocker-zfs");
  napi_add_async_cleanup_hook(env, OnEnvironmentEnd, state, &state->hook_);
}

State* State::Of(napi_env env) {
  void* state = nullptr;
  napi_get_instance_data(env, &state);
  return static_cast<State*>(state);
}

State::~State() = default;

void State::OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* data) {
  auto* state = static_cast<State*>(data);
  state->End();
  uv_close(reinterpret_cast<uv_handle_t*>(&state->wake_), [](uv_handle_t* wake) {
    std::unique_ptr<State> closed(static_cast<State*>(wake->data));
    napi_remove_async_cleanup_hook(closed->hook_);
  });
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
  context_.reset();
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
  if (expected_++ == 0) uv_ref(reinterpret_cast<uv_handle_t*>(&wake_));
  return promise;
}

napi_value State::Run(napi_env env, std::unique_ptr<Operation> operation) {
  napi_value promise = Expect(env, operation.get());
  if (promise == nullptr) return nullptr;
  Operation* started = operation.get();
  running_.push_back(std::move(operation));
  int error = started->thread_.Start([this, started] {
    started->Run();
    Finished(started);
  });
  if (error != 0) {
    started->Fail(error);
    Finished(started);
  }
  return promise;
}

void State::Post(std::unique_ptr<Answer> answer) {
  Leave([&] { posted_.push_back(std::move(answer)); });
}

void State::Finished(Operation* operation) {
  Leave([&] { finished_.push_back(operation); });
}

// Whoever is woken runs at once in place of the one who wakes it, which comes after it: were a lock in that one's hand, as a
// threadsafe function's would be, it would next wait for that. No thread that wakes it outlives it: End waits for all.
template <typename Put>
void State::Leave(Put put) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
    put();
  }
  uv_async_send(&wake_);
}

void State::OnWoken(uv_async_t* wake) {
  auto* state = static_cast<State*>(wake->data);
  if (!state->context_) return;
  Napi::Env env = state->context_->Env();
  Napi::HandleScope handles(env);
  // What follows from a promise happens when this scope closes.
  Napi::CallbackScope scope(env, *state->context_);
  state->Settle(env);
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
    if (--expected_ == 0) uv_unref(reinterpret_cast<uv_handle_t*>(&wake_));
  }
}

void State::Register(const std::shared_ptr<Resource>& resource) {
  auto gone = [](auto& weak) { return weak.expired(); };
  resources_.erase(std::remove_if(resources_.begin(), resources_.end(), gone), resources_.end());
  resources_.push_back(resource);
}

}  // namespace flocker
