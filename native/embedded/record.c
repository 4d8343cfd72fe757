#include "record.h"

#include <errno.h>
#include <string.h>

/* The record types, see include/sys/zfs_ioctl.h, and what of them is looked at. */
enum { kObject = 1, kFreeObjects, kWrite, kFree, kEnd, kWriteByReference, kSpill, kWriteEmbedded, kObjectRange, kRedact };

static const uint64_t kGreatestBlock = 16 << 20;
static const uint64_t kGreatestBonus = 16 << 10;
static const uint64_t kGreatestEmbedded = 112;

static uint64_t Long(const unsigned char *at) {
  uint64_t value;
  memcpy(&value, at, sizeof(value));
  return value;
}

static uint64_t Word(const unsigned char *at) {
  uint32_t value;
  memcpy(&value, at, sizeof(value));
  return value;
}

static uint64_t RoundUp(uint64_t size) { return (size + 7) & ~7ULL; }

static uint64_t PayloadSize(const unsigned char *header) {
  switch (Word(header)) {
    case kObject:
      return Word(header + 36) != 0 ? Word(header + 36) : RoundUp(Word(header + 28));
    case kWrite:
      return header[50] != 0 ? Long(header + 96) : Long(header + 32);
    case kSpill:
      return Long(header + 40) != 0 ? Long(header + 40) : Long(header + 16);
    case kWriteEmbedded:
      return RoundUp(Word(header + 52));
    default:
      return 0;
  }
}

static int HasOrderedObject(uint64_t type) {
  return type == kObject || type == kWrite || type == kFree || type == kSpill || type == kWriteEmbedded;
}

static int IsSane(const unsigned char *header, uint64_t payload) {
  switch (Word(header)) {
    case kObject:
      return payload <= kGreatestBonus && Word(header + 28) <= kGreatestBonus && Word(header + 24) <= kGreatestBlock;
    case kWrite:
      return payload != 0 && payload <= kGreatestBlock && Long(header + 32) != 0 && Long(header + 32) <= kGreatestBlock;
    case kSpill:
      return payload <= kGreatestBlock && Long(header + 16) <= kGreatestBlock;
    case kWriteEmbedded:
      return payload <= kGreatestEmbedded && Word(header + 48) <= kGreatestBlock;
    default:
      return 1;
  }
}

static int CheckHeader(records_t *records) {
  const unsigned char *header = records->header;
  uint64_t type = Word(header), object = Long(header + 8);
  records->payloadLeft = PayloadSize(header);
  records->ended = type == kEnd;
  // Writing by reference went with OpenZFS 2.0.
  if (type < kObject || type > kRedact || type == kWriteByReference) return EINVAL;
  if (!records->raw && records->payloadLeft % 8 != 0) return EINVAL;
  if (!IsSane(header, records->payloadLeft)) return EINVAL;
  if (!HasOrderedObject(type)) return 0;
  if (object == 0 || object < records->lastObject) return EINVAL;
  records->lastObject = object;
  return 0;
}

int RecordsCheck(records_t *records, const unsigned char *data, size_t size) {
  while (size > 0 && !records->ended) {
    int inPayload = records->payloadLeft > 0;
    uint64_t wanted = inPayload ? records->payloadLeft : kRecordSize - records->have;
    size_t taken = wanted < size ? wanted : size;
    if (inPayload) {
      records->payloadLeft -= taken;
    } else {
      memcpy(records->header + records->have, data, taken);
      records->have = (records->have + taken) % kRecordSize;
      int error = records->have == 0 ? CheckHeader(records) : 0;
      if (error != 0) return error;
    }
    data += taken;
    size -= taken;
  }
  return 0;
}
