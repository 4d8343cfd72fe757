#pragma once

#include <napi.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

#include "pipe.h"
#include "pipe_end.h"
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
  /** JavaScript thread: our end, for somebody else to use while nothing is requested; null once it is closed. */
  std::shared_ptr<PipeEnd> Lend();
  /** Any thread: closes our end now, or once whoever it was lent to lets go of it. */
  void Cancel() override;
  void Join() override { pump_.Join(); }

 private:
  void Pump();

  State* const state_;
  UniqueFd wake_;
  std::shared_ptr<PipeEnd> end_;
  Thread pump_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<PumpRequest>> requests_;
  bool finished_ = false;
  bool cancelled_ = false;
  bool closed_ = false;
};

/** The transfer that a call's first argument is, or null with an exception thrown. */
Transfer* TransferOf(const Napi::CallbackInfo& info, size_t index);

/** send() and receive(), and what moves their bytes. */
void ExportTransfers(Napi::Env env, Napi::Object exports);

}  // namespace flocker
