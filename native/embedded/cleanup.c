/*
 * Temporary holds. In the kernel closing a descriptor of /dev/zfs releases them; libzpool leaves out what does that, the
 * zfs_onexit_* functions, which are therefore here: it calls these in the place of its own.
 */

#include "engine.h"

#include <fcntl.h>
#include <pthread.h>

typedef struct action {
  struct action *next;
  void (*function)(void *);
  void *data;
} action_t;

typedef struct cleanup {
  struct cleanup *next;
  int descriptor;
  action_t *actions;
} cleanup_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static cleanup_t *cleanups;

static cleanup_t **Find(int descriptor) {
  cleanup_t **found = &cleanups;
  while (*found != NULL && (*found)->descriptor != descriptor) found = &(*found)->next;
  return found;
}

// A descriptor of its own makes the number unique, and closing it by mistake harmless.
FLOCKER_EMBEDDED_API int flocker_embedded_cleanup_open(void) {
  cleanup_t *cleanup = calloc(1, sizeof(*cleanup));
  if (cleanup == NULL) return -1;
  cleanup->descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (cleanup->descriptor == -1) {
    free(cleanup);
    return -1;
  }
  pthread_mutex_lock(&lock);
  cleanup->next = cleanups;
  cleanups = cleanup;
  pthread_mutex_unlock(&lock);
  return cleanup->descriptor;
}

FLOCKER_EMBEDDED_API int flocker_embedded_cleanup_close(int descriptor) {
  pthread_mutex_lock(&lock);
  cleanup_t **found = Find(descriptor), *cleanup = *found;
  if (cleanup != NULL) *found = cleanup->next;
  pthread_mutex_unlock(&lock);
  if (cleanup == NULL) return EBADF;
  for (action_t *action = cleanup->actions, *next; action != NULL; action = next) {
    next = action->next;
    action->function(action->data);
    free(action);
  }
  close(cleanup->descriptor);
  free(cleanup);
  return 0;
}

// A minor number of 0 means "not temporary".
FLOCKER_EMBEDDED_API zfs_file_t *zfs_onexit_fd_hold(int descriptor, minor_t *minor) {
  pthread_mutex_lock(&lock);
  cleanup_t *cleanup = *Find(descriptor);
  pthread_mutex_unlock(&lock);
  *minor = descriptor + 1;
  return (zfs_file_t *)cleanup;
}

// libzpool takes no refusal here. What can't be kept is released as dead processes' holds are, at the pool's next opening.
FLOCKER_EMBEDDED_API int zfs_onexit_add_cb(minor_t minor, void (*function)(void *), void *data, uintptr_t *handle) {
  action_t *action = calloc(1, sizeof(*action));
  if (handle != NULL) *handle = (uintptr_t)action;
  if (action == NULL) return 0;
  action->function = function;
  action->data = data;
  pthread_mutex_lock(&lock);
  cleanup_t *cleanup = *Find((int)minor - 1);
  if (cleanup != NULL) {
    action->next = cleanup->actions;
    cleanup->actions = action;
  }
  pthread_mutex_unlock(&lock);
  if (cleanup == NULL) free(action);
  return 0;
}
