#include "pipe.h"

#include <errno.h>
#include <fcntl.h>

namespace flocker {

namespace {
constexpr int kPipeSize = 1024 * 1024;
}

int Pipe::Open() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return errno;
  read.Reset(ends[0]);
  write.Reset(ends[1]);
  // Only while it is empty: resizing a pipe with data in it can deadlock (openzfs#13232). Where the user's limit
  // (/proc/sys/fs/pipe-user-pages-soft) forbids the size, the default of 64 KiB works too, only slower.
  fcntl(write.get(), F_SETPIPE_SZ, kPipeSize);
  return 0;
}

int SetNonBlocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return errno;
  return 0;
}

}  // namespace flocker
