#pragma once

namespace flocker {

/**
 * A signal that does nothing but end a blocking system call of the thread that it is sent to: one of the real-time signals that
 * nobody else in the process uses.
 *
 * What a signal does is the whole process's affair, and the kernel's table of that is the only record: all environments find the
 * one signal there that has our handler, or give it to a free one, twice at once being as good as once. It keeps the handler,
 * as nobody could tell whether another environment has just found it; so the addon is linked to stay loaded (-z nodelete).
 */
class WakeSignal {
 public:
  /** Returns 0 or an errno: EAGAIN where every real-time signal has a handler of somebody else's. */
  int Open();
  int number() const { return number_; }
  /** Lets the calling thread, on which all signals are blocked, have it. */
  void Unblock() const;
  void Block() const;

 private:
  int number_ = 0;
};

}  // namespace flocker
