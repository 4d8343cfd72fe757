#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "unique_fd.h"

struct nvlist;  // libnvpair's, never looked into

namespace flocker {

/** libspl's boolean_t is an enum, an int in C. */
using boolean = int;

/**
 * Every libzfs_core function that this addon calls, as OpenZFS 2.1 to 2.4 declare it (include/libzfs_core.h). Nothing works
 * without REQUIRED ones; OPTIONAL ones are null where the loaded library is older, or is the embedded engine, which lacks them.
 */
#define FLOCKER_LZC_FUNCTIONS(REQUIRED, OPTIONAL)                                                                     \
  REQUIRED(libzfs_core_init, int, (void))                                                                             \
  REQUIRED(libzfs_core_fini, void, (void))                                                                            \
  REQUIRED(lzc_create, int, (const char*, int, nvlist*, uint8_t*, unsigned))                                          \
  REQUIRED(lzc_snapshot, int, (nvlist*, nvlist*, nvlist**))                                                           \
  REQUIRED(lzc_destroy, int, (const char*))                                                                           \
  REQUIRED(lzc_destroy_snaps, int, (nvlist*, boolean, nvlist**))                                                      \
  REQUIRED(lzc_rename, int, (const char*, const char*))                                                               \
  REQUIRED(lzc_clone, int, (const char*, const char*, nvlist*))                                                       \
  REQUIRED(lzc_promote, int, (const char*, char*, int))                                                               \
  REQUIRED(lzc_rollback_to, int, (const char*, const char*))                                                          \
  REQUIRED(lzc_hold, int, (nvlist*, int, nvlist**))                                                                   \
  REQUIRED(lzc_release, int, (nvlist*, nvlist**))                                                                     \
  REQUIRED(lzc_get_holds, int, (const char*, nvlist**))                                                               \
  REQUIRED(lzc_bookmark, int, (nvlist*, nvlist**))                                                                    \
  REQUIRED(lzc_get_bookmarks, int, (const char*, nvlist*, nvlist**))                                                  \
  REQUIRED(lzc_destroy_bookmarks, int, (nvlist*, nvlist**))                                                           \
  REQUIRED(lzc_send_space, int, (const char*, const char*, int, uint64_t*))                                           \
  REQUIRED(lzc_send_resume_redacted, int, (const char*, const char*, int, int, uint64_t, uint64_t, const char*))      \
  REQUIRED(lzc_receive_with_cmdprops, int,                                                                            \
           (const char*, nvlist*, nvlist*, uint8_t*, unsigned, const char*, boolean, boolean, boolean, int,           \
            const void*, int, uint64_t*, uint64_t*, uint64_t*, nvlist**))                                             \
  OPTIONAL(lzc_rollback, int, (const char*, char*, int))                                                              \
  OPTIONAL(lzc_get_bookmark_props, int, (const char*, nvlist**))                                                      \
  OPTIONAL(lzc_snaprange_space, int, (const char*, const char*, uint64_t*))                                           \
  OPTIONAL(lzc_send_space_resume_redacted, int,                                                                       \
           (const char*, const char*, int, uint64_t, uint64_t, uint64_t, const char*, int, uint64_t*))                \
  OPTIONAL(lzc_redact, int, (const char*, const char*, nvlist*))                                                      \
  OPTIONAL(lzc_load_key, int, (const char*, boolean, uint8_t*, unsigned))                                             \
  OPTIONAL(lzc_unload_key, int, (const char*))                                                                        \
  OPTIONAL(lzc_change_key, int, (const char*, uint64_t, nvlist*, uint8_t*, unsigned))                                 \
  OPTIONAL(lzc_channel_program, int, (const char*, const char*, uint64_t, uint64_t, nvlist*, nvlist**))               \
  OPTIONAL(lzc_channel_program_nosync, int, (const char*, const char*, uint64_t, uint64_t, nvlist*, nvlist**))        \
  OPTIONAL(lzc_sync, int, (const char*, nvlist*, nvlist**))                                                           \
  OPTIONAL(lzc_reopen, int, (const char*, boolean))                                                                   \
  OPTIONAL(lzc_pool_checkpoint, int, (const char*))                                                                   \
  OPTIONAL(lzc_pool_checkpoint_discard, int, (const char*))                                                           \
  OPTIONAL(lzc_initialize, int, (const char*, int, nvlist*, nvlist**))                                                \
  OPTIONAL(lzc_trim, int, (const char*, int, uint64_t, boolean, nvlist*, nvlist**))                                   \
  OPTIONAL(lzc_wait, int, (const char*, int, boolean*))                                                               \
  OPTIONAL(lzc_wait_tag, int, (const char*, int, uint64_t, boolean*))                                                 \
  OPTIONAL(lzc_wait_fs, int, (const char*, int, boolean*))                                                            \
  OPTIONAL(lzc_set_bootenv, int, (const char*, const nvlist*))                                                        \
  OPTIONAL(lzc_get_bootenv, int, (const char*, nvlist**))                                                             \
  OPTIONAL(lzc_receive_with_heal, int,                                                                                \
           (const char*, nvlist*, nvlist*, uint8_t*, unsigned, const char*, boolean, boolean, boolean, boolean, int,  \
            const void*, int, uint64_t*, uint64_t*, uint64_t*, nvlist**))                                             \
  OPTIONAL(lzc_scrub, int, (int, const char*, nvlist*, nvlist**))                                                     \
  OPTIONAL(lzc_get_vdev_prop, int, (const char*, nvlist*, nvlist**))                                                  \
  OPTIONAL(lzc_set_vdev_prop, int, (const char*, nvlist*, nvlist**))                                                  \
  OPTIONAL(lzc_get_props, int, (const char*, nvlist**))                                                               \
  OPTIONAL(lzc_pool_prefetch, int, (const char*, int))                                                                \
  OPTIONAL(lzc_ddt_prune, int, (const char*, int, uint64_t))

#define FLOCKER_NVPAIR_FUNCTIONS(REQUIRED)                                        \
  REQUIRED(nvlist_free, void, (nvlist*))                                          \
  REQUIRED(nvlist_empty, boolean, (const nvlist*))                                \
  REQUIRED(nvlist_size, int, (nvlist*, size_t*, int))                             \
  REQUIRED(nvlist_pack, int, (nvlist*, char**, size_t*, int, int))                \
  REQUIRED(nvlist_unpack, int, (char*, size_t, nvlist**, int))

/** What the embedded engine has besides, see embedded/flocker_embedded.h; null for libzfs_core. */
#define FLOCKER_EMBEDDED_FUNCTIONS(REQUIRED)                                              \
  REQUIRED(flocker_embedded_pool_open, int, (const char*, const char*, uint64_t))         \
  REQUIRED(flocker_embedded_pool_close, int, (const char*))                               \
  REQUIRED(flocker_embedded_ioctl, int, (unsigned long, void*))                           \
  REQUIRED(flocker_embedded_volume_read, int, (const char*, uint64_t, void*, size_t))     \
  REQUIRED(flocker_embedded_volume_write, int, (const char*, uint64_t, const void*, size_t)) \
  REQUIRED(flocker_embedded_volume_discard, int, (const char*, uint64_t, uint64_t))       \
  REQUIRED(flocker_embedded_volume_flush, int, (const char*))                             \
  REQUIRED(flocker_embedded_cleanup_open, int, (void))                                    \
  REQUIRED(flocker_embedded_cleanup_close, int, (int))

/** Why libzfs_core, or the embedded engine, can't be used. */
struct LoadFailure {
  /** The soname of the library that is missing, or the engine's path; or empty. */
  std::string library;
  /** dlerror's sentence, or empty. */
  std::string detail;
  /** What opening /dev/zfs gave, or 0. */
  int error = 0;
};

/**
 * libzfs_core and libnvpair, or the embedded engine in their place, loaded at run time so that the addon also loads where they are not installed. One per
 * environment: dlopen and libzfs_core's own initialisation both count references and may be used from several threads.
 */
class Library {
 public:
  /**
   * Null, and the failure filled in, when a library or a function that every supported release has is missing.
   * `engine` is the embedded engine's path; empty for the kernel's libzfs_core.
   */
  static std::unique_ptr<Library> Load(const std::string& engine, LoadFailure* failure);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  /** Opens /dev/zfs, for libzfs_core and for our own ioctls; the embedded engine has none. Returns 0 or an errno. Idempotent. */
  int Open();
  /** One of /dev/zfs's ioctls. Returns 0 or an errno. Valid after Open. */
  int Ioctl(unsigned long number, void* command) const;
  bool embedded() const { return version_ != nullptr; }
  /** The embedded engine's OpenZFS release, or null. */
  const char* version() const { return version_; }
  /** Whether this library has a function of libzfs_core's, called here or not. */
  bool Has(const char* name) const { return Own(name) != nullptr; }
  /** The file that was loaded. */
  std::string Path() const;

#define FLOCKER_MEMBER(name, result, parameters) result(*name) parameters = nullptr;
  FLOCKER_LZC_FUNCTIONS(FLOCKER_MEMBER, FLOCKER_MEMBER)
  FLOCKER_NVPAIR_FUNCTIONS(FLOCKER_MEMBER)
  FLOCKER_EMBEDDED_FUNCTIONS(FLOCKER_MEMBER)
#undef FLOCKER_MEMBER

 private:
  Library() = default;
  bool Resolve(const char* file, LoadFailure* failure);
  bool ResolveEngine(const char* file, LoadFailure* failure);
  void* Own(const char* name) const;

  void* handle_ = nullptr;
  const char* version_ = nullptr;
  UniqueFd device_;
  bool open_ = false;
};

}  // namespace flocker
