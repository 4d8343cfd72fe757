/* Receiving. */
#include "engine.h"

/* libzfs's zprop_errflags_t: what could not be done about the properties of a dataset that was there before. */
enum { kNotCleared = 1, kNotRestored = 2 };

/* A BEGIN record's payload is a short list. libzpool allocates what the record says before it reads it. */
static const uint32_t kGreatestPayload = 16 << 20;

typedef struct receive {
  char dataset[ZFS_MAX_DATASET_NAME_LEN];
  const char *snapshot;
  const char *origin;
  boolean_t force, heal, resumable;
  dmu_replay_record_t begin;
  zfs_file_t *stream;
  /* Given: what the sender's properties are, and -o and -x. */
  nvlist_t *received, *overrides;
  nvlist_t *hidden;
  dmu_recv_cookie_t cookie;
  uint64_t flags;
  nvlist_t *errors;
  /* As they were, where the dataset isn't new. */
  nvlist_t *oldReceived, *oldAll;
  /* Nothing was received into it before: what is old are the local values. All of them go, as the kernel has it. */
  boolean_t first;
} receive_t;

// These can make what comes in fail, or need it complete: they are set when it is there.
static boolean_t IsSetLast(const char *name) {
  zfs_prop_t property = zfs_name_to_prop(name);
  return property == ZFS_PROP_REFQUOTA || property == ZFS_PROP_KEYLOCATION;
}

static void Keep(nvlist_t *list, nvpair_t *pair) { fnvlist_add_nvpair(list, pair); }

/** Sets those of `list` that are of this phase; of overrides the -x ones are Booleans, and inherited. */
static void SetPhase(receive_t *receive, nvlist_t *list, zprop_source_t source, boolean_t last) {
  if (list == NULL) return;
  nvlist_t *values = fnvlist_alloc(), *inherited = fnvlist_alloc();
  for (nvpair_t *pair = nvlist_next_nvpair(list, NULL); pair != NULL; pair = nvlist_next_nvpair(list, pair)) {
    const char *name = nvpair_name(pair);
    zfs_prop_t property = zfs_name_to_prop(name);
    if (IsSetLast(name) != last) continue;
    if (source != ZPROP_SRC_LOCAL || nvpair_type(pair) != DATA_TYPE_BOOLEAN) {
      Keep(values, pair);
    } else if (property == ZPROP_USERPROP ? zfs_prop_user(name) : zfs_prop_inheritable(property)) {
      Keep(inherited, pair);
    }
  }
  (void)PropertiesSet(receive->dataset, source, values, receive->errors);
  (void)PropertiesSet(receive->dataset, ZPROP_SRC_INHERITED, inherited, receive->errors);
  nvlist_free(values);
  nvlist_free(inherited);
}

static int ReadAll(const char *dataset, nvlist_t **all) {
  objset_t *os;
  int error = dmu_objset_hold(dataset, FTAG, &os);
  if (error != 0) return error;
  error = dsl_prop_get_all(os, all);
  dmu_objset_rele(os, FTAG);
  return error;
}

static void StashProperties(receive_t *receive) {
  if (receive->cookie.drc_newfs) return;
  if (receive->received != NULL) {
    receive->first = !dsl_prop_get_hasrecvd(receive->dataset);
    if (dsl_prop_get_received(receive->dataset, &receive->oldReceived) != 0 ||
        ReceivedClear(receive->dataset, receive->oldReceived, receive->first ? NULL : receive->received) != 0) {
      receive->flags |= kNotCleared;
    }
  }
  if (receive->overrides != NULL && ReadAll(receive->dataset, &receive->oldAll) != 0) receive->flags |= kNotCleared;
}

