/* Pools in files: who has them open, how they begin, grow and end. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/statvfs.h>

#include "engine.h"
#include "label.h"

typedef struct pool {
  struct pool *next;
  char name[ZFS_MAX_DATASET_NAME_LEN];
  char path[PATH_MAX];
  /* The file, with the lock that keeps other processes out. */
  int file;
  int opens;
} pool_t;

static const uint64_t kDefaultSize = 8ULL << 30;
static const uint64_t kLeastSize = 128ULL << 20;
// What the disk below must keep free: a pool whose own writes fail stops for good.
static const uint64_t kDiskReserve = 64ULL << 20;

// Below this what is freed is wanted back from the pool without delay.
static const uint64_t kLowRoom = 256ULL << 20;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pool_t *pools;

static pool_t **Find(const char *name) {
  pool_t **found = &pools;
  while (*found != NULL && strcmp((*found)->name, name) != 0) found = &(*found)->next;
  return found;
}

static pool_t *FindFile(const char *path) {
  pool_t *pool = pools;
  while (pool != NULL && strcmp(pool->path, path) != 0) pool = pool->next;
  return pool;
}

static int ResolvePath(const char *place, const char *name, char path[PATH_MAX]) {
  struct stat status;
  char directory[PATH_MAX];
  if (stat(place, &status) == 0 && S_ISREG(status.st_mode)) return realpath(place, path) == NULL ? errno : 0;
  if (mkdir(place, 0700) != 0 && errno != EEXIST) return errno;
  if (realpath(place, directory) == NULL) return errno;
  return snprintf(path, PATH_MAX, "%s/%s.zpool", directory, name) >= PATH_MAX - 8 ? ENAMETOOLONG : 0;
}

static int OpenLocked(const char *path, int flags, int *file) {
  int opened = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
  if (opened == -1) return errno;
  if (flock(opened, LOCK_EX | LOCK_NB) == 0) {
    *file = opened;
    return 0;
  }
  int error = errno == EWOULDBLOCK ? EBUSY : errno;
  close(opened);
  return error;
}

static nvlist_t *PoolProperties(void) {
  nvlist_t *properties = fnvlist_alloc();
  // The system's list of pools is the kernel's.
  fnvlist_add_string(properties, zpool_prop_to_name(ZPOOL_PROP_CACHEFILE), "none");
  // What is freed goes back to the disk.
  fnvlist_add_uint64(properties, zpool_prop_to_name(ZPOOL_PROP_AUTOTRIM), SPA_AUTOTRIM_ON);
  return properties;
}

static nvlist_t *NewPoolProperties(void) {
  nvlist_t *properties = PoolProperties();
  for (int i = 0; i < SPA_FEATURES; i++) {
    char name[MAXNAMELEN];
    (void)snprintf(name, sizeof(name), "feature@%s", spa_feature_table[i].fi_uname);
    fnvlist_add_uint64(properties, name, 0);
  }
  return properties;
}

static nvlist_t *NewTree(const char *path) {
  nvlist_t *root = fnvlist_alloc(), *file = fnvlist_alloc();
  fnvlist_add_string(file, ZPOOL_CONFIG_TYPE, VDEV_TYPE_FILE);
  fnvlist_add_string(file, ZPOOL_CONFIG_PATH, path);
  fnvlist_add_uint64(file, ZPOOL_CONFIG_ASHIFT, 12);
  fnvlist_add_string(root, ZPOOL_CONFIG_TYPE, VDEV_TYPE_ROOT);
#if FLOCKER_OPENZFS >= 202
  fnvlist_add_nvlist_array(root, ZPOOL_CONFIG_CHILDREN, (const nvlist_t *const *)&file, 1);
#else
  fnvlist_add_nvlist_array(root, ZPOOL_CONFIG_CHILDREN, &file, 1);
#endif
  nvlist_free(file);
  return root;
}

#if FLOCKER_OPENZFS < 202
// An idle trim thread looks up only where a transaction group begins, which can take five seconds, and the pool waits for it.
static void SetTrim(const char *name, uint64_t trim) {
  spa_t *spa;
  if (spa_open(name, &spa, FTAG) != 0) return;
  spa->spa_autotrim = trim;
  if (trim == SPA_AUTOTRIM_OFF) {
    txg_wait_open(spa_get_dsl(spa), 0, B_TRUE);
  } else {
    spa_async_request(spa, SPA_ASYNC_AUTOTRIM_RESTART);
  }
  spa_close(spa, FTAG);
}
#else
static void SetTrim(const char *name, uint64_t trim) {}
#endif

