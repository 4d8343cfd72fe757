// A learning Ethernet switch for the guests of one lab, in an ordinary process: nothing of the outside's network is used.
//
// switch DIRECTORY
//   Listens at DIRECTORY/switch. Each guest's power supply connects (SOCK_SEQPACKET), says its port's name in its first
//   packet, and hands the connection to the kernel as its network device: one packet is one Ethernet frame.
//   Standard input takes one command a line, each answered by one line on standard output:
//     set PORT cut=0|1 delay=MICROSECONDS rate=BYTES_PER_SECOND(0: no limit) garble=PARTS_PER_BILLION
//     stats PORT
//   When standard input ends, the harness is gone: it waits until the guests have lost power, removes DIRECTORY with all that is
//   in it (disks, logs) and ends. This is the only way in which a lab's files are removed, so it works after SIGKILL as well.

#define _GNU_SOURCE
#include "lanes.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FAREWELL_TIME 3000000000ull

// A new connection's first packet names its port. The power supply sends it right after connecting.
static void accept_cable(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  int size = 4 << 20;
  struct timeval patience = {.tv_sec = 1};
  char name[NAME_SIZE] = "";
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  struct port *port = recv(fd, name, sizeof name - 1, 0) > 0 ? port_named(name) : NULL;
  if (port == NULL) {
    close(fd);
    return;
  }
  if (port->fd >= 0) unplug(port);
  port->fd = fd;
}

static void set_options(struct port *port, char *options) {
  for (char *saved, *option = strtok_r(options, " ", &saved); option != NULL; option = strtok_r(NULL, " ", &saved)) {
    char *equals = strchr(option, '=');
    if (equals == NULL) continue;
    uint64_t value = strtoull(equals + 1, NULL, 10);
    *equals = 0;
    if (strcmp(option, "cut") == 0) port->cut = value != 0;
    if (strcmp(option, "delay") == 0) port->delay = value * 1000;
    if (strcmp(option, "rate") == 0) port->rate = value;
    if (strcmp(option, "garble") == 0) port->garble = (uint32_t)value;
  }
  port->from.free_at = port->to.free_at = 0;
  if (!port->cut) return;
  empty(&port->from); // what is on a wire when it is cut never arrives
  empty(&port->to);
}

static void print_lane(const char *name, const struct lane *lane) {
  printf("\"%s\":{\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"garbled\":%" PRIu64 "}", name,
         lane->frames_passed, lane->bytes_passed, lane->dropped, lane->garbled);
}

static void obey(char *line) {
  char *saved, *verb = strtok_r(line, " ", &saved), *name = strtok_r(NULL, " ", &saved);
  struct port *port = name == NULL ? NULL : port_named(name);
  if (port != NULL && strcmp(verb, "set") == 0) {
    set_options(port, saved);
    printf("{}");
  } else if (port != NULL && strcmp(verb, "stats") == 0) {
    printf("{");
    print_lane("sent", &port->from);
    printf(",");
    print_lane("received", &port->to);
    printf("}");
  } else {
    printf("{\"error\":\"unknown command or port\"}");
  }
  printf("\n");
  fflush(stdout);
}

static bool read_commands(void) {
  static char text[4096];
  static size_t used;
  ssize_t length = read(0, text + used, sizeof text - used);
  if (length <= 0) return false;
  used += (size_t)length;
  for (char *end; (end = memchr(text, '\n', used)) != NULL;) {
    *end = 0;
    obey(text);
    used -= (size_t)(end + 1 - text);
    memmove(text, end + 1, used);
  }
  if (used == sizeof text) {
    errno = EPROTO;
    fail("a command too long");
  }
  return true;
}

static int listen_in(const char *directory) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char *path = address.sun_path;
  if (snprintf(path, sizeof address.sun_path, "%s/switch", directory) >= (int)sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail(directory);
  }
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, MAX_PORTS) < 0) fail(path);
  return fd;
}

// Arms the timer for the earliest frame that waits for its time.
static void arm(int timer) {
  uint64_t earliest = next_due();
  if (earliest == 0) earliest = 1; // zero would disarm it
  struct itimerspec when = {0};
  if (earliest != UINT64_MAX)
    when.it_value = (struct timespec){(time_t)(earliest / 1000000000ull), (long)(earliest % 1000000000ull)};
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static bool any_plugged(void) {
  for (int index = 0; index < port_count; index++)
    if (ports[index].fd >= 0) return true;
  return false;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk) {
  (void)status, (void)type, (void)walk;
  if (remove(path) < 0) fprintf(stderr, "switch: removing %s: %s\n", path, strerror(errno));
  return 0;
}

static bool serve(int listener, int timer, int timeout) {
  struct pollfd polled[3 + MAX_PORTS] = {{.fd = timeout < 0 ? 0 : -1, .events = POLLIN}, {.fd = listener, .events = POLLIN}, {.fd = timer, .events = POLLIN}};
  int count = port_count;
  for (int index = 0; index < count; index++)
    polled[3 + index] = (struct pollfd){.fd = ports[index].fd, .events = (short)(POLLIN | (ports[index].full ? POLLOUT : 0))};
  arm(timer);
  if (poll(polled, (nfds_t)(3 + count), timeout) < 0) {
    if (errno == EINTR) return true;
    fail("polling");
  }
  uint64_t expirations;
  if (polled[2].revents != 0 && read(timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN) fail("reading the timer");
  for (int index = 0; index < count; index++) {
    struct port *port = &ports[index];
    if (port->fd < 0 || port->fd != polled[3 + index].fd) continue;
    if (polled[3 + index].revents & POLLOUT) port->full = false;
    if (polled[3 + index].revents & ~POLLOUT) read_port(port);
  }
  for (int index = 0; index < port_count; index++) run_lanes(&ports[index]);
  if (polled[1].revents != 0) accept_cable(listener);
  return polled[0].revents == 0 || read_commands();
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: switch DIRECTORY\n");
    return 2;
  }
  setsid(); // the terminal's Ctrl-C is the harness's to handle
  signal(SIGPIPE, SIG_IGN);
  int listener = listen_in(argv[1]), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (timer < 0) fail("making a timer");
  printf("{\"listening\":true}\n");
  fflush(stdout);
  while (serve(listener, timer, -1)) continue;
  close(listener);
  uint64_t patience = now() + FAREWELL_TIME;
  while (any_plugged() && now() < patience) serve(-1, timer, 100);
  return nftw(argv[1], remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : 1;
}
