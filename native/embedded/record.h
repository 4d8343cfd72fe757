/*
 * What a stream's records must be like. The kernel's receive trusts streams in places, and libzpool is built to abort where
 * it meets what must not be: nothing that comes over a network may get that far.
 */
#ifndef FLOCKER_EMBEDDED_RECORD_H
#define FLOCKER_EMBEDDED_RECORD_H

#include <stddef.h>
#include <stdint.h>

enum { kRecordSize = 312 };

/** Where in a stream its reader is. */
typedef struct records {
  unsigned char header[kRecordSize];
  /* Of the header, so far. */
  size_t have;
  uint64_t payloadLeft;
  /* A stream goes through its objects in their order. */
  uint64_t lastObject;
  /* Of a raw stream, whose payloads may have any length. */
  int raw;
  int ended;
} records_t;

/** Looks at the next bytes of a stream, behind its BEGIN record. EINVAL where they can't be right. */
int RecordsCheck(records_t *records, const unsigned char *data, size_t size);

#endif
