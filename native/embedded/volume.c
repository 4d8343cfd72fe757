/* Volumes, with no block device: what they are made of, and their bytes. */
#include "engine.h"

/* A volume is these two objects, in every OpenZFS. */
enum { kDataObject = 1, kPropertiesObject = 2 };
static const char kSizeName[] = "size";
// What one transaction writes at most.
static const uint64_t kWriteSize = 1ULL << 20;

int VolumeCheckSize(uint64_t size, uint64_t block) {
  if (block < SPA_MINBLOCKSIZE || block > (uint64_t)zfs_max_recordsize || !ISP2(block)) return EDOM;
  return size == 0 || size % block != 0 || size > INT64_MAX ? EINVAL : 0;
}

void VolumeFormat(objset_t *os, void *data, cred_t *cred, dmu_tx_t *tx) {
  const uint64_t *geometry = data;
  VERIFY0(dmu_object_claim(os, kDataObject, DMU_OT_ZVOL, geometry[1], DMU_OT_NONE, 0, tx));
  VERIFY0(zap_create_claim(os, kPropertiesObject, DMU_OT_ZVOL_PROP, DMU_OT_NONE, 0, tx));
  VERIFY0(zap_update(os, kPropertiesObject, kSizeName, 8, 1, &geometry[0], tx));
}

static int Geometry(objset_t *os, uint64_t *size, uint64_t *block) {
  dmu_object_info_t info;
  if (dmu_objset_type(os) != DMU_OST_ZVOL) return EINVAL;
  int error = zap_lookup(os, kPropertiesObject, kSizeName, 8, 1, size);
  if (error == 0) error = dmu_object_info(os, kDataObject, &info);
  if (error == 0) *block = info.doi_data_block_size;
  return error;
}

static void AddNumber(nvlist_t *list, zfs_prop_t property, uint64_t value) {
  nvlist_t *entry = fnvlist_alloc();
  fnvlist_add_uint64(entry, ZPROP_VALUE, value);
  fnvlist_add_nvlist(list, zfs_prop_to_name(property), entry);
  nvlist_free(entry);
}

int VolumeProperties(objset_t *os, nvlist_t *properties) {
  uint64_t size, block;
  int error = Geometry(os, &size, &block);
  if (error != 0) return error;
  AddNumber(properties, ZFS_PROP_VOLSIZE, size);
  AddNumber(properties, ZFS_PROP_VOLBLOCKSIZE, block);
  return 0;
}

static int IsReadOnly(const char *dataset) {
  uint64_t readonly = 0;
  int error = dsl_prop_get_integer(dataset, zfs_prop_to_name(ZFS_PROP_READONLY), &readonly, NULL);
  return error != 0 ? error : readonly ? EROFS : 0;
}

typedef int (*volume_action_t)(objset_t *os, uint64_t size, uint64_t block, void *argument);

/** Runs `action` on a volume that nothing else has at that time. */
static int WithVolume(const char *dataset, boolean_t writable, volume_action_t action, void *argument) {
  objset_t *os;
  uint64_t size, block;
  int error = writable ? IsReadOnly(dataset) : 0;
  if (error != 0) return error;
  VolumesLock();
  error = dmu_objset_own(dataset, DMU_OST_ZVOL, !writable, B_TRUE, FTAG, &os);
  if (error == 0) {
    error = Geometry(os, &size, &block);
    if (error == 0) error = action(os, size, block, argument);
    dmu_objset_disown(os, B_TRUE, FTAG);
  }
  VolumesUnlock();
  return error;
}

/** Runs what changes a volume in a transaction that was announced by `tx`, already holding what it touches. */
static int Assign(dmu_tx_t *tx) {
  int error = dmu_tx_assign(tx, DMU_TX_WAIT);
  if (error != 0) dmu_tx_abort(tx);
  return error;
}

typedef struct transfer {
  uint64_t offset, length;
  void *to;
  const void *from;
} transfer_t;

