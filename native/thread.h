#pragma once

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include <functional>
#include <memory>
#include <utility>

namespace flocker {

/**
 * A thread on which no signal is ever delivered: even a stop and continue of the process would end a send with EINTR
 * (openzfs#16132). Joined by its owner, at the latest when it is destroyed.
 */
class Thread {
 public:
  Thread() = default;
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { Join(); }

  /** Returns 0 or an errno. */
  int Start(std::function<void()> body) {
    auto entry = std::make_unique<std::function<void()>>(std::move(body));
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackSize);
    // A new thread inherits its creator's mask: there is no moment at which a signal could slip in.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread_, &attributes, Enter, entry.get());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    if (error != 0) return error;
    entry.release();
    joinable_ = true;
    return 0;
  }

  /**
   * For a calling thread that moves bytes: others come first, above all the JavaScript thread, which has little to do and should do it at
   * once. Ten nicer is a tenth of its weight (sched(7)), so that even a dozen of these to a core leave it nearly half of that; other services have
   * a share of their own where a machine has control groups, whatever is nice within this one. And it does not interrupt whoever wakes it
   * (SCHED_BATCH), who may have more for it in a moment: with many threads that would be a switch for every few KiB.
   */
  static void WorkInBackground() {
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + kNicer);
    sched_param parameters{};
    sched_setscheduler(0, SCHED_BATCH, &parameters);
  }

  void Join() {
    if (std::exchange(joinable_, false)) pthread_join(thread_, nullptr);
  }

 private:
  static constexpr size_t kStackSize = 512 * 1024;
  static constexpr int kNicer = 10;

  static void* Enter(void* argument) {
    std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(argument));
    (*body)();
    return nullptr;
  }

  pthread_t thread_{};
  bool joinable_ = false;
};

}  // namespace flocker
