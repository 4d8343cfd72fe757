#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <time.h>

#include <cstring>

#include "arguments.h"
#include "operations.h"

namespace flocker {

namespace {

// Reads are gathered up to this size, so that a JavaScript event carries more than one of ZFS's records; but data never
// waits longer than this for more of it.
constexpr size_t kReadSize = BlockPool::kBlockSize;
constexpr int kGatherMilliseconds = 20;

constexpr size_t kBeginRecordSize = 312;

int64_t NowMilliseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/** Waits until the pipe is ready. 0, ETIMEDOUT, or ECANCELED. */
int Await(int end, short events, int wake, int milliseconds) {
  pollfd polled[2] = {{end, events, 0}, {wake, POLLIN, 0}};
  int ready = poll(polled, 2, milliseconds);
  if (ready == 0) return ETIMEDOUT;
  if (ready < 0) return errno;
  return polled[1].revents != 0 ? ECANCELED : 0;
}

/** `{ errno, data? }`: no data and no errno is the end of the stream. */
class ReadRequest : public PumpRequest {
 public:
  explicit ReadRequest(std::shared_ptr<BlockPool> pool) : pool_(std::move(pool)) {}

  void Perform(int end, int wake) override {
    block_ = std::make_unique<Block>(pool_);
    char* data = block_->data();
    if (data == nullptr) {
      error_ = ENOMEM;
      return;
    }
    int64_t deadline = 0;
    while (size_ < kReadSize) {
      ssize_t count = read(end, data + size_, kReadSize - size_);
      if (count == 0) return;
      if (count > 0) {
        if (size_ == 0) deadline = NowMilliseconds() + kGatherMilliseconds;
        size_ += count;
        continue;
      }
      if (errno != EAGAIN) {
        error_ = errno;
        return;
      }
      int64_t left = size_ == 0 ? -1 : deadline - NowMilliseconds();
      if (size_ != 0 && left <= 0) return;
      int waited = Await(end, POLLIN, wake, static_cast<int>(left));
      if (waited == ETIMEDOUT) return;
      if (waited != 0) {
        error_ = waited;
        return;
      }
    }
  }

  void Refuse() override { error_ = ECANCELED; }

  napi_value Value(napi_env env) override {
    Outcome outcome;
    outcome.error = error_;
    napi_value object = outcome.ToObject(env), data = nullptr;
    if (object == nullptr || error_ != 0 || size_ == 0) return object;
    if (MakeBuffer(env, &data) == napi_ok) napi_set_named_property(env, object, "data", data);
    return object;
  }

 private:
  napi_status MakeBuffer(napi_env env, napi_value* data) {
    // A small read must not pin a large block for as long as someone keeps the Buffer.
    if (size_ < kReadSize / 4) return napi_create_buffer_copy(env, size_, block_->data(), nullptr, data);
    napi_status status = napi_create_external_buffer(env, size_, block_->data(), Release, block_.get(), data);
    if (status == napi_no_external_buffers_allowed) {
      return napi_create_buffer_copy(env, size_, block_->data(), nullptr, data);
    }
    if (status != napi_ok) return status;
    block_.release();
    Account(env, kReadSize);
    return status;
  }

  static void Release(napi_env env, void*, void* block) {
    delete static_cast<Block*>(block);
    Account(env, -static_cast<int64_t>(kReadSize));
  }

  // A Buffer is small to the garbage collector, which lets 64 MiB of memory outside of its heap go unused before it looks.
  // Counted twice, it looks at half of that.
  static void Account(napi_env env, int64_t bytes) {
    int64_t total = 0;
    napi_adjust_external_memory(env, bytes, &total);
  }

  const std::shared_ptr<BlockPool> pool_;
  std::unique_ptr<Block> block_;
  size_t size_ = 0;
  int error_ = 0;
};

/** `{ errno }`. EPIPE: the kernel has stopped reading, and the receive's own result says why. */
class WriteRequest : public PumpRequest {
 public:
  /** Holds on to the buffers, which must not be changed until the answer. */
  WriteRequest(napi_env env, napi_value array) {
    uint32_t length = 0;
    napi_get_array_length(env, array, &length);
    for (uint32_t i = 0; i < length; i++) {
      napi_value element;
      void* data = nullptr;
      size_t size = 0;
      if (napi_get_element(env, array, i, &element) != napi_ok) continue;
      if (napi_get_buffer_info(env, element, &data, &size) == napi_ok && size > 0) parts_.push_back({data, size});
    }
    napi_create_reference(env, array, 1, &array_);
  }

  void Perform(int end, int wake) override {
    size_t first = 0;
    while (first < parts_.size() && error_ == 0) {
      int count = static_cast<int>(std::min<size_t>(parts_.size() - first, IOV_MAX));
      ssize_t written = writev(end, &parts_[first], count);
      if (written >= 0) {
        first = Advance(first, written);
      } else if (errno == EAGAIN) {
        error_ = Await(end, POLLOUT, wake, -1);
      } else {
        error_ = errno;
      }
    }
  }

