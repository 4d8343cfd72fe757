#include "mount.h"

#include <errno.h>
#include <sys/mount.h>

#include "arguments.h"
#include "operations.h"

namespace flocker {

namespace {

/** mount(dataset, directory, flags, options) */
Napi::Value Mount(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string dataset = arguments.Text(0), directory = arguments.Text(1);
  int flags = arguments.Int(2);
  std::string options = arguments.Text(3);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (library.embedded()) outcome.error = ENOTSUP;
    else if (mount(dataset.c_str(), directory.c_str(), "zfs", flags, options.c_str()) != 0) outcome.error = errno;
  });
}

/** unmount(directory, force) */
Napi::Value Unmount(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  std::string directory = arguments.Text(0);
  bool force = arguments.Flag(1);
  if (!arguments.ok()) return {};
  return Call(info, [=](const Library& library, Outcome& outcome) {
    if (library.embedded()) outcome.error = ENOTSUP;
    else if (umount2(directory.c_str(), UMOUNT_NOFOLLOW | (force ? MNT_FORCE : 0)) != 0) outcome.error = errno;
  });
}

}  // namespace

void ExportMounts(Napi::Env env, Napi::Object exports) {
  exports.Set("mount", Napi::Function::New(env, Mount, "mount"));
  exports.Set("unmount", Napi::Function::New(env, Unmount, "unmount"));
}

}  // namespace flocker
