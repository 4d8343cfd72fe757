/*
 * What libzpool's headers want of OpenZFS's sys/zfs_ioctl.h, which the development package leaves out: two layouts that
 * are fixed, the one by the stream format, the other by the ioctl interface (the same from 2.1 to 2.4).
 */
#ifndef _SYS_ZFS_IOCTL_H
#define _SYS_ZFS_IOCTL_H

#include <sys/dmu.h>
#include <sys/types.h>

#define DMU_BACKUP_MAGIC 0x2F5bacbacULL

struct drr_begin {
  uint64_t drr_magic;
  uint64_t drr_versioninfo;
  uint64_t drr_creation_time;
  uint32_t drr_type;
  uint32_t drr_flags;
  uint64_t drr_toguid;
  uint64_t drr_fromguid;
  char drr_toname[256];
};

typedef struct dmu_replay_record {
  uint32_t drr_type;
  uint32_t drr_payloadlen;
  struct drr_begin drr_begin;
} dmu_replay_record_t;

typedef struct zfs_cmd {
  char zc_name[4096];
  uint64_t zc_nvlist_src;
  uint64_t zc_nvlist_src_size;
  uint64_t zc_nvlist_dst;
  uint64_t zc_nvlist_dst_size;
  int32_t zc_nvlist_dst_filled;
  int32_t reserved1;
  uint64_t zc_history;
  char zc_value[8192];
  char zc_string[256];
  uint64_t zc_guid;
  uint64_t zc_nvlist_conf;
  uint64_t zc_nvlist_conf_size;
  uint64_t zc_cookie;
  uint64_t zc_objset_type;
  uint64_t reserved2[3];
  uint64_t zc_obj;
  uint8_t reserved3[40];
  dmu_objset_stats_t zc_objset_stats;
  uint8_t reserved4[676];
  uint8_t zc_simple;
  uint8_t reserved5[75];
} zfs_cmd_t;

_Static_assert(sizeof(dmu_replay_record_t) == 312, "a stream record has another size");
_Static_assert(sizeof(zfs_cmd_t) == 13744, "zfs_cmd_t has another size");

#endif
