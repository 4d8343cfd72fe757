#pragma once

#include "unique_fd.h"

namespace flocker {

/**
 * A pipe between the kernel's ZFS and us. The kernel's end is blocking, as ZFS needs it (on EAGAIN it would give up with
 * EIO); ours is not, and is waited on with poll so that a cancellation can interrupt the wait. The two ends are file
 * descriptions of their own.
 */
struct Pipe {
  UniqueFd read;
  UniqueFd write;

  /** Returns 0 or an errno. */
  int Open();
};

/** Makes a descriptor non-blocking. Returns 0 or an errno. */
int SetNonBlocking(int fd);

}  // namespace flocker
