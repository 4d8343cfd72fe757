#define _GNU_SOURCE
#include "lanes.h"

#include "frame.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FRAME 2048
#define BATCH 64
#define QUEUE_TIME 250000000ull // nanoseconds of a throttled lane's own backlog
#define LANE_BYTES (16u << 20)  // bound of what one lane holds
#define NO_ADDRESS 0

struct port ports[MAX_PORTS];
int port_count;
static uint64_t random_state = 0x9E3779B97F4A7C15; // which bytes are hit may be the same in each run

uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

_Noreturn void fail(const char *what) {
  fprintf(stderr, "switch: %s: %s\n", what, strerror(errno));
  exit(1);
}

struct port *port_named(const char *name) {
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

void empty(struct lane *lane) {
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

void run_lanes(struct port *port) {
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

void unplug(struct port *port) {
  close(port->fd);
  port->fd = -1;
  port->full = false;
  port->address = NO_ADDRESS;
  empty(&port->from);
  empty(&port->to);
}

void read_port(struct port *port) {
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

uint64_t next_due(void) {
  uint64_t earliest = UINT64_MAX;
  for (int index = 0; index < port_count; index++) {
    const struct port *port = &ports[index];
    if (port->from.head != NULL && port->from.head->due < earliest) earliest = port->from.head->due;
    if (!port->full && port->to.head != NULL && port->to.head->due < earliest) earliest = port->to.head->due;
  }
  return earliest;
}
