/*
 * The files that libzpool reads and writes. It calls these in the place of its own, which split every write in two at random
 * (for its test program's sake) and leave the pool's file open in child processes.
 */
#include <fcntl.h>

#include "engine.h"
#include "record.h"

enum { kStreamMark = -1794, kStreamBuffer = 256 * 1024 };

/* A stream to receive. libzpool knows the first member only. */
typedef struct stream {
  zfs_file_t file;
  char pool[ZFS_MAX_DATASET_NAME_LEN];
  size_t start, end;
  uint64_t reserved;
  records_t records;
  unsigned char buffer[kStreamBuffer];
} stream_t;

zfs_file_t *StreamOpen(int fd, const char *dataset, uint32_t payload, boolean_t raw) {
  stream_t *stream = malloc(sizeof(*stream));
  if (stream == NULL) return NULL;
  stream->file.f_fd = fd;
  stream->file.f_dump_fd = kStreamMark;
  stream->start = stream->end = stream->reserved = 0;
  memset(&stream->records, 0, sizeof(stream->records));
  stream->records.payloadLeft = payload;
  stream->records.raw = raw;
  PoolNameOf(dataset, stream->pool);
  return &stream->file;
}

// What was read ahead of the stream's end is given back where that is possible: in a file, not in a pipe.
void StreamClose(zfs_file_t *file) {
  stream_t *stream = (stream_t *)file;
  if (stream->end > stream->start) (void)lseek(file->f_fd, -(off_t)(stream->end - stream->start), SEEK_CUR);
  free(stream);
}

static int Fill(stream_t *stream) {
  ssize_t count;
  if (stream->reserved < kStreamBuffer) {
    int error = PoolReserve(stream->pool, 2 * kReserveStep);
    if (error != 0) return error;
    stream->reserved = kReserveStep;
  }
  do count = read(stream->file.f_fd, stream->buffer, kStreamBuffer);
  while (count < 0 && errno == EINTR);
  if (count < 0) return errno;
  stream->start = 0;
  stream->end = count;
  stream->reserved -= count;
  return RecordsCheck(&stream->records, stream->buffer, count);
}

static int StreamRead(stream_t *stream, void *buffer, size_t count, ssize_t *left) {
  if (stream->start == stream->end) {
    int error = Fill(stream);
    if (error != 0) {
      // Nothing read would be taken for the stream's end, whatever the error.
      if (left != NULL) *left = 0;
      return error;
    }
  }
  size_t taken = MIN(count, stream->end - stream->start);
  memcpy(buffer, stream->buffer + stream->start, taken);
  stream->start += taken;
  if (left != NULL) {
    *left = count - taken;
  } else if (taken != count) {
    return EIO;
  }
  return 0;
}

FLOCKER_EMBEDDED_API int zfs_file_read(zfs_file_t *file, void *buffer, size_t count, ssize_t *left) {
  if (file->f_dump_fd == kStreamMark) return StreamRead((stream_t *)file, buffer, count, left);
  ssize_t done = read(file->f_fd, buffer, count);
  if (done < 0) return errno;
  if (left != NULL) {
    *left = count - done;
  } else if ((size_t)done != count) {
    return EIO;
  }
  return 0;
}

FLOCKER_EMBEDDED_API int zfs_file_pwrite(zfs_file_t *file, const void *buffer, size_t count, loff_t offset,
                                         ssize_t *left) {
  size_t done = 0;
  while (done < count) {
    ssize_t written = pwrite(file->f_fd, (const char *)buffer + done, count - done, offset + done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    done += written;
  }
  if (left != NULL) *left = 0;
  return 0;
}

FLOCKER_EMBEDDED_API int zfs_file_open(const char *path, int flags, int mode, zfs_file_t **file) {
  int descriptor = open(path, flags | O_CLOEXEC, mode);
  if (descriptor == -1) return errno;
  *file = umem_zalloc(sizeof(zfs_file_t), UMEM_NOFAIL);
  (*file)->f_fd = descriptor;
  (*file)->f_dump_fd = -1;
  return 0;
}

static int PunchHole(zfs_file_t *file, loff_t offset, loff_t length) {
  return fallocate(file->f_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) == 0 ? 0 : errno;
}

#if FLOCKER_OPENZFS >= 202
FLOCKER_EMBEDDED_API int zfs_file_deallocate(zfs_file_t *file, loff_t offset, loff_t length) {
  return PunchHole(file, offset, length);
}
#else
FLOCKER_EMBEDDED_API int zfs_file_fallocate(zfs_file_t *file, int mode, loff_t offset, loff_t length) {
  return PunchHole(file, offset, length);
}
#endif
