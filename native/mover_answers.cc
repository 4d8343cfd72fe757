#include "mover_answers.h"

#include "outcome.h"

namespace flocker {

namespace {

void SetFlag(napi_env env, napi_value object, const char* name, bool flag) {
  napi_value value = nullptr;
  if (flag && napi_get_boolean(env, true, &value) == napi_ok) napi_set_named_property(env, object, name, value);
}

}  // namespace

napi_value NewsAnswer::Value(napi_env env) {
  Outcome outcome;
  outcome.error = news.error;
  outcome.number = news.moved;
  if (!news.failure.empty()) outcome.text = news.failure;
  napi_value object = outcome.ToObject(env), bytes = nullptr;
  if (object == nullptr) return nullptr;
  if (!news.bytes.empty() &&
      napi_create_buffer_copy(env, news.bytes.size(), news.bytes.data(), nullptr, &bytes) == napi_ok) {
    napi_set_named_property(env, object, "bytes", bytes);
  }
  SetFlag(env, object, "sourceEnded", news.sourceEnded);
  SetFlag(env, object, "sinkFull", news.sinkFull);
  SetFlag(env, object, "ended", news.ended);
  SetFlag(env, object, "closed", news.closed);
  return object;
}

napi_value SayAnswer::Value(napi_env env) {
  buffers_.Release(env);
  Outcome outcome;
  outcome.error = error_;
  return outcome.ToObject(env);
}

}  // namespace flocker
