// A learning Ethernet switch for the guests of one lab, in an ordinary process: nothing of the outside's network is used.
//
// switch DIRECTORY
//   Listens at DIRECTORY/switch. Each guest's power supply connects (SOCK_SEQPACKET), says its port's name in its first packet, and hands the
//   connection to the kernel as its network device: one packet is one Ethernet frame.
//   Standard input takes one command a line, each answered by one line on standard output:
//     set PORT cut=0|1 delay=MICROSECONDS rate=BYTES_PER_SECOND(0: no limit) garble=PARTS_PER_BILLION
//     stats PORT
//   When standard input ends, the harness is gone: it waits until the guests have lost power, removes DIRECTORY with all that is
//   in it (disks, logs) and ends. This is the only way in which a lab's files are removed, so it works after SIGKILL as well.
//
// Each cable has two lanes, to and from the switch; a frame passes two lanes on its way. A lane first serialises frames at its
// rate (like a real port, it drops what would wait longer than QUEUE_TIME), then holds each for its delay.
#define _GNU_SOURCE
#include "frame.h"

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

#define MAX_PORTS 64
#define MAX_FRAME 2048
#define BATCH 64
#define NAME_SIZE 64
#define QUEUE_TIME 250000000ull         // nanoseconds of a throttled lane's own backlog
#define LANE_BYTES (16u << 20)          // bound of what one lane holds
#define FAREWELL_TIME 3000000000ull
#define NO_ADDRESS 0

struct queued {
  struct queued *next;
  uint64_t due;
  uint32_t length;
  uint8_t frame[];
};

struct lane {
  struct queued *head, *tail;
  uint64_t free_at; // when the last frame will have been serialised
  uint32_t bytes;
  uint64_t frames_passed, bytes_passed, dropped, garbled;
};

struct port {
  char name[NAME_SIZE];
  int fd;           // -1: unplugged
  bool named, full; // full: its socket takes no more for now
  uint64_t address; // of the guest behind it, learnt
  bool cut;
  uint64_t delay, rate; // nanoseconds; bytes per second
  uint32_t garble;      // parts per billion
  struct lane from, to; // from the guest into the switch; from the switch to the guest
};

static struct port ports[MAX_PORTS];
static int port_count;
static uint64_t random_state;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "switch: %s: %s\n", what, strerror(errno));
  exit(1);
}

static struct port *port_named(const char *name) {
  for (int index = 0; index < port_count; index++)
    if (strcmp(ports[index].name, name) == 0) return &ports[index];
  if (port_count == MAX_PORTS || strlen(name) >= NAME_SIZE) return NULL;
  struct port *port = &ports[port_count++];
  strcpy(port->name, name);
  port->fd = -1;
  return port;
}

static void enqueue(struct lane *lane, const uint8_t *frame, uint32_t length, uint64_t due) {
  struct queued *item = malloc(sizeof *item + length);
  if (item == NULL) fail("out of memory");
  *item = (struct queued){.due = due, .length = length};
  memcpy(item->frame, frame, length);
  if (lane->tail == NULL) lane->head = item;
  else lane->tail->next = item;
  lane->tail = item;
  lane->bytes += length;
}

static void dequeue(struct lane *lane) {
  struct queued *item = lane->head;
  lane->head = item->next;
  if (lane->head == NULL) lane->tail = NULL;
  lane->bytes -= item->length;
  free(item);
}

static void empty(struct lane *lane) {
  while (lane->head != NULL) dequeue(lane);
}

static void deliver(struct port *port, const uint8_t *frame, uint32_t length);
static void forward(struct port *source, const uint8_t *frame, uint32_t length);

