#include "library.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>

namespace flocker {

namespace {

constexpr char kCore[] = "libzfs_core.so.3";
constexpr char kNvpair[] = "libnvpair.so.3";

std::string LoaderError() {
  const char* text = dlerror();
  return text == nullptr ? "" : text;
}

}  // namespace

std::unique_ptr<Library> Library::Load(LoadFailure* failure) {
  std::unique_ptr<Library> library(new Library);
  library->handle_ = dlopen(kCore, RTLD_NOW | RTLD_LOCAL);
  if (library->handle_ == nullptr) {
    failure->detail = LoaderError();
    failure->library = failure->detail.compare(0, sizeof("libnvpair.so") - 1, "libnvpair.so") == 0 ? kNvpair : kCore;
    return nullptr;
  }
  if (!library->Resolve(failure)) return nullptr;
  return library;
}

// dlsym on libzfs_core's handle also searches its dependencies: the nvlist functions are those of the very libnvpair
// that libzfs_core itself uses, whatever its soname.
bool Library::Resolve(LoadFailure* failure) {
#define FLOCKER_OPTIONAL(name, result, parameters) \
  name = reinterpret_cast<result(*) parameters>(dlsym(handle_, #name));
#define FLOCKER_REQUIRED(name, result, parameters) \
  FLOCKER_OPTIONAL(name, result, parameters)       \
  if (name == nullptr) {                           \
    failure->library = kCore;                      \
    failure->detail = LoaderError();               \
    return false;                                  \
  }
  FLOCKER_LZC_FUNCTIONS(FLOCKER_REQUIRED, FLOCKER_OPTIONAL)
  FLOCKER_NVPAIR_FUNCTIONS(FLOCKER_REQUIRED)
#undef FLOCKER_REQUIRED
#undef FLOCKER_OPTIONAL
  return true;
}

Library::~Library() {
  if (open_) libzfs_core_fini();
  if (handle_ != nullptr) dlclose(handle_);
}

int Library::Open() {
  if (open_) return 0;
  UniqueFd device(open("/dev/zfs", O_RDWR | O_CLOEXEC));
  if (!device) return errno;
  int error = libzfs_core_init();
  if (error != 0) return error;
  device_ = std::move(device);
  open_ = true;
  return 0;
}

std::vector<std::string> Library::Features() const {
  std::vector<std::string> names;
#define FLOCKER_REQUIRED(name, result, parameters)
#define FLOCKER_OPTIONAL(name, result, parameters) \
  if (name != nullptr) names.push_back(#name);
  FLOCKER_LZC_FUNCTIONS(FLOCKER_REQUIRED, FLOCKER_OPTIONAL)
#undef FLOCKER_REQUIRED
#undef FLOCKER_OPTIONAL
  return names;
}

std::string Library::Path() const {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(lzc_create), &info) == 0 || info.dli_fname == nullptr) return kCore;
  return info.dli_fname;
}

}  // namespace flocker
