#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "held_buffers.h"
#include "state.h"

namespace flocker {

/** What a mover tells JavaScript: all that has come about since it was last asked. */
struct MoverNews {
  /** Decrypted bytes; between pipes, those of frames that are not DATA. */
  std::vector<char> bytes;
  /** Bytes of the stream that went from or to the pipe so far. */
  uint64_t moved = 0;
  /** The source's pipe is at its end. */
  bool sourceEnded = false;
  /** The sink has taken nothing for a while. */
  bool sinkFull = false;
  /** The peer says nothing more. */
  bool ended = false;
  /** The socket is closed: in order, or because of a failure of TLS's or an errno. */
  bool closed = false;
  std::string failure;
  int error = 0;
};

/** Is given the news. */
class NewsAnswer : public Answer {
 public:
  MoverNews news;
  napi_value Value(napi_env env) override;
};

/** Bytes that JavaScript has for the peer, which must not be changed until it is answered: they have left, or can't. `{ errno }` */
class SayAnswer : public Answer {
 public:
  SayAnswer(napi_env env, napi_value buffers) : buffers_(env, buffers), error_(buffers_.error) {}
  napi_value Value(napi_env env) override;

  const std::vector<iovec>& parts() const { return buffers_.parts; }
  void Refuse() { error_ = ECANCELED; }

 private:
  HeldBuffers buffers_;
  int error_ = 0;
};

/** Answered when the mover has let go of its pipe. */
class ReleaseAnswer : public Answer {
 public:
  napi_value Value(napi_env) override { return nullptr; }
};

}  // namespace flocker
