#include "buffer.h"

#include <stdlib.h>
#include <string.h>

size_t buffered(const struct buffer *buffer) { return buffer->end - buffer->start; }

uint8_t *reserve(struct buffer *buffer, size_t length) {
  if (buffer->start > 0 && buffer->end + length > buffer->capacity) {
    memmove(buffer->data, buffer->data + buffer->start, buffered(buffer));
    buffer->end -= buffer->start;
    buffer->start = 0;
  }
  if (buffer->end + length > buffer->capacity) {
    buffer->capacity = (buffer->end + length) * 2;
    buffer->data = realloc(buffer->data, buffer->capacity);
    if (buffer->data == NULL) halt("out of memory");
  }
  return buffer->data + buffer->end;
}

void append(struct buffer *buffer, const void *data, size_t length) {
  memcpy(reserve(buffer, length), data, length);
  buffer->end += length;
}

void consume(struct buffer *buffer, size_t length) {
  buffer->start += length;
  if (buffer->start == buffer->end) buffer->start = buffer->end = 0;
}

// Little-endian like x86-64, the only architecture that User-Mode Linux knows here.
uint32_t read_u32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

uint16_t read_u16(const uint8_t *at) {
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return value;
}