static int Export(const char *name) {
  SetTrim(name, SPA_AUTOTRIM_OFF);
  int error = spa_export(name, NULL, B_FALSE, B_FALSE);
  if (error != 0) SetTrim(name, SPA_AUTOTRIM_ON);
  return error;
}

static int Format(const char *path, const char *name) {
  nvlist_t *tree = NewTree(path), *properties = NewPoolProperties();
  int error = spa_create(name, tree, properties, NULL, NULL);
  nvlist_free(tree);
  nvlist_free(properties);
  return error != 0 ? error : Export(name);
}

// The pool gets its file name when it is whole: a crash on the way leaves no half-made one, and of two who make one at the
// same time the second fails.
static int CreateFile(const char *path, const char *name, uint64_t size, int *file) {
  char partial[PATH_MAX + 8];
  (void)snprintf(partial, sizeof(partial), "%s.new", path);
  int error = OpenLocked(partial, O_CREAT, file);
  if (error != 0) return error;
  if (ftruncate(*file, 0) != 0 || ftruncate(*file, P2ROUNDUP_TYPED(size, 1 << 20, uint64_t)) != 0) error = errno;
  if (error == 0) error = Format(partial, name);
  if (error == 0 && link(partial, path) != 0) error = errno == EEXIST ? EBUSY : errno;
  (void)unlink(partial);
  if (error != 0) close(*file);
  return error;
}

static int Import(const pool_t *pool) {
  nvlist_t *config, *properties = PoolProperties();
  int error = LabelRead(pool->file, pool->path, pool->name, &config);
  if (error == 0) {
    error = spa_import((char *)pool->name, config, properties, ZFS_IMPORT_NORMAL);
    nvlist_free(config);
  }
  nvlist_free(properties);
  return error;
}

static int OpenNew(const char *path, const char *name, uint64_t size) {
  pool_t *pool = calloc(1, sizeof(*pool));
  if (pool == NULL) return ENOMEM;
  CopyText(pool->name, name, sizeof(pool->name));
  CopyText(pool->path, path, sizeof(pool->path));
  int error = OpenLocked(path, 0, &pool->file);
  if (error == ENOENT) error = CreateFile(path, name, MAX(size == 0 ? kDefaultSize : size, kLeastSize), &pool->file);
  if (error != 0) {
    free(pool);
    return error;
  }
  error = Import(pool);
  if (error != 0) {
    close(pool->file);
    free(pool);
    return error;
  }
  pool->opens = 1;
  pool->next = pools;
  pools = pool;
  return 0;
}

static int Open(const char *place, const char *name, uint64_t size) {
  char path[PATH_MAX];
  int error = ResolvePath(place, name, path);
  if (error != 0) return error;
  pool_t *open = *Find(name);
  if (open == NULL) return FindFile(path) != NULL ? EINVAL : OpenNew(path, name, size);
  if (strcmp(open->path, path) != 0) return EEXIST;
  open->opens++;
  return 0;
}

// The pool's threads are made here and inherit the signal mask: none may run the application's handlers.
static void BlockSignals(sigset_t *before) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, before);
}

