#include "zfs_ioctl.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <sstream>

#include "arguments.h"
#include "ioctl_numbers.h"
#include "operations.h"

namespace flocker {

namespace {

constexpr size_t kFirstListSize = 64 * 1024;
constexpr size_t kLargestListSize = 1024 * 1024 * 1024;
constexpr size_t kBatchSize = 1024 * 1024;

template <size_t size>
bool CopyText(char (&target)[size], const std::string& text) {
  if (text.size() >= size) return false;
  memcpy(target, text.c_str(), text.size() + 1);
  return true;
}

/**
 * An ioctl whose answer is an nvlist of unknown size: where the buffer is too small the kernel says ENOMEM, and the
 * command is made again with a larger one. It says the same for as long as it is itself out of memory. `prepare` is false
 * where a text is too long for the command.
 */
template <typename Prepare>
int Execute(const Library& library, int number, ZfsCommand* command, Packed* buffer, Prepare prepare) {
  for (;;) {
    if (!prepare()) return ENAMETOOLONG;
    command->destination = reinterpret_cast<uint64_t>(buffer->data());
    command->destinationSize = buffer->size();
    command->destinationFilled = 0;
    int error = library.Ioctl(number, command);
    size_t next = std::max<size_t>(buffer->size() * 2, command->destinationSize);
    if (error != ENOMEM || next > kLargestListSize) return error;
    buffer->resize(next);
  }
}

/** How many bytes of the buffer the kernel has filled. */
size_t FilledSize(const ZfsCommand& command, const Packed& buffer) {
  return command.destinationFilled && command.destinationSize <= buffer.size() ? command.destinationSize : 0;
}

template <typename Number>
void Append(Packed* bytes, Number number) {
  auto* start = reinterpret_cast<const uint8_t*>(&number);
  bytes->insert(bytes->end(), start, start + sizeof(number));
}

// The layout that src/datasets/batch.ts reads: five u32, three u64, then name, origin and packed properties.
void AppendEntry(Packed* batch, const ZfsCommand& command, const uint8_t* properties, uint32_t listSize) {
  const DatasetStats& stats = command.stats;
  uint32_t nameSize = strnlen(command.name, sizeof(command.name));
  uint32_t originSize = strnlen(stats.origin, sizeof(stats.origin));
  Append(batch, nameSize);
  Append(batch, originSize);
  Append(batch, listSize);
  Append(batch, static_cast<uint32_t>(stats.type));
  Append(batch, static_cast<uint32_t>(stats.isSnapshot | stats.inconsistent << 1 | stats.redacted << 2));
  Append(batch, stats.clones);
  Append(batch, stats.createtxg);
  Append(batch, stats.guid);
  batch->insert(batch->end(), command.name, command.name + nameSize);
  batch->insert(batch->end(), stats.origin, stats.origin + originSize);
  batch->insert(batch->end(), properties, properties + listSize);
}

/** As AppendEntry, with the properties of these names out of those that the kernel gave; all where there are no names. */
void AppendAnswer(Packed* batch, const ZfsCommand& command, const Packed& buffer,
                  const std::optional<std::vector<std::string>>& names) {
  size_t size = FilledSize(command, buffer);
  if (!names.has_value()) return AppendEntry(batch, command, buffer.data(), size);
  Packed picked = Pick(buffer.data(), size, *names);
  AppendEntry(batch, command, picked.data(), picked.size());
}

/** Names with a $ or % are ZFS's own. */
bool IsHidden(const char* name) { return strpbrk(name, "$%") != nullptr; }

/** One batch of children; the outcome's number is the cookie to go on from, and is absent at the end. */
void ListBatch(const Library& library, int number, const std::string& parent, uint64_t cookie, size_t limit,
               const std::optional<std::vector<std::string>>& names, Outcome* outcome) {
  auto command = std::make_unique<ZfsCommand>();
  Packed buffer(kFirstListSize);
  for (size_t count = 0; count < limit && outcome->list.size() < kBatchSize;) {
    outcome->error = Execute(library, number, command.get(), &buffer, [&] {
      *command = ZfsCommand{};
      command->cookie = cookie;
      return CopyText(command->name, parent);
    });
    // The end of the list; also what it says when the parent is not there.
    if (outcome->error == ESRCH) {
      outcome->error = 0;
      return;
    }
    if (outcome->error != 0) return;
    cookie = command->cookie;
    if (IsHidden(command->name)) continue;
    AppendAnswer(&outcome->list, *command, buffer, names);
    count++;
  }
  outcome->number = cookie;
}

/** Names on lines of their own. */
std::optional<std::vector<std::string>> Lines(const std::optional<std::string>& text) {
  if (!text.has_value()) return std::nullopt;
  std::vector<std::string> lines;
  std::istringstream stream(*text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/** list(snapshots, parent, cookie, limit, names): names of properties, on lines; null for all */
Napi::Value List(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int number = arguments.Flag(0) ? kSnapshotListNext : kDatasetListNext;
  std::string parent = arguments.Text(1);
  uint64_t cookie = arguments.BigInt(2);
  int limit = arguments.Int(3);
  auto names = Lines(arguments.OptionalText(4));
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    ListBatch(library, number, parent, cookie, limit, names, &outcome);
  });
}

/** stats(name, names): a batch of one */
Napi::Value Stats(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  auto names = Lines(arguments.OptionalText(1));
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    auto command = std::make_unique<ZfsCommand>();
    Packed buffer(kFirstListSize);
    outcome.error = Execute(library, kObjsetStats, command.get(), &buffer, [&] {
      *command = ZfsCommand{};
      return CopyText(command->name, name);
    });
    if (outcome.error == 0) AppendAnswer(&outcome.list, *command, buffer, names);
  });
}

/** An ioctl of a name, a value and a list, and a list in return. */
template <int number>
Napi::Value Plain(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  std::string value = arguments.OptionalText(1).value_or("");
  Packed source = arguments.List(2);
  uint64_t cookie = arguments.Flag(3);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    auto command = std::make_unique<ZfsCommand>();
    Packed buffer(kFirstListSize), input(source);
    outcome.error = Execute(library, number, command.get(), &buffer, [&] {
      *command = ZfsCommand{};
      command->cookie = cookie;
      command->source = reinterpret_cast<uint64_t>(input.data());
      command->sourceSize = input.size();
      return CopyText(command->name, name) && CopyText(command->value, value);
    });
    outcome.list.assign(buffer.begin(), buffer.begin() + FilledSize(*command, buffer));
    outcome.number = command->cookie;
  });
}

}  // namespace

void ExportIoctls(Napi::Env env, Napi::Object exports) {
  auto add = [&](const char* name, auto function) { exports.Set(name, Napi::Function::New(env, function, name)); };
  add("list", List);
  add("stats", Stats);
  add("setProperties", Plain<kSetProp>);
  add("inheritProperty", Plain<kInheritProp>);
  add("filesystemProperties", Plain<kObjsetZplProps>);
  add("receivedProperties", Plain<kObjsetReceivedProps>);
  add("poolConfigurations", Plain<kPoolConfigs>);
  add("poolStatus", Plain<kPoolStats>);
  add("poolProperties", Plain<kPoolGetProps>);
}

}  // namespace flocker
