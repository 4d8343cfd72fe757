#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>

#include <cstring>

#include "arguments.h"
#include "key.h"
#include "operations.h"
#include "pump_request.h"
#include "resource_handle.h"

namespace flocker {

namespace {

constexpr size_t kBeginRecordSize = 312;

class SendOperation : public Operation {
 public:
  explicit SendOperation(const Library& library) : library_(library) {}

  void Run() override {
    Thread::WorkInBackground();
    outcome_.error = library_.lzc_send_resume_redacted(snapshot.c_str(), OrNull(from), kernelEnd.get(), flags, object,
                                                       offset, OrNull(redactBookmark));
    kernelEnd.Reset();
  }
  void Fail(int error) override {
    outcome_.error = error;
    kernelEnd.Reset();
  }
  napi_value Value(napi_env env) override { return outcome_.ToObject(env); }

  std::string snapshot;
  std::optional<std::string> from, redactBookmark;
  int flags = 0;
  uint64_t object = 0, offset = 0;
  UniqueFd kernelEnd;

 private:
  const Library& library_;
  Outcome outcome_;
};

class ReceiveOperation : public Operation {
 public:
  explicit ReceiveOperation(const Library& library) : library_(library) {}

  void Run() override {
    Thread::WorkInBackground();
    Execute();
    kernelEnd.Reset();
  }
  void Fail(int error) override {
    outcome_.error = error;
    kernelEnd.Reset();
  }
  napi_value Value(napi_env env) override { return outcome_.ToObject(env); }

  std::string snapshot;
  std::optional<std::string> origin;
  Packed received, overrides, beginRecord;
  bool force = false, resumable = false, heal = false;
  std::shared_ptr<Key> key;
  UniqueFd kernelEnd;

 private:
  void Execute() {
    Nvlist receivedList(library_), overridesList(library_), errors(library_);
    if ((outcome_.error = receivedList.Unpack(received)) != 0) return;
    if ((outcome_.error = overridesList.Unpack(overrides)) != 0) return;
    uint64_t bytes = 0, flags = 0, handle = 0;
    // `raw` is always true: all it does is to choose the newer of two ioctls, the one with every option.
    constexpr boolean raw = 1;
    if (heal) {
      if (!Has(library_.lzc_receive_with_heal, outcome_)) return;
      outcome_.error = library_.lzc_receive_with_heal(
          snapshot.c_str(), receivedList.get(), overridesList.get(), key->data(), key->size(), OrNull(origin), force,
          heal, resumable, raw, kernelEnd.get(), beginRecord.data(), -1, &bytes, &flags, &handle, errors.Out());
    } else {
      outcome_.error = library_.lzc_receive_with_cmdprops(
          snapshot.c_str(), receivedList.get(), overridesList.get(), key->data(), key->size(), OrNull(origin), force,
          resumable, raw, kernelEnd.get(), beginRecord.data(), -1, &bytes, &flags, &handle, errors.Out());
    }
    errors.Pack(&outcome_.list);
    outcome_.number = bytes;
  }

