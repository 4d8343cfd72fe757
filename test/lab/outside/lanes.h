// The switch's ports and what happens to a frame between two of them.
//
// Each cable has two lanes, to and from the switch; a frame passes two lanes on its way. A lane first serialises frames at its
// rate (like a real port, it drops what would wait longer than QUEUE_TIME), then holds each for its delay.
#ifndef LAB_LANES_H
#define LAB_LANES_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_PORTS 64
#define NAME_SIZE 64

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

extern struct port ports[MAX_PORTS];
extern int port_count;

// Nanoseconds of CLOCK_MONOTONIC.
uint64_t now(void);
_Noreturn void fail(const char *what);

// The port of that name, made where there is none yet; NULL where there can't be.
struct port *port_named(const char *name);
void empty(struct lane *lane);
void unplug(struct port *port);
// Takes in what the guest has sent.
void read_port(struct port *port);
// Moves on what was held until now.
void run_lanes(struct port *port);
// When the next held frame is due; UINT64_MAX for never.
uint64_t next_due(void);

#endif
