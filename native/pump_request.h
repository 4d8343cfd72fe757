#pragma once

#include <napi.h>

#include <memory>

#include "state.h"

namespace flocker {

/** A request to a transfer's pump: one read, or one write of a row of buffers. */
class PumpRequest : public Answer {
 public:
  /** On the pump's thread; `end` is our end of the pipe, `wake` becomes readable when the transfer is cancelled. */
  virtual void Perform(int end, int wake) = 0;
  /** Instead of Perform, once our end is closed. */
  virtual void Refuse() = 0;
};

/** `{ errno, data? }`: no data and no errno is the end of the stream. */
std::unique_ptr<PumpRequest> MakeRead(std::shared_ptr<BlockPool> pool);

/** `{ errno }`. EPIPE: the kernel has stopped reading, and the receive's own result says why. */
std::unique_ptr<PumpRequest> MakeWrite(napi_env env, napi_value buffers);

/** Undefined; for a transfer that is cancelled, which answers it when our end is closed. */
std::unique_ptr<PumpRequest> MakeClose();

}  // namespace flocker
