// The first process of a guest: sets the host up, then runs the commands that the harness sends over the serial line.
// Statically linked: it starts before there is a root file system worth the name.
#define _GNU_SOURCE
#include "process.h"
#include "protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MAX_PROCESSES 256
#define READ_SIZE (32 * 1024)
#define OUTGOING_ENOUGH (128 * 1024) // no more output is read from processes while this much waits for the line

static struct process processes[MAX_PROCESSES];
static struct buffer incoming, outgoing;
static int line_fd = -1;
static bool owns_kernel = true; // false: on a machine that has ZFS itself, see local.ts

_Noreturn void halt(const char *why) {
  dprintf(2, "lab agent: %s: %s\n", why, strerror(errno));
  if (owns_kernel) {
    sync();
    reboot(RB_POWER_OFF);
  }
  _exit(1);
}

static void send_frame(uint8_t type, uint32_t id, const void *payload, size_t length) {
  uint32_t size = (uint32_t)length + FRAME_HEADER - 4;
  append(&outgoing, &size, 4);
  append(&outgoing, &type, 1);
  append(&outgoing, &id, 4);
  append(&outgoing, payload, length);
}

static void send_u32s(uint8_t type, uint32_t id, uint32_t first, uint32_t second, int count) {
  uint32_t values[2] = {first, second};
  send_frame(type, id, values, (size_t)count * 4);
}

static void refuse(uint32_t id, int error, const char *what) {
  uint8_t payload[256];
  uint32_t number = (uint32_t)error;
  memcpy(payload, &number, 4);
  int length = snprintf((char *)payload + 4, sizeof payload - 4, "%s: %s", what, strerror(error));
  size_t fits = (size_t)length < sizeof payload - 4 ? (size_t)length : sizeof payload - 5;
  send_frame(FRAME_REFUSED, id, payload, 4 + fits);
}

static struct process *find_process(uint32_t id) {
  for (int index = 0; index < MAX_PROCESSES; index++)
    if (processes[index].used && processes[index].id == id) return &processes[index];
  return NULL;
}

static void forget_if_done(struct process *process) {
  if (!process->exit_sent || process->output[0].fd >= 0 || process->output[1].fd >= 0) return;
  if (!process->pty) close_fd(&process->input);
  free(process->pending.data);
  memset(process, 0, sizeof *process);
}

static void on_spawn(uint32_t id, uint8_t *payload, size_t length) {
  struct process *free_slot = NULL;
  for (int index = 0; index < MAX_PROCESSES && free_slot == NULL; index++)
    if (!processes[index].used) free_slot = &processes[index];
  int error = EAGAIN;
  const char *program = "too many processes";
  if (free_slot == NULL || !start_process(free_slot, id, payload, length, &error, &program)) refuse(id, error, program);
  else send_u32s(FRAME_STARTED, id, (uint32_t)free_slot->pid, 0, 1);
}

static void write_input(struct process *process) {
  while (buffered(&process->pending) > 0) {
    size_t length = buffered(&process->pending);
    ssize_t written = process->input < 0 ? (ssize_t)length : write(process->input, process->pending.data + process->pending.start, length);
    if (written < 0 && errno == EAGAIN) return;
    if (written < 0) { // nobody reads it any more
      if (!process->pty) close_fd(&process->input);
      process->input = -1;
      continue;
    }
    consume(&process->pending, (size_t)written);
    send_u32s(FRAME_CREDIT, process->id, (uint32_t)written, 0, 1);
  }
  if (process->end_input && !process->pty) close_fd(&process->input);
}

static void on_resize(struct process *process, const uint8_t *payload) {
  struct winsize size = {.ws_row = read_u16(payload), .ws_col = read_u16(payload + 2)};
  if (process->pty && process->output[0].fd >= 0) ioctl(process->output[0].fd, TIOCSWINSZ, &size);
}

