#pragma once

#include <napi.h>
#include <uv.h>

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "block_pool.h"
#include "library.h"
#include "thread.h"
#include "tls_context.h"

namespace flocker {

class State;

/** Something to be answered to JavaScript: a promise, and the value that it resolves with once the work is done. */
class Answer {
 public:
  virtual ~Answer() = default;
  /** On the JavaScript thread. Promises here never reject: what failed is told by an errno within the value. */
  virtual napi_value Value(napi_env env) = 0;

 private:
  friend class State;
  napi_deferred deferred_ = nullptr;
  Thread thread_;  // an Operation's; never started for other answers
};

/** A blocking call. */
class Operation : public Answer {
 public:
  /** On a thread of its own. Must not touch JavaScript. */
  virtual void Run() = 0;
  /** Instead of Run, where no thread could be started. */
  virtual void Fail(int error) = 0;
};

/** Something with threads of its own that must end before the environment does. */
class Resource {
 public:
  virtual ~Resource() = default;
  /** Ends what blocks, and waits for nothing else. */
  virtual void Cancel() = 0;
  /** Waits for its threads. */
  virtual void Join() = 0;
};

/**
 * What an environment (the main thread or a worker) has: its library, the threads at work for it, and the way back to
 * its JavaScript thread. There is no state outside of this.
 */
class State {
 public:
  /** Creates the environment's state and ties it to the environment's end. */
  static void Attach(napi_env env);
  static State* Of(napi_env env);
  ~State();

  /** The library, loaded and with /dev/zfs open; null before a successful Open. */
  Library* library() const { return open_ ? library_.get() : nullptr; }
  /** Which library it is to be: the embedded engine's path, or empty. False where another one is loaded already. */
  bool Choose(const std::string& engine);
  /** The library, loaded, /dev/zfs open or not. */
  Library* loaded(LoadFailure* failure);
  bool Open(LoadFailure* failure);

  /** Runs an operation on a new thread; the promise for its value. */
  napi_value Run(napi_env env, std::unique_ptr<Operation> operation);
  /** A promise that an Answer posted later settles. */
  napi_value Expect(napi_env env, Answer* answer);
  /** From any thread: settles the answer's promise on the JavaScript thread. */
  void Post(std::unique_ptr<Answer> answer);

  const std::shared_ptr<BlockPool>& blocks() const { return blocks_; }

#ifdef FLOCKER_ZFS_OPENSSL
  /** Null where there is none to be had, of which OpenSSL's error queue says why. */
  const std::shared_ptr<TlsContext>& tls();
#endif

  /** Takes part in the environment's end until all other owners have let go of it. */
  void Register(const std::shared_ptr<Resource>& resource);

 private:
  State() = default;
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle handle, void* state);
  static void OnWoken(uv_async_t* wake);
  void End();
  void Settle(napi_env env);
  void Finished(Operation* operation);
  /** Leaves something for the JavaScript thread. */
  template <typename Put>
  void Leave(Put put);

  const std::shared_ptr<BlockPool> blocks_ = std::make_shared<BlockPool>();
  std::string engine_;  // the embedded engine's path; empty for the kernel
  std::unique_ptr<Library> library_;
  bool open_ = false;
#ifdef FLOCKER_ZFS_OPENSSL
  std::shared_ptr<TlsContext> tls_;
#endif

  uv_async_t wake_{};
  std::unique_ptr<Napi::AsyncContext> context_;  // null once it has ended
  napi_async_cleanup_hook_handle hook_ = nullptr;
  size_t expected_ = 0;                            // promises not yet settled; keeps the event loop alive
  std::list<std::unique_ptr<Operation>> running_;  // JavaScript thread only
  std::vector<std::weak_ptr<Resource>> resources_;

  std::mutex mutex_;
  bool ended_ = false;
  std::vector<std::unique_ptr<Answer>> posted_;  // answers of resources
  std::vector<Operation*> finished_;             // members of running_
};

}  // namespace flocker
