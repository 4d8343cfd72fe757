#include "wake_signal.h"

#include <errno.h>
#include <signal.h>

#include <mutex>

namespace flocker {

namespace {

void DoNothing(int) {}

// What a signal does is the whole process's affair: its users of all environments are counted in one place.
std::mutex mutex;
int users = 0;
int chosen = 0;

int Install() {
  for (int number = SIGRTMAX; number > SIGRTMIN; number--) {
    struct sigaction present = {}, ours = {};
    if (sigaction(number, nullptr, &present) != 0 || present.sa_handler != SIG_DFL) continue;
    ours.sa_handler = DoNothing;
    sigemptyset(&ours.sa_mask);
    if (sigaction(number, &ours, nullptr) == 0) return number;
  }
  return 0;
}

void Mask(int how, int number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  pthread_sigmask(how, &set, nullptr);
}

}  // namespace

int WakeSignal::Open() {
  std::lock_guard<std::mutex> lock(mutex);
  if (users == 0) chosen = Install();
  if (chosen == 0) return EAGAIN;
  users++;
  number_ = chosen;
  return 0;
}

WakeSignal::~WakeSignal() {
  if (number_ == 0) return;
  std::lock_guard<std::mutex> lock(mutex);
  if (--users == 0) signal(number_, SIG_DFL);
}

void WakeSignal::Unblock() const { Mask(SIG_UNBLOCK, number_); }
void WakeSignal::Block() const { Mask(SIG_BLOCK, number_); }

}  // namespace flocker