static void on_setup(const uint8_t *payload, size_t length) {
  char error[1024] = "malformed configuration";
  if (length == 0 || payload[length - 1] != 0 || setup_host((const char *)payload, (unsigned)length, error, sizeof error) < 0)
    send_frame(FRAME_FAILED, 0, error, strlen(error));
  else
    send_frame(FRAME_READY, 0, NULL, 0);
}

static void on_frame(uint8_t type, uint32_t id, uint8_t *payload, size_t length) {
  if (type == FRAME_SETUP) return on_setup(payload, length);
  if (type == FRAME_SPAWN) return on_spawn(id, payload, length);
  struct process *process = find_process(id);
  if (process == NULL) return; // it has ended while this was on its way
  if (type == FRAME_STDIN) {
    append(&process->pending, payload, length);
    write_input(process);
  } else if (type == FRAME_STDIN_END) {
    process->end_input = true;
    write_input(process);
  } else if (type == FRAME_KILL && length == 4) {
    // The group outlives its leader where a command has put children in the background.
    kill(-process->pid, (int)read_u32(payload));
  } else if ((type == FRAME_ACK_STDOUT || type == FRAME_ACK_STDERR) && length == 4) {
    process->output[type - FRAME_ACK_STDOUT].window += read_u32(payload);
  } else if (type == FRAME_RESIZE && length == 4) {
    on_resize(process, payload);
  }
}

static void read_line(void) {
  ssize_t length = read(line_fd, reserve(&incoming, READ_SIZE), READ_SIZE);
  if (length < 0 && errno == EAGAIN) return;
  if (length <= 0) halt("the harness is gone");
  incoming.end += (size_t)length;
  send_u32s(FRAME_LINE_ACK, 0, (uint32_t)length, 0, 1);
  while (buffered(&incoming) >= FRAME_HEADER) {
    uint8_t *frame = incoming.data + incoming.start;
    uint32_t size = read_u32(frame);
    if (size < FRAME_HEADER - 4 || size > FRAME_MAX) {
      errno = EPROTO;
      halt("a frame of impossible length");
    }
    if (buffered(&incoming) < size + 4) return;
    on_frame(frame[4], read_u32(frame + 5), frame + FRAME_HEADER, size + 4 - FRAME_HEADER);
    consume(&incoming, size + 4);
  }
}

static void write_line(void) {
  while (buffered(&outgoing) > 0) {
    ssize_t written = write(line_fd, outgoing.data + outgoing.start, buffered(&outgoing));
    if (written < 0 && errno == EAGAIN) return;
    if (written < 0) halt("the harness is gone");
    consume(&outgoing, (size_t)written);
  }
}

static bool may_read(const struct process *process, int index) {
  return process->output[index].fd >= 0 && process->output[index].window > 0 && buffered(&outgoing) < OUTGOING_ENOUGH;
}

static void read_output(struct process *process, int index) {
  struct stream *stream = &process->output[index];
  uint8_t data[READ_SIZE];
  size_t wanted = stream->window < READ_SIZE ? (size_t)stream->window : READ_SIZE;
  ssize_t length = read(stream->fd, data, wanted);
  if (length < 0 && errno == EAGAIN) return;
  if (length <= 0) { // a pty says EIO when its last holder is gone
    stream->to_drain = 0;
    if (process->pty) process->input = -1;
    close_fd(&stream->fd);
    send_frame(index == 0 ? FRAME_STDOUT_END : FRAME_STDERR_END, process->id, NULL, 0);
    return;
  }
  stream->window -= length;
  stream->to_drain -= stream->to_drain < (size_t)length ? stream->to_drain : (size_t)length;
  send_frame(index == 0 ? FRAME_STDOUT : FRAME_STDERR, process->id, data, (size_t)length);
}

