/* Setting properties, with the checks that the kernel makes of what comes in by ioctl. */
#include "engine.h"

/** What stands for a property's own handling where it has none. */
enum { kPlain = -1 };

/** The value's pair: of a list as dsl_prop_get_all makes it, { value, source }, that inside. Null where there is none. */
static nvpair_t *ValueOf(nvpair_t *pair) {
  nvlist_t *attributes;
  nvpair_t *value = NULL;
  if (nvpair_type(pair) != DATA_TYPE_NVLIST) return pair;
  if (nvpair_value_nvlist(pair, &attributes) != 0) return NULL;
  return nvlist_lookup_nvpair(attributes, ZPROP_VALUE, &value) == 0 ? value : NULL;
}

static int CheckUser(const char *name, nvpair_t *value) {
  text_t text;
  if (zfs_prop_userquota(name)) return ENOTSUP;
  if (!zfs_prop_user(name) || nvpair_value_string(value, &text) != 0) return EINVAL;
  if (strlen(name) >= ZAP_MAXNAMELEN) return ENAMETOOLONG;
  return strlen(text) >= ZAP_MAXVALUELEN ? E2BIG : 0;
}

static boolean_t IsFilesystem(const char *dataset) {
  objset_t *os;
  if (dmu_objset_hold(dataset, FTAG, &os) != 0) return B_FALSE;
  boolean_t is = dmu_objset_type(os) == DMU_OST_ZFS;
  dmu_objset_rele(os, FTAG);
  return is;
}

static int CheckKind(zfs_prop_t property, nvpair_t *value) {
  uint64_t number;
  const char *known;
  boolean_t isText = zfs_prop_get_type(property) == PROP_TYPE_STRING;
  if (nvpair_type(value) == DATA_TYPE_STRING) return isText ? 0 : EINVAL;
  if (isText || nvpair_value_uint64(value, &number) != 0) return EINVAL;
  if (zfs_prop_get_type(property) != PROP_TYPE_INDEX) return 0;
  return zfs_prop_index_to_string(property, number, &known) != 0 ? ZFS_ERR_BADPROP : 0;
}

static boolean_t IsForFilesystems(zfs_prop_t property) {
#if FLOCKER_OPENZFS >= 203
  if (property == ZFS_PROP_LONGNAME) return B_TRUE;
#endif
  return property == ZFS_PROP_VERSION;
}

/** What a dataset can't be given though it is of the right kind: zfs_check_settable and zfs_prop_set_special. */
static int CheckNative(const char *dataset, zfs_prop_t property, nvpair_t *value) {
  uint64_t number = 0;
  (void)nvpair_value_uint64(value, &number);
  switch (property) {
    case ZFS_PROP_RECORDSIZE:
    case ZFS_PROP_VOLBLOCKSIZE:
      return number < SPA_MINBLOCKSIZE || number > zfs_max_recordsize || !ISP2(number) ? ERANGE : 0;
    case ZFS_PROP_SPECIAL_SMALL_BLOCKS:
      // libzpool asserts what the kernel does not ask for.
      return ISP2(number) && number <= SPA_OLD_MAXBLOCKSIZE ? 0 : ENOTSUP;
    case ZFS_PROP_SHARESMB:
      return IsFilesystem(dataset) ? 0 : ENOTSUP;
    case ZFS_PROP_MLSLABEL:
      return EPERM;
    default:
      return IsForFilesystems(property) && !IsFilesystem(dataset) ? EINVAL : 0;
  }
}

static int Check(const char *dataset, zprop_source_t source, nvpair_t *pair) {
  const char *name = nvpair_name(pair);
  zfs_prop_t property = zfs_name_to_prop(name);
  nvpair_t *value = ValueOf(pair);
  if (value == NULL) return EINVAL;
  boolean_t inherits = nvpair_type(value) == DATA_TYPE_BOOLEAN;
  int error = inherits || property == ZPROP_USERPROP ? 0 : CheckKind(property, value);
  if (error != 0) return error;
  if (property != ZPROP_USERPROP) {
    if (strchr(dataset, '@') != NULL) return EINVAL;
    if (zfs_prop_readonly(property) && !zfs_prop_setonce(property)) return EINVAL;
  }
  if (source == ZPROP_SRC_INHERITED) return inherits ? 0 : EINVAL;
  if (inherits) return source == ZPROP_SRC_LOCAL ? EINVAL : 0;
  return property == ZPROP_USERPROP ? CheckUser(name, value) : CheckNative(dataset, property, value);
}

// A filesystem is born with the newest version; one that came with an older one stays so.
static int SetVersion(const char *dataset, uint64_t version) {
  uint64_t now = 0;
  nvlist_t *list = fnvlist_alloc();
  int error = FilesystemProperties(dataset, list);
  if (error == 0) error = nvlist_lookup_uint64(list, zfs_prop_to_name(ZFS_PROP_VERSION), &now);
  nvlist_free(list);
  if (error != 0 || version == now) return error;
  return version < now ? EINVAL : ENOTSUP;
}

