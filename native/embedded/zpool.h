/* libzpool's headers, and what its releases name differently. */
#ifndef FLOCKER_EMBEDDED_ZPOOL_H
#define FLOCKER_EMBEDDED_ZPOOL_H

#include <sys/stat.h>
#include <sys/zfs_context.h>

#include <sys/arc_impl.h>
#include <sys/dmu.h>
#include <sys/dmu_objset.h>
#include <sys/dmu_recv.h>
#include <sys/dmu_send.h>
#include <sys/dmu_tx.h>
#include <sys/dsl_bookmark.h>
#include <sys/dsl_crypt.h>
#include <sys/dsl_dataset.h>
#include <sys/dsl_destroy.h>
#include <sys/dsl_dir.h>
#include <sys/dsl_pool.h>
#include <sys/dsl_prop.h>
#include <sys/dsl_userhold.h>
#include <sys/metaslab.h>
#include <sys/spa.h>
#include <sys/spa_impl.h>
#include <sys/txg.h>
#include <sys/vdev.h>
#include <sys/vdev_impl.h>
#include <sys/zap.h>
#include <sys/zcp.h>
#include <sys/zfeature.h>
#include <sys/zfs_file.h>
#include <sys/zfs_ioctl.h>
#include <sys/zfs_onexit.h>

#include "zfs_namecheck.h"
#include "zfs_prop.h"

// From 2.2 on nvlists give out const texts.
#if FLOCKER_OPENZFS >= 202
typedef const char *text_t;
#else
typedef char *text_t;
#define ZPROP_USERPROP ZPROP_INVAL
#endif

#ifndef DMU_TX_WAIT
#define DMU_TX_WAIT TXG_WAIT
#endif

// Headers that the development package leaves out define these.
enum { ZFS_CASE_SENSITIVE, ZFS_CASE_INSENSITIVE, ZFS_CASE_MIXED };

#endif
