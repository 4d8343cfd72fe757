#include "engine.h"

#include <errno.h>

#include "arguments.h"
#include "operations.h"

namespace flocker {

namespace {

constexpr uint64_t kMostRead = 1024 * 1024 * 1024;

/** As Call, where the embedded engine is loaded. */
Napi::Value CallEngine(const Napi::CallbackInfo& info, std::function<void(const Library&, Outcome&)> body) {
  return Call(info, [body = std::move(body)](const Library& library, Outcome& outcome) {
    if (library.embedded()) body(library, outcome);
    else outcome.error = ENOTSUP;
  });
}

/** poolOpen(directory, pool, size) */
Napi::Value PoolOpen(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string directory = arguments.Text(0), pool = arguments.Text(1);
  uint64_t size = arguments.BigInt(2);
  if (!arguments.ok()) return {};
  return CallEngine(info, [=](const Library& library, Outcome& outcome) {
    outcome.error = library.flocker_embedded_pool_open(directory.c_str(), pool.c_str(), size);
  });
}

/** poolClose(pool) */
Napi::Value PoolClose(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string pool = arguments.Text(0);
  if (!arguments.ok()) return {};
  return CallEngine(info, [=](const Library& library, Outcome& outcome) {
    outcome.error = library.flocker_embedded_pool_close(pool.c_str());
  });
}

/** volumeRead(dataset, offset, length): the list is the bytes. EINVAL for more than 1 GiB. */
Napi::Value VolumeRead(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string dataset = arguments.Text(0);
  uint64_t offset = arguments.BigInt(1), length = arguments.BigInt(2);
  if (!arguments.ok()) return {};
  return CallEngine(info, [=](const Library& library, Outcome& outcome) {
    if (length > kMostRead) {
      outcome.error = EINVAL;
      return;
    }
    outcome.list.resize(length);
    outcome.error = library.flocker_embedded_volume_read(dataset.c_str(), offset, outcome.list.data(), length);
    if (outcome.error != 0) outcome.list.clear();
  });
}

/** volumeWrite(dataset, offset, bytes): the bytes are copied first */
Napi::Value VolumeWrite(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string dataset = arguments.Text(0);
  uint64_t offset = arguments.BigInt(1);
  auto bytes = std::make_shared<Packed>(arguments.List(2));
  if (!arguments.ok()) return {};
  return CallEngine(info, [=](const Library& library, Outcome& outcome) {
    outcome.error = library.flocker_embedded_volume_write(dataset.c_str(), offset, bytes->data(), bytes->size());
  });
}

/** volumeDiscard(dataset, offset, length) */
Napi::Value VolumeDiscard(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string dataset = arguments.Text(0);
  uint64_t offset = arguments.BigInt(1), length = arguments.BigInt(2);
  if (!arguments.ok()) return {};
  return CallEngine(info, [=](const Library& library, Outcome& outcome) {
    outcome.error = library.flocker_embedded_volume_discard(dataset.c_str(), offset, length);
  });
}

/** volumeFlush(dataset) */
Napi::Value VolumeFlush(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string dataset = arguments.Text(0);
  if (!arguments.ok()) return {};
  return CallEngine(info, [=](const Library& library, Outcome& outcome) {
    outcome.error = library.flocker_embedded_volume_flush(dataset.c_str());
  });
}

}  // namespace

void ExportEngine(Napi::Env env, Napi::Object exports) {
  auto add = [&](const char* name, auto function) { exports.Set(name, Napi::Function::New(env, function, name)); };
  add("poolOpen", PoolOpen);
  add("poolClose", PoolClose);
  add("volumeRead", VolumeRead);
  add("volumeWrite", VolumeWrite);
  add("volumeDiscard", VolumeDiscard);
  add("volumeFlush", VolumeFlush);
}

}  // namespace flocker
