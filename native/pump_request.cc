#include "pump_request.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "held_buffers.h"
#include "outcome.h"

namespace flocker {

namespace {

// Reads are gathered up to this size, so that a JavaScript event carries more than one of ZFS's records; but data never
// waits longer than this for more of it.
constexpr size_t kReadSize = BlockPool::kBlockSize;
constexpr int kGatherMilliseconds = 20;

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
  WriteRequest(napi_env env, napi_value array) : buffers_(env, array), error_(buffers_.error) {}

  void Perform(int end, int wake) override {
    size_t first = 0;
    while (first < parts().size() && error_ == 0) {
      int count = static_cast<int>(std::min<size_t>(parts().size() - first, IOV_MAX));
      ssize_t written = writev(end, &parts()[first], count);
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
    buffers_.Release(env);
    Outcome outcome;
    outcome.error = error_;
    return outcome.ToObject(env);
  }

 private:
  size_t Advance(size_t first, size_t written) {
    while (first < parts().size() && written >= parts()[first].iov_len) written -= parts()[first++].iov_len;
    if (first < parts().size()) {
      parts()[first].iov_base = static_cast<char*>(parts()[first].iov_base) + written;
      parts()[first].iov_len -= written;
    }
    return first;
  }

  std::vector<iovec>& parts() { return buffers_.parts; }

  HeldBuffers buffers_;
  int error_ = 0;
};

class CloseRequest : public PumpRequest {
 public:
  void Perform(int, int) override {}
  void Refuse() override {}
  napi_value Value(napi_env) override { return nullptr; }
};

}  // namespace

std::unique_ptr<PumpRequest> MakeRead(std::shared_ptr<BlockPool> pool) {
  return std::make_unique<ReadRequest>(std::move(pool));
}

std::unique_ptr<PumpRequest> MakeWrite(napi_env env, napi_value buffers) {
  return std::make_unique<WriteRequest>(env, buffers);
}

std::unique_ptr<PumpRequest> MakeClose() { return std::make_unique<CloseRequest>(); }

}  // namespace flocker