/** What of `overrides` was local before gets its value back, and all else is inherited again. */
static int RestoreOverrides(receive_t *receive) {
  int error = 0;
  nvlist_t *values = fnvlist_alloc(), *inherited = fnvlist_alloc();
  for (nvpair_t *pair = nvlist_next_nvpair(receive->overrides, NULL); pair != NULL;
       pair = nvlist_next_nvpair(receive->overrides, pair)) {
    nvlist_t *old;
    text_t source = "";
    const char *name = nvpair_name(pair);
    boolean_t known = nvlist_lookup_nvlist(receive->oldAll, name, &old) == 0;
    if (known) (void)nvlist_lookup_string(old, ZPROP_SOURCE, &source);
    if (strcmp(source, ZPROP_SOURCE_VAL_RECVD) == 0) continue;
    if (strcmp(source, receive->dataset) == 0) {
      fnvlist_add_nvlist(values, name, old);
    } else {
      fnvlist_add_boolean(inherited, name);
    }
  }
  error |= PropertiesSet(receive->dataset, ZPROP_SRC_LOCAL, values, NULL);
  error |= PropertiesSet(receive->dataset, ZPROP_SRC_INHERITED, inherited, NULL);
  nvlist_free(values);
  nvlist_free(inherited);
  return error;
}

static void RestoreProperties(receive_t *receive) {
  if (receive->cookie.drc_newfs) return;
  if (receive->received != NULL) {
    int error = ReceivedClear(receive->dataset, receive->received, NULL);
    if (receive->first) dsl_prop_unset_hasrecvd(receive->dataset);
    zprop_source_t source = receive->first ? ZPROP_SRC_LOCAL : ZPROP_SRC_RECEIVED;
    if (error != 0 || receive->oldReceived == NULL ||
        PropertiesSet(receive->dataset, source, receive->oldReceived, NULL) != 0) {
      receive->flags |= kNotRestored;
    }
  }
  if (receive->overrides != NULL && (receive->oldAll == NULL || RestoreOverrides(receive) != 0)) {
    receive->flags |= kNotRestored;
  }
}

static int Begin(receive_t *receive, offset_t *position) {
#if FLOCKER_OPENZFS >= 202
  return dmu_recv_begin(receive->dataset, receive->snapshot, &receive->begin, receive->force, receive->heal,
                        receive->resumable, receive->overrides, receive->hidden, receive->origin, &receive->cookie,
                        receive->stream, position);
#else
  return dmu_recv_begin(receive->dataset, (char *)receive->snapshot, &receive->begin, receive->force,
                        receive->resumable, receive->overrides, receive->hidden, (char *)receive->origin,
                        &receive->cookie, receive->stream, position);
#endif
}

// On a failure dmu_recv_stream destroys what it had, or keeps it where that is to be resumed.
static int Perform(receive_t *receive, offset_t *position) {
  int error = Begin(receive, position), unmarked = 0;
  if (error != 0) return error;
  StashProperties(receive);
  if (receive->received != NULL) {
    unmarked = dsl_prop_set_hasrecvd(receive->dataset);
    if (unmarked == 0) SetPhase(receive, receive->received, ZPROP_SRC_RECEIVED, B_FALSE);
  }
  SetPhase(receive, receive->overrides, ZPROP_SRC_LOCAL, B_FALSE);
  error = dmu_recv_stream(&receive->cookie, position);
  if (error == 0) {
    VolumesLock();
    error = dmu_recv_end(&receive->cookie, NULL);
    VolumesUnlock();
  }
  if (error == 0) {
    SetPhase(receive, receive->received, ZPROP_SRC_RECEIVED, B_TRUE);
    SetPhase(receive, receive->overrides, ZPROP_SRC_LOCAL, B_TRUE);
    return unmarked;
  }
  RestoreProperties(receive);
  return error;
}