// Takes a frame into a lane: passes it on at once where nothing holds it, else queues it until it is due.
static void enter(struct port *port, struct lane *lane, uint8_t *frame, uint32_t length) {
  uint64_t due = now();
  if (port->cut || lane->bytes + length > LANE_BYTES) {
    lane->dropped++;
    return;
  }
  if (port->rate > 0) {
    uint64_t begins = lane->free_at > due ? lane->free_at : due;
    if (begins - due > QUEUE_TIME) {
      lane->dropped++;
      return;
    }
    due = lane->free_at = begins + length * 1000000000ull / port->rate;
  }
  if (port->garble > 0 && (random_next(&random_state) % 1000000000u) < port->garble && garble(frame, length, &random_state))
    lane->garbled++;
  lane->frames_passed++;
  lane->bytes_passed += length;
  bool at_once = lane->head == NULL && port->rate == 0 && port->delay == 0 && !(lane == &port->to && port->full);
  if (!at_once) enqueue(lane, frame, length, due + port->delay);
  else if (lane == &port->from) forward(port, frame, length);
  else deliver(port, frame, length);
}

static uint64_t address_at(const uint8_t *bytes) {
  uint64_t address = 0;
  for (int index = 0; index < 6; index++) address = address << 8 | bytes[index];
  return address;
}

// From the switch's inside to whom it concerns: the port behind which the address was seen, else all.
static void forward(struct port *source, const uint8_t *frame, uint32_t length) {
  if (length < 14) return;
  source->address = address_at(frame + 6);
  uint64_t destination = address_at(frame);
  struct port *known = NULL;
  for (int index = 0; index < port_count; index++)
    if (ports[index].address == destination) known = &ports[index];
  for (int index = 0; index < port_count; index++) {
    struct port *port = &ports[index];
    if (port == source || port->fd < 0 || (known != NULL && known != port)) continue;
    uint8_t copy[MAX_FRAME]; // garbling is for this lane alone
    memcpy(copy, frame, length);
    enter(port, &port->to, copy, length);
  }
}

static bool try_send(struct port *port, const uint8_t *frame, uint32_t length) {
  if (port->fd < 0 || send(port->fd, frame, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return true;
  if (errno == EAGAIN || errno == ENOBUFS) return false;
  return true; // the guest has just lost power: the frame is lost, and reading the socket will say so
}

static void deliver(struct port *port, const uint8_t *frame, uint32_t length) {
  if (try_send(port, frame, length)) return;
  port->full = true;
  enqueue(&port->to, frame, length, 0);
}

static void run_lanes(struct port *port) {
  uint64_t time = now();
  while (port->from.head != NULL && port->from.head->due <= time) {
    struct queued *item = port->from.head;
    forward(port, item->frame, item->length);
    dequeue(&port->from);
  }
  while (!port->full && port->to.head != NULL && port->to.head->due <= time) {
    struct queued *item = port->to.head;
    if (try_send(port, item->frame, item->length)) dequeue(&port->to);
    else port->full = true;
  }
}

static void unplug(struct port *port) {
  close(port->fd);
  port->fd = -1;
  port->full = false;
  port->address = NO_ADDRESS;
  empty(&port->from);
  empty(&port->to);
}

static void read_port(struct port *port) {
  static uint8_t frames[BATCH][MAX_FRAME];
  static struct iovec vectors[BATCH];
  static struct mmsghdr messages[BATCH];
  for (int index = 0; index < BATCH; index++) {
    vectors[index] = (struct iovec){frames[index], MAX_FRAME};
    messages[index] = (struct mmsghdr){.msg_hdr = {.msg_iov = &vectors[index], .msg_iovlen = 1}};
  }
  int count = recvmmsg(port->fd, messages, BATCH, MSG_DONTWAIT, NULL);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) return unplug(port);
  for (int index = 0; index < count; index++) {
    if (messages[index].msg_len == 0) return unplug(port);
    enter(port, &port->from, frames[index], messages[index].msg_len);
  }
}

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
  uint64_t earliest = UINT64_MAX;
  for (int index = 0; index < port_count; index++) {
    const struct port *port = &ports[index];
    if (port->from.head != NULL && port->from.head->due < earliest) earliest = port->from.head->due;
    if (!port->full && port->to.head != NULL && port->to.head->due < earliest) earliest = port->to.head->due;
  }
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
  random_state = now() | 1;
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
