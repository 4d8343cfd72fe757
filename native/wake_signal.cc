#include "wake_signal.h"

#include <errno.h>
#include <signal.h>

namespace flocker {

namespace {

void DoNothing(int) {}

/** Whether the signal ends system calls and no more: it does already, or nobody has wanted it yet. */
bool Take(int number) {
  struct sigaction present = {}, ours = {};
  if (sigaction(number, nullptr, &present) != 0) return false;
  if (present.sa_handler == DoNothing) return true;
  if (present.sa_handler != SIG_DFL) return false;
  ours.sa_handler = DoNothing;
  sigemptyset(&ours.sa_mask);
  return sigaction(number, &ours, nullptr) == 0;
}

void Mask(int how, int number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  pthread_sigmask(how, &set, nullptr);
}

}  // namespace

int WakeSignal::Open() {
  for (int number = SIGRTMAX; number > SIGRTMIN; number--) {
    if (!Take(number)) continue;
    number_ = number;
    return 0;
  }
  return EAGAIN;
}

void WakeSignal::Unblock() const { Mask(SIG_UNBLOCK, number_); }
void WakeSignal::Block() const { Mask(SIG_BLOCK, number_); }

}  // namespace flocker
