#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>

namespace flocker {

/** What the kernel tells of any dataset without reading its properties: OpenZFS's dmu_objset_stats_t. */
struct DatasetStats {
  uint64_t clones;
  uint64_t createtxg;
  uint64_t guid;
  int32_t type;  // DMU_OST_*: 2 filesystem, 3 volume
  uint8_t isSnapshot;
  uint8_t inconsistent;
  uint8_t redacted;
  char origin[256];
};

/**
 * The argument of every /dev/zfs ioctl: OpenZFS's zfs_cmd_t (include/sys/zfs_ioctl.h), of which only the members used
 * here are named. Its layout is the same from 2.1 to 2.4, where the kernel asserts its size.
 */
struct ZfsCommand {
  char name[4096];
  uint64_t source;
  uint64_t sourceSize;
  uint64_t destination;
  uint64_t destinationSize;
  int32_t destinationFilled;
  int32_t reserved1;
  uint64_t history;
  char value[8192];
  char string[256];
  uint64_t guid;
  uint64_t configuration;
  uint64_t configurationSize;
  uint64_t cookie;
  uint64_t objsetType;
  uint64_t reserved2[3];
  uint64_t object;
  uint8_t reserved3[40];
  DatasetStats stats;
  uint8_t reserved4[676];
  uint8_t simple;
  uint8_t reserved5[75];
};

static_assert(sizeof(ZfsCommand) == 13744, "zfs_cmd_t has another size");
static_assert(offsetof(ZfsCommand, value) == 4144, "zc_value is elsewhere");
static_assert(offsetof(ZfsCommand, cookie) == 12616, "zc_cookie is elsewhere");
static_assert(offsetof(ZfsCommand, object) == 12656, "zc_obj is elsewhere");
static_assert(offsetof(ZfsCommand, stats) == 12704, "zc_objset_stats is elsewhere");
static_assert(offsetof(DatasetStats, origin) == 31, "dds_origin is elsewhere");
static_assert(offsetof(ZfsCommand, simple) == 13668, "zc_simple is elsewhere");

/** list() and ioctl(): what libzfs_core has no function for. */
void ExportIoctls(Napi::Env env, Napi::Object exports);

}  // namespace flocker
