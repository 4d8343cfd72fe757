// What the switch knows of a frame's inside.
#ifndef LAB_FRAME_H
#define LAB_FRAME_H

#include <stdbool.h>
#include <stdint.h>

uint64_t random_next(uint64_t *state);

// Overwrites some bytes of the payload of a TCP or UDP segment in an Ethernet frame and corrects its checksum, so that the
// receiver's network stack lets the damage through to the application. False where the frame has no such payload.
bool garble(uint8_t *frame, uint32_t length, uint64_t *random_state);

#endif
