#include "operations.h"

#include "arguments.h"
#include "call_shapes.h"
#include "key.h"

namespace flocker {

namespace {

class CallOperation : public Operation {
 public:
  CallOperation(const Library& library, std::function<void(const Library&, Outcome&)> body)
      : library_(library), body_(std::move(body)) {}
  void Run() override { body_(library_, outcome_); }
  void Fail(int error) override { outcome_.error = error; }
  napi_value Value(napi_env env) override { return outcome_.ToObject(env); }

 private:
  const Library& library_;
  std::function<void(const Library&, Outcome&)> body_;
  Outcome outcome_;
};

/** create(name, type, properties, key) */
Napi::Value Create(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  int type = arguments.Int(1);
  Packed packed = arguments.List(2);
  auto key = Key::Copy(arguments, 3);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    Nvlist properties(library);
    if ((outcome.error = properties.Unpack(packed)) != 0) return;
    outcome.error = library.lzc_create(name.c_str(), type, properties.get(), key->data(), key->size());
  });
}

/** snapshot(names, properties) */
Napi::Value Snapshot(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Packed packedNames = arguments.List(0), packedProperties = arguments.List(1);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    Nvlist names(library), properties(library), errors(library);
    if ((outcome.error = names.Unpack(packedNames)) != 0) return;
    if ((outcome.error = properties.Unpack(packedProperties)) != 0) return;
    outcome.error = library.lzc_snapshot(names.get(), properties.get(), errors.Out());
    errors.Pack(&outcome.list);
  });
}

/** destroySnapshots(names, defer) */
Napi::Value DestroySnapshots(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Packed packed = arguments.List(0);
  bool defer = arguments.Flag(1);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    Nvlist names(library), errors(library);
    if ((outcome.error = names.Unpack(packed)) != 0) return;
    outcome.error = library.lzc_destroy_snaps(names.get(), defer, errors.Out());
    errors.Pack(&outcome.list);
  });
}

/** clone(name, origin, properties) */
Napi::Value Clone(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0), origin = arguments.Text(1);
  Packed packed = arguments.List(2);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    Nvlist properties(library);
    if ((outcome.error = properties.Unpack(packed)) != 0) return;
    outcome.error = library.lzc_clone(name.c_str(), origin.c_str(), properties.get());
  });
}

/** promote(name); the text is the conflicting snapshot's name on EEXIST */
Napi::Value Promote(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    char conflict[256] = {};
    outcome.error = library.lzc_promote(name.c_str(), conflict, sizeof(conflict));
    if (outcome.error == EEXIST) outcome.text = conflict;
  });
}

/** getBookmarks(dataset, properties) */
Napi::Value GetBookmarks(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  Packed packed = arguments.List(1);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    Nvlist properties(library), bookmarks(library);
    if ((outcome.error = properties.Unpack(packed)) != 0) return;
    outcome.error = library.lzc_get_bookmarks(name.c_str(), properties.get(), bookmarks.Out());
    if (outcome.error == 0) outcome.error = bookmarks.Pack(&outcome.list);
  });
}

/** rollback(dataset); the text is the short name of the snapshot that it was rolled back to */
Napi::Value Rollback(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (!Has(library.lzc_rollback, outcome)) return;
    char snapshot[256] = {};
    outcome.error = library.lzc_rollback(name.c_str(), snapshot, sizeof(snapshot));
    if (outcome.error == 0) outcome.text = snapshot;
  });
}

/** redact(snapshot, bookmark's short name, redaction snapshots) */
Napi::Value Redact(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string snapshot = arguments.Text(0), bookmark = arguments.Text(1);
  Packed packed = arguments.List(2);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    Nvlist snapshots(library);
    if (!Has(library.lzc_redact, outcome)) return;
    if ((outcome.error = snapshots.Unpack(packed)) != 0) return;
    outcome.error = library.lzc_redact(snapshot.c_str(), bookmark.c_str(), snapshots.get());
  });
}