static void send_exit_when_drained(struct process *process) {
  if (!process->ended || process->exit_sent || process->output[0].to_drain > 0 || process->output[1].to_drain > 0) return;
  uint32_t status = WIFEXITED(process->status) ? (uint32_t)WEXITSTATUS(process->status) : 0;
  uint32_t number = WIFSIGNALED(process->status) ? (uint32_t)WTERMSIG(process->status) : 0;
  send_u32s(FRAME_EXIT, process->id, status, number, 2);
  process->exit_sent = true;
}

static void reap(int signal_fd) {
  struct signalfd_siginfo information;
  while (read(signal_fd, &information, sizeof information) > 0) continue;
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (int index = 0; index < MAX_PROCESSES; index++) {
      struct process *process = &processes[index];
      if (!process->used || process->ended || process->pid != pid) continue;
      process->ended = true;
      process->status = status;
      for (int which = 0; which < 2; which++) {
        int left = 0;
        if (process->output[which].fd >= 0 && ioctl(process->output[which].fd, FIONREAD, &left) == 0)
          process->output[which].to_drain = (size_t)left;
      }
    }
  }
}

static void open_line(void) {
  const char *inherited = getenv("LAB_LINE_FD");
  if (inherited != NULL) {
    owns_kernel = false;
    line_fd = atoi(inherited);
    nonblocking(line_fd);
    fcntl(line_fd, F_SETFD, FD_CLOEXEC);
    return;
  }
  // devtmpfs is not mounted yet, and the outside's /dev, seen through hostfs, is not ours.
  mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
  line_fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  struct termios settings;
  if (line_fd < 0 || tcgetattr(line_fd, &settings) < 0) halt("opening the serial line");
  cfmakeraw(&settings);
  if (tcsetattr(line_fd, TCSANOW, &settings) < 0) halt("setting the serial line");
}

struct interest {
  struct process *process;
  int index; // of the output stream, -1 for its input
};

static int gather(struct pollfd *polled, struct interest *interests) {
  int count = 2;
  for (int slot = 0; slot < MAX_PROCESSES; slot++) {
    struct process *process = &processes[slot];
    if (!process->used) continue;
    for (int index = 0; index < 2; index++) {
      if (!may_read(process, index)) continue;
      interests[count] = (struct interest){process, index};
      polled[count++] = (struct pollfd){.fd = process->output[index].fd, .events = POLLIN};
    }
    if (process->input >= 0 && buffered(&process->pending) > 0) {
      interests[count] = (struct interest){process, -1};
      polled[count++] = (struct pollfd){.fd = process->input, .events = POLLOUT};
    }
  }
  return count;
}

int main(void) {
  static struct pollfd polled[2 + 3 * MAX_PROCESSES];
  static struct interest interests[2 + 3 * MAX_PROCESSES];
  open_line();
  signal(SIGPIPE, SIG_IGN);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  int signal_fd = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
  if (signal_fd < 0) halt("making a signalfd");
  send_u32s(FRAME_HELLO, 0, PROTOCOL_VERSION, 0, 1);
  for (;;) {
    polled[0] = (struct pollfd){.fd = line_fd, .events = (short)(POLLIN | (buffered(&outgoing) > 0 ? POLLOUT : 0))};
    polled[1] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
    int count = gather(polled, interests);
    if (poll(polled, (nfds_t)count, -1) < 0 && errno != EINTR) halt("polling");
    if (polled[0].revents & ~POLLOUT) read_line();
    for (int index = 2; index < count; index++) {
      if (polled[index].revents == 0 || !interests[index].process->used) continue;
      if (interests[index].index < 0) write_input(interests[index].process);
      else if (interests[index].process->output[interests[index].index].fd == polled[index].fd)
        read_output(interests[index].process, interests[index].index);
    }
    if (polled[1].revents != 0) reap(signal_fd);
    for (int slot = 0; slot < MAX_PROCESSES; slot++) {
      if (!processes[slot].used) continue;
      send_exit_when_drained(&processes[slot]);
      forget_if_done(&processes[slot]);
    }
    write_line();
  }
}
