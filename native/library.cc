#include "library.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

namespace flocker {

namespace {

constexpr char kCore[] = "libzfs_core.so.3";
constexpr char kNvpair[] = "libnvpair.so.3";

std::string LoaderError() {
  const char* text = dlerror();
  return text == nullptr ? "" : text;
}

// A Node.js executable exports OpenSSL functions that have names of libzpool's own: the engine must find its own first. The
// address sanitizer can't have that, and its tests do without TLS.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kEngineFlags = RTLD_NOW | RTLD_LOCAL;
#else
constexpr int kEngineFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif

/** Where the file that holds this address begins, or null. */
const void* FileOf(const void* address) {
  Dl_info info;
  return dladdr(address, &info) == 0 ? nullptr : info.dli_fbase;
}

}  // namespace

std::unique_ptr<Library> Library::Load(const std::string& engine, LoadFailure* failure) {
  std::unique_ptr<Library> library(new Library);
  const char* file = engine.empty() ? kCore : engine.c_str();
  library->handle_ = dlopen(file, engine.empty() ? RTLD_NOW | RTLD_LOCAL : kEngineFlags);
  if (library->handle_ == nullptr) {
    failure->detail = LoaderError();
    bool isNvpair = failure->detail.compare(0, sizeof("libnvpair.so") - 1, "libnvpair.so") == 0;
    failure->library = engine.empty() && isNvpair ? kNvpair : file;
    return nullptr;
  }
  if (!library->Resolve(file, failure)) return nullptr;
  if (!engine.empty() && !library->ResolveEngine(file, failure)) return nullptr;
  return library;
}

// libzpool 2.1 brings the real libzfs_core with it: an lzc function is only ours where lzc_create is. A function that only
// a dependency has counts as missing.
void* Library::Own(const char* name) const {
  void* symbol = dlsym(handle_, name);
  if (symbol == nullptr) return nullptr;
  const void* anchor = dlsym(handle_, "lzc_create");
  return anchor != nullptr && FileOf(symbol) == FileOf(anchor) ? symbol : nullptr;
}

// dlsym on libzfs_core's handle also searches its dependencies: the nvlist functions are those of the very libnvpair
// that libzfs_core itself uses, whatever its soname.
bool Library::Resolve(const char* file, LoadFailure* failure) {
#define FLOCKER_OPTIONAL(name, result, parameters) name = reinterpret_cast<result(*) parameters>(Own(#name));
#define FLOCKER_REQUIRED(name, result, parameters)         \
  FLOCKER_OPTIONAL(name, result, parameters)               \
  if (name == nullptr) {                                   \
    failure->library = file;                               \
    failure->detail = "it has no function " #name;         \
    return false;                                          \
  }
  FLOCKER_LZC_FUNCTIONS(FLOCKER_REQUIRED, FLOCKER_OPTIONAL)
#undef FLOCKER_OPTIONAL
#define FLOCKER_OPTIONAL(name, result, parameters) \
  name = reinterpret_cast<result(*) parameters>(dlsym(handle_, #name));
  FLOCKER_NVPAIR_FUNCTIONS(FLOCKER_REQUIRED)
  return true;
}

bool Library::ResolveEngine(const char* file, LoadFailure* failure) {
  FLOCKER_EMBEDDED_FUNCTIONS(FLOCKER_REQUIRED)
#undef FLOCKER_REQUIRED
#undef FLOCKER_OPTIONAL
  version_ = static_cast<const char*>(dlsym(handle_, "flocker_embedded_version"));
  if (version_ != nullptr) return true;
  failure->library = file;
  failure->detail = LoaderError();
  return false;
}

Library::~Library() {
  if (open_) libzfs_core_fini();
  if (handle_ != nullptr) dlclose(handle_);
}

int Library::Open() {
  if (open_) return 0;
  UniqueFd device;
  if (!embedded()) {
    device.Reset(open("/dev/zfs", O_RDWR | O_CLOEXEC));
    if (!device) return errno;
  }
  int error = libzfs_core_init();
  if (error != 0) return error;
  device_ = std::move(device);
  open_ = true;
  return 0;
}

int Library::Ioctl(unsigned long number, void* command) const {
  if (embedded()) return flocker_embedded_ioctl(number, command);
  return ioctl(device_.get(), number, command) == 0 ? 0 : errno;
}

std::string Library::Path() const {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(lzc_create), &info) == 0 || info.dli_fname == nullptr) return kCore;
  return info.dli_fname;
}

}  // namespace flocker
