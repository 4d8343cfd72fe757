#pragma once

#include <napi.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

#include "pipe.h"
#include "pump_request.h"
#include "state.h"

namespace flocker {

/**
 * Our side of a send or a receive: the end of the pipe that JavaScript reads or writes through, and a thread (the pump)
 * that does so. The kernel's side is an Operation of its own. Closing our end ends the kernel's side, with EPIPE for a
 * send and with the end of the stream for a receive.
 */
class Transfer : public Resource {
 public:
  explicit Transfer(State* state) : state_(state) {}
  ~Transfer() override;

  /** Takes our end of the pipe and starts the pump. Returns 0 or an errno. */
  int Start(UniqueFd end);
  /** JavaScript thread: queues a request; it is answered in order. */
  void Request(std::unique_ptr<PumpRequest> request);
  /** JavaScript thread: closes our end once the queue is empty: the end of a stream that is being received. */
  void Finish();
  /** Any thread: closes our end now. */
  void Cancel() override;
  void Join() override { pump_.Join(); }

 private:
  void Pump();

  State* const state_;
  UniqueFd wake_;
  UniqueFd end_;  // the pump's, once it runs
  Thread pump_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<PumpRequest>> requests_;
  bool finished_ = false;
  bool cancelled_ = false;
  bool closed_ = false;
};

/** send() and receive(), and what moves their bytes. */
void ExportTransfers(Napi::Env env, Napi::Object exports);

}  // namespace flocker
