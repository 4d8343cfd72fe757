#include "frame.h"

#define ETHERNET_HEADER 14
#define TCP 6
#define UDP 17

// xorshift64*: which bytes are hit matters to nobody.
uint64_t random_next(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return (*state * 0x2545F4914F6CDD1Dull) >> 16;
}

static uint32_t add_words(uint32_t sum, const uint8_t *bytes, uint32_t length) {
  for (uint32_t index = 0; index < length; index++) sum += index % 2 == 0 ? (uint32_t)bytes[index] << 8 : bytes[index];
  return sum;
}

// RFC 9293 section 3.1 and RFC 768: over the pseudo-header, the header and the payload.
static void set_checksum(const uint8_t *ip, uint8_t *segment, uint32_t segment_length, uint8_t protocol) {
  uint8_t *checksum = segment + (protocol == TCP ? 16 : 6);
  checksum[0] = checksum[1] = 0;
  uint32_t sum = add_words(protocol + segment_length, ip + 12, 8);
  sum = add_words(sum, segment, segment_length);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  sum = ~sum & 0xffff;
  if (sum == 0 && protocol == UDP) sum = 0xffff;
  checksum[0] = (uint8_t)(sum >> 8);
  checksum[1] = (uint8_t)sum;
}

bool garble(uint8_t *frame, uint32_t length, uint64_t *random_state) {
  if (length < ETHERNET_HEADER + 20 || frame[12] != 0x08 || frame[13] != 0x00) return false;
  uint8_t *ip = frame + ETHERNET_HEADER;
  uint32_t ip_header = (ip[0] & 15u) * 4, ip_length = (uint32_t)ip[2] << 8 | ip[3];
  bool fragment = (ip[6] & 0x3f) != 0 || ip[7] != 0;
  uint8_t protocol = ip[9];
  if (ip[0] >> 4 != 4 || fragment || (protocol != TCP && protocol != UDP) || ip_header < 20) return false;
  if (ip_length > length - ETHERNET_HEADER || ip_length < ip_header + 20) return false;
  uint8_t *segment = ip + ip_header;
  uint32_t segment_length = ip_length - ip_header, header = protocol == TCP ? (segment[12] >> 4) * 4u : 8;
  if (header >= segment_length) return false;
  uint32_t payload = segment_length - header, hits = 1 + (uint32_t)(random_next(random_state) % 4);
  for (uint32_t hit = 0; hit < hits; hit++) {
    uint64_t random = random_next(random_state);
    segment[header + random % payload] ^= (uint8_t)(1 + (random >> 32) % 255);
  }
  set_checksum(ip, segment, segment_length, protocol);
  return true;
}