static boolean_t IsOutside(const transfer_t *transfer, uint64_t size) {
  return transfer->offset > size || transfer->length > size - transfer->offset;
}

static int Read(objset_t *os, uint64_t size, uint64_t block, void *argument) {
  const transfer_t *transfer = argument;
  if (IsOutside(transfer, size)) return EINVAL;
  int error = dmu_read(os, kDataObject, transfer->offset, transfer->length, transfer->to, DMU_READ_PREFETCH);
  return error == ECKSUM ? EIO : error;
}

static int Write(objset_t *os, uint64_t size, uint64_t block, void *argument) {
  const transfer_t *transfer = argument;
  if (IsOutside(transfer, size)) return EINVAL;
  for (uint64_t done = 0, count; done < transfer->length; done += count) {
    uint64_t offset = transfer->offset + done;
    // Ending where blocks end spares reading back what is written next.
    count = MIN(transfer->length - done, kWriteSize - offset % kWriteSize);
    dmu_tx_t *tx = dmu_tx_create(os);
    dmu_tx_hold_write(tx, kDataObject, offset, count);
    int error = Assign(tx);
    if (error != 0) return error;
    dmu_write(os, kDataObject, offset, count, (const char *)transfer->from + done, tx);
    dmu_tx_commit(tx);
  }
  return 0;
}

static int Discard(objset_t *os, uint64_t size, uint64_t block, void *argument) {
  const transfer_t *transfer = argument;
  if (IsOutside(transfer, size)) return EINVAL;
  return dmu_free_long_range(os, kDataObject, transfer->offset, transfer->length);
}

static int Resize(objset_t *os, uint64_t size, uint64_t block, void *argument) {
  uint64_t wanted = *(uint64_t *)argument;
  int error = VolumeCheckSize(wanted, block);
  if (error != 0) return error;
  dmu_tx_t *tx = dmu_tx_create(os);
  dmu_tx_hold_zap(tx, kPropertiesObject, B_TRUE, NULL);
  if ((error = Assign(tx)) != 0) return error;
  error = zap_update(os, kPropertiesObject, kSizeName, 8, 1, &wanted, tx);
  dmu_tx_commit(tx);
  if (error == 0 && wanted < size) error = dmu_free_long_range(os, kDataObject, wanted, DMU_OBJECT_END);
  if (error == 0) txg_wait_synced(dmu_objset_pool(os), 0);
  return error;
}

int VolumeResize(const char *dataset, uint64_t size) { return WithVolume(dataset, B_TRUE, Resize, &size); }

FLOCKER_EMBEDDED_API int flocker_embedded_volume_stat(const char *dataset, uint64_t *size, uint64_t *block) {
  objset_t *os;
  int error = dmu_objset_hold(dataset, FTAG, &os);
  if (error != 0) return error;
  error = Geometry(os, size, block);
  dmu_objset_rele(os, FTAG);
  return error;
}

FLOCKER_EMBEDDED_API int flocker_embedded_volume_read(const char *dataset, uint64_t offset, void *buffer,
                                                      size_t length) {
  transfer_t transfer = {.offset = offset, .length = length, .to = buffer};
  return WithVolume(dataset, B_FALSE, Read, &transfer);
}

FLOCKER_EMBEDDED_API int flocker_embedded_volume_write(const char *dataset, uint64_t offset, const void *buffer,
                                                       size_t length) {
  transfer_t transfer = {.offset = offset, .length = length, .from = buffer};
  int error = PoolReserve(dataset, length * 2);
  return error != 0 ? error : WithVolume(dataset, B_TRUE, Write, &transfer);
}

FLOCKER_EMBEDDED_API int flocker_embedded_volume_discard(const char *dataset, uint64_t offset, uint64_t length) {
  transfer_t transfer = {.offset = offset, .length = length};
  return WithVolume(dataset, B_TRUE, Discard, &transfer);
}

FLOCKER_EMBEDDED_API int flocker_embedded_volume_flush(const char *dataset) { return PoolSync(dataset); }