FLOCKER_EMBEDDED_API int flocker_embedded_pool_open(const char *place, const char *name, uint64_t size) {
  sigset_t before;
  if (pool_namecheck(name, NULL, NULL) != 0) return EINVAL;
  EngineStart();
  BlockSignals(&before);
  pthread_mutex_lock(&lock);
  int error = Open(place, name, size);
  pthread_mutex_unlock(&lock);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

static int Close(pool_t **found) {
  pool_t *pool = *found;
  if (pool == NULL) return ENOENT;
  if (pool->opens > 1) {
    pool->opens--;
    return 0;
  }
  int error = Export(pool->name);
  if (error != 0) return error;
  *found = pool->next;
  close(pool->file);
  free(pool);
  return 0;
}

FLOCKER_EMBEDDED_API int flocker_embedded_pool_close(const char *name) {
  pthread_mutex_lock(&lock);
  int error = Close(Find(name));
  pthread_mutex_unlock(&lock);
  return error;
}

static int Grow(const pool_t *pool, uint64_t size) {
  struct stat status;
  spa_t *spa;
  vdev_state_t state;
  if (fstat(pool->file, &status) != 0) return errno;
  size = P2ROUNDUP_TYPED(size, 1 << 20, uint64_t);
  if (size <= (uint64_t)status.st_size) return 0;
  if (ftruncate(pool->file, size) != 0) return errno;
  int error = spa_open(pool->name, &spa, FTAG);
  if (error != 0) return error;
  error = vdev_online(spa, spa->spa_root_vdev->vdev_child[0]->vdev_guid, ZFS_ONLINE_EXPAND, &state);
  // The new space is there as soon as the configuration that says so is written.
  if (error == 0) txg_wait_synced(spa_get_dsl(spa), 0);
  spa_close(spa, FTAG);
  return error;
}

FLOCKER_EMBEDDED_API int flocker_embedded_pool_grow(const char *name, uint64_t size) {
  pthread_mutex_lock(&lock);
  pool_t *pool = *Find(name);
  int error = pool == NULL ? ENOENT : Grow(pool, size);
  pthread_mutex_unlock(&lock);
  return error;
}

int PoolSync(const char *dataset) {
  spa_t *spa;
  int error = spa_open(dataset, &spa, FTAG);
  if (error != 0) return error;
  txg_wait_synced(spa_get_dsl(spa), 0);
  spa_close(spa, FTAG);
  return 0;
}

typedef struct space {
  uint64_t total, left;
  /* Taken, but not written and not yet off `left`. */
  uint64_t waiting;
} space_t;

static int ReadSpace(const char *name, space_t *space) {
  spa_t *spa;
  int error = spa_open(name, &spa, FTAG);
  if (error != 0) return error;
  space->total = metaslab_class_get_space(spa_normal_class(spa));
  space->left = space->total - MIN(space->total, metaslab_class_get_alloc(spa_normal_class(spa)));
  space->waiting = spa_get_dsl(spa)->dp_dirty_total;
  spa_close(spa, FTAG);
  return 0;
}

static int DiskFree(const pool_t *pool, uint64_t *free) {
  struct statvfs disk;
  if (fstatvfs(pool->file, &disk) != 0) return errno;
  *free = (uint64_t)disk.f_bavail * disk.f_frsize;
  return 0;
}

// Has what is free in the pool given back to the disk at once, where this release can be told to.
static int HurryTrim(const char *name) {
  extern void vdev_autotrim_kick(spa_t *) __attribute__((weak));
  spa_t *spa;
  if (vdev_autotrim_kick == NULL) return 0;
  int error = spa_open(name, &spa, FTAG);
  if (error != 0) return error;
  spa_config_enter(spa, SCL_CONFIG, FTAG, RW_READER);
  vdev_autotrim_kick(spa);
  spa_config_exit(spa, SCL_CONFIG, FTAG);
  spa_close(spa, FTAG);
  return 0;
}

/** What is there without what must stay and what waits to be written, of which the disk may not know yet. */
static int ReadRoom(const pool_t *pool, space_t *space, uint64_t *room) {
  uint64_t free;
  int error = ReadSpace(pool->name, space);
  if (error == 0) error = DiskFree(pool, &free);
  if (error != 0) return error;
  *room = free - MIN(free, kDiskReserve + 2 * space->waiting);
  return *room < kLowRoom ? HurryTrim(pool->name) : 0;
}

static int Reserve(const pool_t *pool, uint64_t bytes) {
  space_t space;
  uint64_t room;
  int error = ReadRoom(pool, &space, &room);
  // What waits may take less than was put aside for it.
  if (error == 0 && room < bytes && space.waiting > 0) {
    error = PoolSync(pool->name);
    if (error == 0) error = ReadRoom(pool, &space, &room);
  }
  if (error != 0) return error;
  if (room < bytes) return ENOSPC;
  // The pool keeps a part for itself, and tells all that may wait to be written off what is left.
  uint64_t margin = 2 * zfs_dirty_data_max;
  if (space.left > bytes + margin + space.total / 4) return 0;
  return Grow(pool, 2 * (space.total + bytes + margin));
}

int PoolReserve(const char *dataset, uint64_t bytes) {
  char name[ZFS_MAX_DATASET_NAME_LEN];
  PoolNameOf(dataset, name);
  pthread_mutex_lock(&lock);
  pool_t *pool = *Find(name);
  int error = pool == NULL ? ENOENT : Reserve(pool, bytes);
  pthread_mutex_unlock(&lock);
  return error;
}

uint64_t PoolRoom(const char *dataset) {
  char name[ZFS_MAX_DATASET_NAME_LEN];
  space_t space;
  uint64_t room = 0;
  PoolNameOf(dataset, name);
  pthread_mutex_lock(&lock);
  pool_t *pool = *Find(name);
  int error = pool == NULL ? ENOENT : ReadRoom(pool, &space, &room);
  pthread_mutex_unlock(&lock);
  return error != 0 ? UINT64_MAX : room - MIN(room, 2 * kReserveStep);
}
