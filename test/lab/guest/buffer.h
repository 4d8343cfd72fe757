// Bytes on their way, and the integers of the protocol in them.
#ifndef LAB_BUFFER_H
#define LAB_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
  uint8_t *data;
  size_t start, end, capacity;
};

size_t buffered(const struct buffer *buffer);
// Makes room for `length` more bytes and returns where they go; `end` is for the caller to move.
uint8_t *reserve(struct buffer *buffer, size_t length);
void append(struct buffer *buffer, const void *data, size_t length);
void consume(struct buffer *buffer, size_t length);

uint32_t read_u32(const uint8_t *at);
uint16_t read_u16(const uint8_t *at);

// Ends the agent, and its host with it.
_Noreturn void halt(const char *why);

#endif