/** Sets what isn't just kept by name. kPlain where it is. */
static int SetSpecial(const char *dataset, zprop_source_t source, nvpair_t *pair) {
  uint64_t number = 0;
  text_t text = NULL;
  zfs_prop_t property = zfs_name_to_prop(nvpair_name(pair));
  nvpair_t *value = ValueOf(pair);
  if (property == ZPROP_USERPROP) return kPlain;
  (void)nvpair_value_uint64(value, &number);
  (void)nvpair_value_string(value, &text);
  int error = 0;
  switch (property) {
    case ZFS_PROP_QUOTA:
      return dsl_dir_set_quota(dataset, source, number);
    case ZFS_PROP_REFQUOTA:
      return dsl_dataset_set_refquota(dataset, source, number);
    case ZFS_PROP_RESERVATION:
      return dsl_dir_set_reservation(dataset, source, number);
    case ZFS_PROP_REFRESERVATION:
      return dsl_dataset_set_refreservation(dataset, source, number);
    case ZFS_PROP_VOLSIZE:
      return VolumeResize(dataset, number);
    case ZFS_PROP_VERSION:
      return SetVersion(dataset, number);
    case ZFS_PROP_FILESYSTEM_LIMIT:
    case ZFS_PROP_SNAPSHOT_LIMIT:
      if (number != UINT64_MAX) error = dsl_dir_activate_fs_ss_limit(dataset);
      break;
    case ZFS_PROP_KEYLOCATION:
      error = dsl_crypto_can_set_keylocation(dataset, text == NULL ? "" : text);
      break;
    default:
      break;
  }
  return error != 0 ? error : kPlain;
}

static int SetPlain(const char *dataset, zprop_source_t source, nvpair_t *pair) {
  uint64_t number;
  text_t text;
  const char *name = nvpair_name(pair);
  nvpair_t *value = ValueOf(pair);
  if (nvpair_type(value) == DATA_TYPE_BOOLEAN) return dsl_prop_inherit(dataset, name, source);
  if (nvpair_value_string(value, &text) == 0) return dsl_prop_set_string(dataset, name, source, text);
  if (nvpair_value_uint64(value, &number) == 0) return dsl_prop_set_int(dataset, name, source, number);
  return EINVAL;
}

static int SetOne(const char *dataset, zprop_source_t source, nvpair_t *pair, nvlist_t *plain) {
  int error = Check(dataset, source, pair);
  if (error == 0) {
    boolean_t inherits = nvpair_type(ValueOf(pair)) == DATA_TYPE_BOOLEAN;
    error = inherits ? kPlain : SetSpecial(dataset, source, pair);
  }
  return error == kPlain ? nvlist_add_nvpair(plain, pair) : error;
}

static void Note(nvlist_t *errors, const char *name, int error, int *first) {
  if (errors != NULL) fnvlist_add_int32(errors, name, error);
  *first = error;
}

// All at once, or where that fails as many as can be.
static int SetPlains(const char *dataset, zprop_source_t source, nvlist_t *plain, nvlist_t *errors) {
  int result = 0;
  if (nvlist_empty(plain) || dsl_props_set(dataset, source, plain) == 0) return 0;
  for (nvpair_t *pair = nvlist_next_nvpair(plain, NULL); pair != NULL; pair = nvlist_next_nvpair(plain, pair)) {
    int error = SetPlain(dataset, source, pair);
    if (error != 0) Note(errors, nvpair_name(pair), error, &result);
  }
  return result;
}

// A reservation may only fit after the quota that comes behind it: what fails is tried once more at the end.
int PropertiesSet(const char *dataset, zprop_source_t source, nvlist_t *properties, nvlist_t *errors) {
  if (properties == NULL || nvlist_empty(properties)) return 0;
  int result = 0;
  nvlist_t *plain = fnvlist_alloc(), *again = fnvlist_alloc();
  for (nvpair_t *pair = nvlist_next_nvpair(properties, NULL); pair != NULL;
       pair = nvlist_next_nvpair(properties, pair)) {
    if (SetOne(dataset, source, pair, plain) != 0) fnvlist_add_nvpair(again, pair);
  }
  for (nvpair_t *pair = nvlist_next_nvpair(again, NULL); pair != NULL; pair = nvlist_next_nvpair(again, pair)) {
    int error = SetOne(dataset, source, pair, plain);
    if (error != 0) Note(errors, nvpair_name(pair), error, &result);
  }
  int error = SetPlains(dataset, source, plain, errors);
  nvlist_free(plain);
  nvlist_free(again);
  return error != 0 ? error : result;
}

// With its value: quotas and reservations are more than what is kept by name. In a dataset that nothing was received into those are
// its local ones.
int ReceivedClear(const char *dataset, nvlist_t *list, nvlist_t *kept) {
  nvlist_t *cleared = fnvlist_alloc();
  for (nvpair_t *pair = nvlist_next_nvpair(list, NULL); pair != NULL; pair = nvlist_next_nvpair(list, pair)) {
    if (kept == NULL || !nvlist_exists(kept, nvpair_name(pair))) fnvlist_add_nvpair(cleared, pair);
  }
  zprop_source_t source = ZPROP_SRC_NONE | (dsl_prop_get_hasrecvd(dataset) ? ZPROP_SRC_RECEIVED : 0);
  int error = PropertiesSet(dataset, source, cleared, NULL);
  nvlist_free(cleared);
  return error;
}
