/* What a pool's file says of itself. */
#ifndef FLOCKER_EMBEDDED_LABEL_H
#define FLOCKER_EMBEDDED_LABEL_H

#include "zpool.h"

/** The configuration for spa_import of the pool named `pool` that the file at `path`, opened as `fd`, holds. */
int LabelRead(int fd, const char *path, const char *pool, nvlist_t **config);

#endif