  const Library& library_;
  Outcome outcome_;
};

using TransferHandle = ResourceHandle<Transfer>;

/** `{ transfer, result }`. Throws where no pipe or no thread could be had. */
template <typename Kernel>
Napi::Value Begin(const Napi::CallbackInfo& info, std::unique_ptr<Kernel> operation, UniqueFd Pipe::*ours,
                  UniqueFd Pipe::*kernels) {
  Napi::Env env = info.Env();
  State* state = State::Of(env);
  auto transfer = std::make_shared<Transfer>(state);
  Pipe pipe;
  int error = pipe.Open();
  if (error == 0) error = transfer->Start(std::move(pipe.*ours));
  if (error != 0) {
    napi_throw_error(env, "ERR_SYSTEM", strerror(error));
    return {};
  }
  operation->kernelEnd = std::move(pipe.*kernels);
  state->Register(transfer);
  Napi::Object object = Napi::Object::New(env);
  Napi::Value handle = TransferHandle::Wrap(env, transfer);
  if (handle.IsEmpty()) return {};
  object.Set("transfer", handle);
  object.Set("result", Napi::Value(env, state->Run(env, std::move(operation))));
  return object;
}

/** pipeOf(descriptor): a transfer whose end is a copy of an open pipe's */
Napi::Value PipeOf(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  UniqueFd end(fcntl(arguments.Int(0), F_DUPFD_CLOEXEC, 0));
  if (!arguments.ok()) return {};
  State* state = State::Of(env);
  auto transfer = std::make_shared<Transfer>(state);
  int error = end ? transfer->Start(std::move(end)) : errno;
  if (error != 0) {
    napi_throw_error(env, "ERR_SYSTEM", strerror(error));
    return {};
  }
  state->Register(transfer);
  return TransferHandle::Wrap(env, transfer);
}

/** send(snapshot, from, flags, resumeObject, resumeOffset, redactBookmark) */
Napi::Value Send(const Napi::CallbackInfo& info) {
  Library* library = RequireLibrary(info);
  if (library == nullptr) return {};
  Arguments arguments(info);
  auto operation = std::make_unique<SendOperation>(*library);
  operation->snapshot = arguments.Text(0);
  operation->from = arguments.OptionalText(1);
  operation->flags = arguments.Int(2);
  operation->object = arguments.BigInt(3);
  operation->offset = arguments.BigInt(4);
  operation->redactBookmark = arguments.OptionalText(5);
  if (!arguments.ok()) return {};
  return Begin(info, std::move(operation), &Pipe::read, &Pipe::write);
}

/** receive(snapshot, beginRecord, properties, overrides, origin, force, resumable, heal, key) */
Napi::Value Receive(const Napi::CallbackInfo& info) {
  Library* library = RequireLibrary(info);
  if (library == nullptr) return {};
  Arguments arguments(info);
  auto operation = std::make_unique<ReceiveOperation>(*library);
  operation->snapshot = arguments.Text(0);
  operation->beginRecord = arguments.List(1);
  operation->received = arguments.List(2);
  operation->overrides = arguments.List(3);
  operation->origin = arguments.OptionalText(4);
  operation->force = arguments.Flag(5);
  operation->resumable = arguments.Flag(6);
  operation->heal = arguments.Flag(7);
  operation->key = Key::Copy(arguments, 8);
  if (!arguments.ok()) return {};
  if (operation->beginRecord.size() != kBeginRecordSize) {
    napi_throw_type_error(info.Env(), "ERR_INVALID_ARG_VALUE", "a BEGIN record has 312 bytes");
    return {};
  }
  return Begin(info, std::move(operation), &Pipe::write, &Pipe::read);
}

Napi::Value Submit(const Napi::CallbackInfo& info, Transfer* transfer, std::unique_ptr<PumpRequest> request) {
  napi_value promise = State::Of(info.Env())->Expect(info.Env(), request.get());
  if (promise == nullptr) return {};
  transfer->Request(std::move(request));
  return Napi::Value(info.Env(), promise);
}

/** read(transfer) */
Napi::Value Read(const Napi::CallbackInfo& info) {
  Transfer* transfer = TransferOf(info, 0);
  if (transfer == nullptr) return {};
  return Submit(info, transfer, MakeRead(State::Of(info.Env())->blocks()));
}

/** write(transfer, buffers) */
Napi::Value Write(const Napi::CallbackInfo& info) {
  Transfer* transfer = TransferOf(info, 0);
  if (transfer == nullptr) return {};
  return Submit(info, transfer, MakeWrite(info.Env(), info[1]));
}

/** finish(transfer) */
void Finish(const Napi::CallbackInfo& info) {
  if (Transfer* transfer = TransferOf(info, 0)) transfer->Finish();
}

/** cancel(transfer): resolves when our descriptors are closed */
Napi::Value Cancel(const Napi::CallbackInfo& info) {
  Transfer* transfer = TransferOf(info, 0);
  if (transfer == nullptr) return {};
  transfer->Cancel();
  return Submit(info, transfer, MakeClose());
}

}  // namespace

Transfer* TransferOf(const Napi::CallbackInfo& info, size_t index) {
  return TransferHandle::Unwrap(info, index, "one of the arguments must be a transfer");
}

Transfer::~Transfer() {
  Cancel();
  Join();
}

int Transfer::Start(UniqueFd end) {
  wake_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return errno;
  int error = SetNonBlocking(end.get());
  if (error != 0) return error;
  end_ = std::make_shared<PipeEnd>(std::move(end));
  return pump_.Start([this] { Pump(); });
}

void Transfer::Request(std::unique_ptr<PumpRequest> request) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!closed_) {
      requests_.push_back(std::move(request));
      changed_.notify_one();
      return;
    }
  }
  request->Refuse();
  state_->Post(std::move(request));
}

std::shared_ptr<PipeEnd> Transfer::Lend() {
  std::lock_guard<std::mutex> lock(mutex_);
  return closed_ || cancelled_ ? nullptr : end_;
}

void Transfer::Finish() {
  std::lock_guard<std::mutex> lock(mutex_);
  finished_ = true;
  changed_.notify_one();
}

void Transfer::Cancel() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_ || std::exchange(cancelled_, true)) return;
  eventfd_write(wake_.get(), 1);
  changed_.notify_one();
}

void Transfer::Pump() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return cancelled_ || finished_ || !requests_.empty(); });
    if (cancelled_ || requests_.empty()) break;
    std::unique_ptr<PumpRequest> request = std::move(requests_.front());
    requests_.pop_front();
    lock.unlock();
    request->Perform(end_->get(), wake_.get());
    state_->Post(std::move(request));
    lock.lock();
  }
  // All descriptors go now, rather than when JavaScript's handle is collected.
  end_.reset();
  wake_.Reset();
  closed_ = true;
  auto refused = std::move(requests_);
  lock.unlock();
  for (auto& request : refused) {
    request->Refuse();
    state_->Post(std::move(request));
  }
}

void ExportTransfers(Napi::Env env, Napi::Object exports) {
  auto add = [&](const char* name, auto function) { exports.Set(name, Napi::Function::New(env, function, name)); };
  add("pipeOf", PipeOf);
  add("send", Send);
  add("receive", Receive);
  add("read", Read);
  add("write", Write);
  add("finish", Finish);
  add("cancel", Cancel);
}

}  // namespace flocker
