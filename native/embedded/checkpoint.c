/* libzfs_core's functions of a pool's checkpoint. */
#include "engine.h"

FLOCKER_EMBEDDED_API int lzc_pool_checkpoint(const char *pool) { return spa_checkpoint(pool); }

FLOCKER_EMBEDDED_API int lzc_pool_checkpoint_discard(const char *pool) { return spa_checkpoint_discard(pool); }
