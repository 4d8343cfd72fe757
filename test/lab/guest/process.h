// The commands that the agent runs.
#ifndef LAB_PROCESS_H
#define LAB_PROCESS_H

#include "buffer.h"

#include <stdbool.h>
#include <sys/types.h>

struct stream {
  int fd;          // -1 once closed
  size_t to_drain; // after the process ended: what it left in the pipe
  int64_t window;  // bytes that may still be sent
};

struct process {
  bool used, ended, exit_sent, pty, end_input;
  uint32_t id;
  pid_t pid;
  int input, status;
  struct buffer pending; // input not yet written
  struct stream output[2];
};

void close_fd(int *fd);
void nonblocking(int fd);

// Starts what a FRAME_SPAWN payload asks for. False where it can't be: `error` is the errno, `program` what could not be run.
bool start_process(struct process *process, uint32_t id, uint8_t *payload, size_t length, int *error, const char **program);

#endif