/** sendSpace(snapshot, from, flags) */
Napi::Value SendSpace(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string snapshot = arguments.Text(0);
  auto from = arguments.OptionalText(1);
  int flags = arguments.Int(2);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    uint64_t space = 0;
    outcome.error = library.lzc_send_space(snapshot.c_str(), OrNull(from), flags, &space);
    if (outcome.error == 0) outcome.number = space;
  });
}

/** sendSpaceLeft(snapshot, from, flags, resumeObject, resumeOffset, bytes, redactBookmark) */
Napi::Value SendSpaceLeft(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string snapshot = arguments.Text(0);
  auto from = arguments.OptionalText(1), redactBookmark = arguments.OptionalText(6);
  int flags = arguments.Int(2);
  uint64_t object = arguments.BigInt(3), offset = arguments.BigInt(4), bytes = arguments.BigInt(5);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (!Has(library.lzc_send_space_resume_redacted, outcome)) return;
    uint64_t space = 0;
    outcome.error = library.lzc_send_space_resume_redacted(snapshot.c_str(), OrNull(from), flags, object, offset, bytes,
                                                           OrNull(redactBookmark), -1, &space);
    if (outcome.error == 0) outcome.number = space;
  });
}

/** snaprangeSpace(first, last) */
Napi::Value SnaprangeSpace(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string first = arguments.Text(0), last = arguments.Text(1);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (!Has(library.lzc_snaprange_space, outcome)) return;
    uint64_t space = 0;
    outcome.error = library.lzc_snaprange_space(first.c_str(), last.c_str(), &space);
    if (outcome.error == 0) outcome.number = space;
  });
}

/** repack(list): through libnvpair and back, for comparing our encoding with its own */
Napi::Value Repack(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Packed packed = arguments.List(0);
  if (!arguments.ok()) return {};
  LoadFailure failure;
  Library* library = State::Of(info.Env())->loaded(&failure);
  Outcome outcome;
  if (library == nullptr) {
    outcome.error = ENOENT;
  } else {
    Nvlist list(*library);
    outcome.error = list.Unpack(packed);
    if (outcome.error == 0) outcome.error = list.Pack(&outcome.list);
  }
  return Napi::Value(info.Env(), outcome.ToObject(info.Env()));
}

}  // namespace

Library* RequireLibrary(const Napi::CallbackInfo& info) {
  Library* library = State::Of(info.Env())->library();
  if (library == nullptr) napi_throw_error(info.Env(), "ERR_NOT_OPEN", "the library is not open");
  return library;
}

Napi::Value Call(const Napi::CallbackInfo& info, std::function<void(const Library&, Outcome&)> body) {
  Library* library = RequireLibrary(info);
  if (library == nullptr) return {};
  auto operation = std::make_unique<CallOperation>(*library, std::move(body));
  return Napi::Value(info.Env(), State::Of(info.Env())->Run(info.Env(), std::move(operation)));
}

void ExportOperations(Napi::Env env, Napi::Object exports) {
  auto add = [&](const char* name, auto function) { exports.Set(name, Napi::Function::New(env, function, name)); };
  add("create", Create);
  add("snapshot", Snapshot);
  add("destroy", CallWithName<&Library::lzc_destroy>);
  add("destroySnapshots", DestroySnapshots);
  add("rename", CallWithTwoNames<&Library::lzc_rename>);
  add("clone", Clone);
  add("promote", Promote);
  add("rollback", Rollback);
  add("rollbackTo", CallWithTwoNames<&Library::lzc_rollback_to>);
  add("release", CallWithList<&Library::lzc_release>);
  add("getHolds", CallForList<&Library::lzc_get_holds>);
  add("bookmark", CallWithList<&Library::lzc_bookmark>);
  add("getBookmarks", GetBookmarks);
  add("getBookmarkProps", CallForList<&Library::lzc_get_bookmark_props>);
  add("destroyBookmarks", CallWithList<&Library::lzc_destroy_bookmarks>);
  add("redact", Redact);
  add("sendSpace", SendSpace);
  add("sendSpaceLeft", SendSpaceLeft);
  add("snaprangeSpace", SnaprangeSpace);
  add("repack", Repack);
}

}  // namespace flocker
