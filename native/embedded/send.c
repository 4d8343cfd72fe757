/* Sending. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>

#include "engine.h"

/* libzfs_core's enum lzc_send_flags. */
enum { kEmbed = 1, kLargeBlock = 2, kCompress = 4, kRaw = 8, kSaved = 16 };

/* ZFS writes record by record, most of 312 bytes: they are gathered. */
enum { kBufferSize = 256 * 1024 };

typedef struct output {
  int fd;
  /* Why writing ended; libzpool only says that it did. */
  int error;
  size_t used;
  char *buffer;
} output_t;

static int WriteAll(int fd, const char *data, size_t size) {
  while (size > 0) {
    ssize_t written = write(fd, data, size);
    if (written >= 0) {
      data += written;
      size -= written;
    } else if (errno == EAGAIN) {
      struct pollfd polled = {.fd = fd, .events = POLLOUT};
      if (poll(&polled, 1, -1) < 0) return errno;
    } else {
      return errno;
    }
  }
  return 0;
}

static int Write(output_t *output, const char *data, size_t size) {
  if (output->error == 0) output->error = WriteAll(output->fd, data, size);
  return output->error;
}

static int Flush(output_t *output) {
  size_t used = output->used;
  output->used = 0;
  return Write(output, output->buffer, used);
}

static int Gather(objset_t *os, void *data, int length, void *argument) {
  output_t *output = argument;
  if (output->used + length > kBufferSize) {
    int error = Flush(output);
    if (error != 0) return error;
  }
  if (length > kBufferSize) return Write(output, data, length);
  memcpy(output->buffer + output->used, data, length);
  output->used += length;
  return 0;
}

// A reader that is gone is told by EPIPE alone.
static void HoldPipeSignal(sigset_t *before) {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, before);
}

static void DropPipeSignal(const sigset_t *before) {
  sigset_t pipe;
  struct timespec now = {0, 0};
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  while (!sigismember(before, SIGPIPE) && sigtimedwait(&pipe, NULL, &now) == SIGPIPE) {
  }
  pthread_sigmask(SIG_SETMASK, before, NULL);
}

static int Send(const char *snapshot, const char *from, int flags, uint64_t object, uint64_t offset,
                const char *redaction, int fd, dmu_send_outparams_t *out) {
  offset_t position = 0;
  return dmu_send(snapshot, from, (flags & kEmbed) != 0, (flags & kLargeBlock) != 0, (flags & kCompress) != 0,
                  (flags & kRaw) != 0, (flags & kSaved) != 0, object, offset, redaction, fd, &position, out);
}

FLOCKER_EMBEDDED_API int lzc_send_resume_redacted(const char *snapshot, const char *from, int fd, int flags,
                                                  uint64_t object, uint64_t offset, const char *redaction) {
  if (fcntl(fd, F_GETFD) == -1) return EBADF;
  output_t output = {.fd = fd, .buffer = malloc(kBufferSize)};
  if (output.buffer == NULL) return ENOMEM;
  sigset_t before;
  HoldPipeSignal(&before);
  dmu_send_outparams_t out = {.dso_outfunc = Gather, .dso_arg = &output, .dso_dryrun = B_FALSE};
  int error = Send(snapshot, from, flags, object, offset, redaction, fd, &out);
  // Also after a failure: a resumable receiver keeps what it gets.
  (void)Flush(&output);
  DropPipeSignal(&before);
  free(output.buffer);
  return output.error != 0 ? output.error : error;
}

FLOCKER_EMBEDDED_API int lzc_send(const char *snapshot, const char *from, int fd, int flags) {
  return lzc_send_resume_redacted(snapshot, from, fd, flags, 0, 0, NULL);
}

FLOCKER_EMBEDDED_API int lzc_send_redacted(const char *snapshot, const char *from, int fd, int flags,
                                           const char *redaction) {
  return lzc_send_resume_redacted(snapshot, from, fd, flags, 0, 0, redaction);
}

FLOCKER_EMBEDDED_API int lzc_send_resume(const char *snapshot, const char *from, int fd, int flags, uint64_t object,
                                         uint64_t offset) {
  return lzc_send_resume_redacted(snapshot, from, fd, flags, object, offset, NULL);
}

static int Count(objset_t *os, void *data, int length, void *argument) {
  *(uint64_t *)argument += length;
  return 0;
}

typedef struct estimate {
  const char *from;
  int flags;
  /* It can only be had by sending to nowhere. */
  boolean_t walk;
  uint64_t space;
} estimate_t;

static int EstimateFrom(dsl_pool_t *pool, dsl_dataset_t *to, estimate_t *estimate) {
  zfs_bookmark_phys_t bookmark = {0};
  dsl_dataset_t *from = NULL;
  boolean_t compressed = (estimate->flags & (kCompress | kRaw)) != 0, saved = (estimate->flags & kSaved) != 0;
  int error = 0;
  if (estimate->from == NULL) return dmu_send_estimate_fast(to, NULL, NULL, compressed, saved, &estimate->space);
  if (strchr(estimate->from, '#') != NULL) {
    error = dsl_bookmark_lookup(pool, estimate->from, to, &bookmark);
    if (error != 0) return error;
    estimate->walk = bookmark.zbm_redaction_obj != 0 || !(bookmark.zbm_flags & ZBM_FLAG_HAS_FBN);
    if (estimate->walk) return 0;
    return dmu_send_estimate_fast(to, NULL, &bookmark, compressed, saved, &estimate->space);
  }
  if (strchr(estimate->from, '@') == NULL) return EINVAL;
  error = dsl_dataset_hold(pool, estimate->from, FTAG, &from);
  if (error != 0) return error;
  estimate->walk = !dsl_dataset_is_before(to, from, 0);
  if (!estimate->walk) error = dmu_send_estimate_fast(to, from, NULL, compressed, saved, &estimate->space);
  dsl_dataset_rele(from, FTAG);
  return error;
}

static int Estimate(const char *snapshot, estimate_t *estimate) {
  dsl_pool_t *pool;
  dsl_dataset_t *to;
  int error = dsl_pool_hold(snapshot, FTAG, &pool);
  if (error != 0) return error;
  error = dsl_dataset_hold(pool, snapshot, FTAG, &to);
  if (error == 0) {
    error = EstimateFrom(pool, to, estimate);
    dsl_dataset_rele(to, FTAG);
  }
  dsl_pool_rele(pool, FTAG);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_send_space_resume_redacted(const char *snapshot, const char *from, int flags,
                                                        uint64_t object, uint64_t offset, uint64_t done,
                                                        const char *redaction, int fd, uint64_t *space) {
  estimate_t estimate = {.from = from, .flags = flags, .walk = redaction != NULL, .space = 0};
  int error = estimate.walk ? 0 : Estimate(snapshot, &estimate);
  if (error == 0 && estimate.walk) {
    dmu_send_outparams_t out = {.dso_outfunc = Count, .dso_arg = &estimate.space, .dso_dryrun = B_TRUE};
    error = Send(snapshot, from, flags, object, offset, redaction, fd, &out);
  } else if (error == 0) {
    estimate.space -= MIN(estimate.space, done);
  }
  if (error == 0) *space = estimate.space;
  return error;
}

FLOCKER_EMBEDDED_API int lzc_send_space(const char *snapshot, const char *from, int flags, uint64_t *space) {
  return lzc_send_space_resume_redacted(snapshot, from, flags, 0, 0, 0, NULL, -1, space);
}
