#pragma once

namespace flocker {

/**
 * A signal that does nothing but end a blocking system call of the thread that it is sent to. One of the real-time signals that
 * nobody in the process uses; while nobody waits it has no handler of ours.
 */
class WakeSignal {
 public:
  WakeSignal() = default;
  WakeSignal(const WakeSignal&) = delete;
  WakeSignal& operator=(const WakeSignal&) = delete;
  ~WakeSignal();

  /** Returns 0 or an errno: EAGAIN where every real-time signal has a handler. */
  int Open();
  int number() const { return number_; }
  /** Lets the calling thread, on which all signals are blocked, have it. */
  void Unblock() const;
  void Block() const;

 private:
  int number_ = 0;
};

}  // namespace flocker