  void Refuse() override { error_ = ECANCELED; }

  napi_value Value(napi_env env) override {
    napi_delete_reference(env, array_);
    Outcome outcome;
    outcome.error = error_;
    return outcome.ToObject(env);
  }

 private:
  size_t Advance(size_t first, size_t written) {
    while (first < parts_.size() && written >= parts_[first].iov_len) written -= parts_[first++].iov_len;
    if (first < parts_.size()) {
      parts_[first].iov_base = static_cast<char*>(parts_[first].iov_base) + written;
      parts_[first].iov_len -= written;
    }
    return first;
  }

  std::vector<iovec> parts_;
  napi_ref array_ = nullptr;
  int error_ = 0;
};

class SendOperation : public Operation {
 public:
  explicit SendOperation(const Library& library) : library_(library) {}

  void Run() override {
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
  bool force = false, resumable = false;
  UniqueFd kernelEnd;

 private:
  void Execute() {
    Nvlist receivedList(library_), overridesList(library_), errors(library_);
    if ((outcome_.error = receivedList.Unpack(received)) != 0) return;
    if ((outcome_.error = overridesList.Unpack(overrides)) != 0) return;
    uint64_t bytes = 0, flags = 0, handle = 0;
    // `raw` is always true: all it does is to choose the newer of two ioctls, the one with every option.
    outcome_.error = library_.lzc_receive_with_cmdprops(
        snapshot.c_str(), receivedList.get(), overridesList.get(), nullptr, 0, OrNull(origin), force, resumable,
        /* raw */ 1, kernelEnd.get(), beginRecord.data(), -1, &bytes, &flags, &handle, errors.Out());
    errors.Pack(&outcome_.list);
    outcome_.number = bytes;
  }

  const Library& library_;
  Outcome outcome_;
};

/** What JavaScript holds of a Transfer. Collected, it cancels. */
class TransferHandle {
 public:
  static void Release(napi_env, void* data, void*) {
    auto* shared = static_cast<std::shared_ptr<Transfer>*>(data);
    (*shared)->Cancel();
    delete shared;
  }

  static Napi::Value Wrap(Napi::Env env, std::shared_ptr<Transfer> transfer) {
    auto* shared = new std::shared_ptr<Transfer>(std::move(transfer));
    napi_value value = nullptr;
    if (napi_create_external(env, shared, Release, nullptr, &value) != napi_ok) {
      Release(env, shared, nullptr);
      return {};
    }
    return Napi::Value(env, value);
  }

  static Transfer* Unwrap(const Napi::CallbackInfo& info) {
    void* shared = nullptr;
    if (napi_get_value_external(info.Env(), info[0], &shared) != napi_ok) {
      napi_throw_type_error(info.Env(), "ERR_INVALID_ARG_TYPE", "argument 0 must be a transfer");
      return nullptr;
    }
    return static_cast<std::shared_ptr<Transfer>*>(shared)->get();
  }
};

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

/** receive(snapshot, beginRecord, properties, overrides, origin, force, resumable) */
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
  Transfer* transfer = TransferHandle::Unwrap(info);
  if (transfer == nullptr) return {};
  return Submit(info, transfer, std::make_unique<ReadRequest>(State::Of(info.Env())->blocks()));
}

/** write(transfer, buffers) */
Napi::Value Write(const Napi::CallbackInfo& info) {
  Transfer* transfer = TransferHandle::Unwrap(info);
  if (transfer == nullptr) return {};
  return Submit(info, transfer, std::make_unique<WriteRequest>(info.Env(), info[1]));
}

/** finish(transfer) */
void Finish(const Napi::CallbackInfo& info) {
  if (Transfer* transfer = TransferHandle::Unwrap(info)) transfer->Finish();
}

/** cancel(transfer) */
void Cancel(const Napi::CallbackInfo& info) {
  if (Transfer* transfer = TransferHandle::Unwrap(info)) transfer->Cancel();
}

}  // namespace

Transfer::~Transfer() {
  Cancel();
  Join();
}

int Transfer::Start(UniqueFd end) {
  wake_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return errno;
  int error = SetNonBlocking(end.get());
  if (error != 0) return error;
  end_ = std::move(end);
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
    request->Perform(end_.get(), wake_.get());
    state_->Post(std::move(request));
    lock.lock();
  }
  // All descriptors go now, rather than when JavaScript's handle is collected.
  end_.Reset();
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
  add("send", Send);
  add("receive", Receive);
  add("read", Read);
  add("write", Write);
  add("finish", Finish);
  add("cancel", Cancel);
}

}  // namespace flocker