static int ReadBegin(int fd, dmu_replay_record_t *begin) {
  size_t done = 0;
  while (done < sizeof(*begin)) {
    ssize_t count = read(fd, (char *)begin + done, sizeof(*begin) - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return ZFS_ERR_STREAM_TRUNCATED;
    done += count;
  }
  return 0;
}

/* Of a BEGIN record's versioninfo: the features begin at bit 2, and raw streams are feature 24. */
static boolean_t IsRaw(const dmu_replay_record_t *begin) { return begin->drr_begin.drr_versioninfo >> 26 & 1; }

// Another byte order's streams would have to be checked in that order: nobody has such a machine.
static int CheckBegin(const dmu_replay_record_t *begin) {
  if (begin->drr_begin.drr_magic == BSWAP_64(DMU_BACKUP_MAGIC)) return ENOTSUP;
  if (begin->drr_begin.drr_magic != DMU_BACKUP_MAGIC || begin->drr_type != 0) return EINVAL;
  if (begin->drr_payloadlen > kGreatestPayload || (!IsRaw(begin) && begin->drr_payloadlen % 8 != 0)) return EINVAL;
  uint32_t type = begin->drr_begin.drr_type;
  return type == DMU_OST_ZFS || type == DMU_OST_ZVOL ? 0 : EINVAL;
}

static int Receive(receive_t *receive, const char *target, int fd, const void *begin, uint64_t *bytes) {
  const char *at = strchr(target, '@');
  if (dataset_namecheck(target, NULL, NULL) != 0 || at == NULL || strchr(target, '%') != NULL) return EINVAL;
  (void)snprintf(receive->dataset, sizeof(receive->dataset), "%.*s", (int)(at - target), target);
  receive->snapshot = at + 1;
  int error = 0;
  if (begin == NULL) {
    error = ReadBegin(fd, &receive->begin);
  } else {
    memcpy(&receive->begin, begin, sizeof(receive->begin));
  }
  if (error == 0) error = CheckBegin(&receive->begin);
  if (error != 0) return error;
  receive->stream = StreamOpen(fd, receive->dataset, receive->begin.drr_payloadlen, IsRaw(&receive->begin));
  if (receive->stream == NULL) return ENOMEM;
  offset_t position = 0;
  error = Perform(receive, &position);
  *bytes = position;
  StreamClose(receive->stream);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_receive_with_heal(const char *target, nvlist_t *received, nvlist_t *overrides,
                                               uint8_t *key, unsigned keySize, const char *origin, boolean_t force,
                                               boolean_t heal, boolean_t resumable, boolean_t raw, int fd,
                                               const dmu_replay_record_t *begin, int cleanup, uint64_t *bytes,
                                               uint64_t *flags, uint64_t *handle, nvlist_t **errors) {
#if FLOCKER_OPENZFS < 202
  if (heal) return ZFS_ERR_IOC_ARG_UNAVAIL;
#endif
  uint64_t count = 0;
  receive_t *receive = calloc(1, sizeof(*receive));
  if (receive == NULL) return ENOMEM;
  receive->origin = origin;
  receive->force = force;
  receive->heal = heal;
  receive->resumable = resumable;
  receive->received = received == NULL ? NULL : fnvlist_dup(received);
  receive->overrides = overrides == NULL ? NULL : fnvlist_dup(overrides);
  receive->errors = fnvlist_alloc();
  if (key != NULL) {
    receive->hidden = fnvlist_alloc();
    fnvlist_add_uint8_array(receive->hidden, "wkeydata", key, keySize);
  }
  int error = Receive(receive, target, fd, begin, &count);
  if (bytes != NULL) *bytes = count;
  if (flags != NULL) *flags = receive->flags;
  if (handle != NULL) *handle = 0;
  ListGive(receive->errors, errors);
  nvlist_free(receive->received);
  nvlist_free(receive->overrides);
  nvlist_free(receive->hidden);
  nvlist_free(receive->oldReceived);
  nvlist_free(receive->oldAll);
  free(receive);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_receive_with_cmdprops(const char *target, nvlist_t *received, nvlist_t *overrides,
                                                   uint8_t *key, unsigned keySize, const char *origin, boolean_t force,
                                                   boolean_t resumable, boolean_t raw, int fd,
                                                   const dmu_replay_record_t *begin, int cleanup, uint64_t *bytes,
                                                   uint64_t *flags, uint64_t *handle, nvlist_t **errors) {
  return lzc_receive_with_heal(target, received, overrides, key, keySize, origin, force, B_FALSE, resumable, raw, fd,
                               begin, cleanup, bytes, flags, handle, errors);
}

FLOCKER_EMBEDDED_API int lzc_receive(const char *target, nvlist_t *received, const char *origin, boolean_t force,
                                     boolean_t raw, int fd) {
  return lzc_receive_with_heal(target, received, NULL, NULL, 0, origin, force, B_FALSE, B_FALSE, raw, fd, NULL, -1,
                               NULL, NULL, NULL, NULL);
}

FLOCKER_EMBEDDED_API int lzc_receive_resumable(const char *target, nvlist_t *received, const char *origin,
                                               boolean_t force, boolean_t raw, int fd) {
  return lzc_receive_with_heal(target, received, NULL, NULL, 0, origin, force, B_FALSE, B_TRUE, raw, fd, NULL, -1,
                               NULL, NULL, NULL, NULL);
}
