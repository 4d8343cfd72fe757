#include "operations.h"

#include <errno.h>

#include "arguments.h"

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

/** A function of the shape int(nvlist, nvlist** errors). */
using ListFunction = int (*Library::*)(nvlist*, nvlist**);
/** A function of the shape int(name). */
using NameFunction = int (*Library::*)(const char*);
/** A function of the shape int(name, name). */
using TwoNamesFunction = int (*Library::*)(const char*, const char*);

template <ListFunction function>
Napi::Value CallWithList(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  Packed packed = arguments.List(0);
  if (!arguments.ok()) return {};
  return Call(info, [packed](const Library& library, Outcome& outcome) {
    Nvlist list(library), errors(library);
    if ((outcome.error = list.Unpack(packed)) != 0) return;
    outcome.error = (library.*function)(list.get(), errors.Out());
    errors.Pack(&outcome.list);
  });
}

template <NameFunction function>
Napi::Value CallWithName(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  if (!arguments.ok()) return {};
  return Call(info, [name](const Library& library, Outcome& outcome) {
    outcome.error = (library.*function)(name.c_str());
  });
}

template <TwoNamesFunction function>
Napi::Value CallWithTwoNames(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string first = arguments.Text(0), second = arguments.Text(1);
  if (!arguments.ok()) return {};
  return Call(info, [first, second](const Library& library, Outcome& outcome) {
    outcome.error = (library.*function)(first.c_str(), second.c_str());
  });
}

/** create(name, type, properties) */
Napi::Value Create(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  int type = arguments.Int(1);
  Packed packed = arguments.List(2);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    Nvlist properties(library);
    if ((outcome.error = properties.Unpack(packed)) != 0) return;
    outcome.error = library.lzc_create(name.c_str(), type, properties.get(), nullptr, 0);
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

/** getHolds(snapshot) */
Napi::Value GetHolds(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string name = arguments.Text(0);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    Nvlist holds(library);
    outcome.error = library.lzc_get_holds(name.c_str(), holds.Out());
    if (outcome.error == 0) outcome.error = holds.Pack(&outcome.list);
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
  add("rollbackTo", CallWithTwoNames<&Library::lzc_rollback_to>);
  add("release", CallWithList<&Library::lzc_release>);
  add("getHolds", GetHolds);
  add("bookmark", CallWithList<&Library::lzc_bookmark>);
  add("getBookmarks", GetBookmarks);
  add("destroyBookmarks", CallWithList<&Library::lzc_destroy_bookmarks>);
  add("sendSpace", SendSpace);
  add("repack", Repack);
}

}  // namespace flocker
