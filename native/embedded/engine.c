#include "engine.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>

const char flocker_embedded_version[] = FLOCKER_OPENZFS_VERSION;

extern int libzfs_core_init(void);
extern void libzfs_core_fini(void);

static pthread_once_t started = PTHREAD_ONCE_INIT;
static pthread_mutex_t volumes = PTHREAD_MUTEX_INITIALIZER;

// By default the cache takes half of the memory, as if the machine were there for ZFS alone.
static uint64_t CacheSize(void) {
  uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  return MAX(MIN(memory / 8, 512ULL << 20), 64ULL << 20);
}

#ifdef __x86_64__
extern void gcm_ghash_avx(void);
extern int gcm_impl_set(const char *name);

static const void *FileOf(const void *address) {
  Dl_info info;
  return dladdr(address, &info) == 0 ? NULL : info.dli_fbase;
}

// Loaded without RTLD_DEEPBIND, as address sanitizers want it, libzpool finds one of this name in a Node.js executable:
// OpenSSL's, which is another function. Then encryption must do without it.
static void AvoidForeignCode(void) {
  const char *others[] = {"pclmulqdq", "generic"};
  if (FileOf((const void *)gcm_ghash_avx) == FileOf((const void *)spa_create)) return;
  for (int i = 0; i < 2 && gcm_impl_set(others[i]) != 0; i++) {
  }
}
#else
static void AvoidForeignCode(void) {}
#endif

static void Start(void) {
  extern char *spa_config_path;
  extern unsigned zfs_trim_txg_batch __attribute__((weak));
  // The system's own list of pools: those are the kernel's, and opening one here would destroy it.
  spa_config_path = "/dev/null/none";
  zfs_arc_max = CacheSize();
  // The default for the least is more than that on a large machine, and then wins.
  zfs_arc_min = 32ULL << 20;
  zfs_dirty_data_max = 128ULL << 20;
  // Debugging aids that kernels leave out. One of them takes an encrypted block that was received raw for a damaged one.
  zfs_flags = 0;
  // Within so many transaction groups all that is free is given back to the disk. Not every release lets that be said.
  if (&zfs_trim_txg_batch != NULL) zfs_trim_txg_batch = 4;
  // Its threads inherit this one's mask, and must never run a signal handler of the application.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  kernel_init(SPA_MODE_READ | SPA_MODE_WRITE);
  AvoidForeignCode();
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void EngineStart(void) { pthread_once(&started, Start); }

void VolumesLock(void) { pthread_mutex_lock(&volumes); }
void VolumesUnlock(void) { pthread_mutex_unlock(&volumes); }

FLOCKER_EMBEDDED_API int libzfs_core_init(void) {
  EngineStart();
  return 0;
}

FLOCKER_EMBEDDED_API void libzfs_core_fini(void) {}

void PoolNameOf(const char *dataset, char pool[ZFS_MAX_DATASET_NAME_LEN]) {
  size_t length = MIN(strcspn(dataset, "/@#"), ZFS_MAX_DATASET_NAME_LEN - 1);
  memcpy(pool, dataset, length);
  pool[length] = '\0';
}

void ListGive(nvlist_t *list, nvlist_t **out) {
  if (out != NULL) {
    *out = list;
  } else {
    nvlist_free(list);
  }
}
