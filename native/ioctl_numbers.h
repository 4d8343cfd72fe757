#pragma once

/* Numbers of /dev/zfs ioctls, most of which libzfs_core has no function for: OpenZFS's include/sys/fs/zfs.h, the same in 2.1 to 2.4. C and C++. */
enum {
  kPoolConfigs = 0x5a04,
  kPoolStats = 0x5a05,
  kObjsetStats = 0x5a12,
  kObjsetZplProps = 0x5a13,
  kDatasetListNext = 0x5a14,
  kSnapshotListNext = 0x5a15,
  kSetProp = 0x5a16,
  kPoolGetProps = 0x5a27,
  kInheritProp = 0x5a2b,
  kObjsetReceivedProps = 0x5a33,
  kPoolScrub = 0x5a57,
};
