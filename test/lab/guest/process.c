#define _GNU_SOURCE
#include "process.h"

#include "protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

// In the child, until exec: reports errno through `report`.
static _Noreturn void become(const char *cwd, char **argv, char **env, uint32_t uid, int report) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  bool ok = chdir(cwd) == 0;
  if (ok && uid != 0) ok = setgroups(0, NULL) == 0 && setgid(uid) == 0 && setuid(uid) == 0;
  if (ok) {
    environ = env;
    execvp(argv[0], argv);
  }
  int error = errno;
  if (write(report, &error, sizeof error) < 0) _exit(126);
  _exit(127);
}

void nonblocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

struct request {
  uint8_t flags;
  uint32_t uid;
  uint16_t rows, columns;
  char *cwd, *input, **argv, **env;
};

static bool parse_request(uint8_t *payload, size_t length, struct request *request) {
  if (length < 14 || payload[length - 1] != 0) return false;
  request->flags = payload[0];
  request->uid = read_u32(payload + 1);
  request->rows = read_u16(payload + 5);
  request->columns = read_u16(payload + 7);
  unsigned argc = read_u16(payload + 9), envc = read_u16(payload + 11);
  char **strings = calloc(argc + envc + 4, sizeof *strings);
  if (strings == NULL) return false;
  char *at = (char *)payload + 13, *end = (char *)payload + length;
  unsigned slot = 0;
  for (unsigned index = 0; index < 2 + argc + envc; index++) {
    if (at >= end) {
      free(strings);
      return false;
    }
    if (index == 2 + argc) slot++; // the NULL that ends argv
    strings[slot++] = at;
    at += strlen(at) + 1;
  }
  request->cwd = strings[0];
  request->input = strings[1];
  request->argv = strings + 2;
  request->env = strings + 2 + argc + 1;
  return argc > 0;
}

static pid_t fork_with_pipes(const struct request *request, struct process *process, int report) {
  int in[2] = {-1, -1}, out[2], err[2];
  if (*request->input != 0) {
    in[0] = openat(inbox_fd, request->input, O_RDONLY | O_CLOEXEC);
    if (in[0] < 0) return -1;
  } else if (pipe2(in, O_CLOEXEC) < 0) {
    return -1;
  }
  if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) return -1;
  pid_t pid = fork();
  if (pid == 0) {
    setsid();
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    become(request->cwd, request->argv, request->env, request->uid, report);
  }
  close_fd(&in[0]);
  close_fd(&out[1]);
  close_fd(&err[1]);
  process->input = in[1];
  process->output[0].fd = out[0];
  process->output[1].fd = err[0];
  return pid;
}

static pid_t fork_with_pty(const struct request *request, struct process *process, int report) {
  struct winsize size = {.ws_row = request->rows, .ws_col = request->columns};
  int master;
  pid_t pid = forkpty(&master, NULL, NULL, &size);
  if (pid == 0) become(request->cwd, request->argv, request->env, request->uid, report);
  if (pid < 0) return -1;
  fcntl(master, F_SETFD, FD_CLOEXEC);
  process->pty = true;
  process->input = process->output[0].fd = master;
  process->output[1].fd = -1;
  return pid;
}

static int start(struct process *process, uint32_t id, const struct request *request) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) < 0) halt("making a pipe");
  memset(process, 0, sizeof *process);
  process->id = id;
  process->input = process->output[0].fd = process->output[1].fd = -1;
  process->output[0].window = process->output[1].window = WINDOW;
  process->pid = request->flags & SPAWN_PTY ? fork_with_pty(request, process, report[1])
                                            : fork_with_pipes(request, process, report[1]);
  close(report[1]);
  int error = process->pid < 0 ? errno : 0;
  // The fork has either exec'ed, which closes the pipe, or says why it could not.
  if (error == 0 && read(report[0], &error, sizeof error) == 0) error = 0;
  close(report[0]);
  if (error != 0) {
    if (process->pid > 0) waitpid(process->pid, NULL, 0);
    if (!process->pty) close_fd(&process->input);
    close_fd(&process->output[0].fd);
    close_fd(&process->output[1].fd);
    return error;
  }
  process->used = true;
  for (int index = 0; index < 2; index++)
    if (process->output[index].fd >= 0) nonblocking(process->output[index].fd);
  if (process->input >= 0) nonblocking(process->input);
  return 0;
}

bool start_process(struct process *process, uint32_t id, uint8_t *payload, size_t length, int *error, const char **program) {
  struct request request;
  *program = "malformed request";
  *error = EINVAL;
  if (!parse_request(payload, length, &request)) return false;
  *error = start(process, id, &request);
  *program = request.argv[0];
  free(request.argv - 2);
  return *error == 0;
}
