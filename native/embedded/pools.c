/* libzfs_core's functions of a whole pool. */
#include "engine.h"

FLOCKER_EMBEDDED_API int lzc_sync(const char *pool, nvlist_t *options, nvlist_t **result) { return PoolSync(pool); }

// zcp_eval would say ECHRNG, as of an error of the program's own.
static int CheckOpen(const char *pool) {
  spa_t *spa;
  int error = spa_open(pool, &spa, FTAG);
  if (error == 0) spa_close(spa, FTAG);
  return error;
}

static int Run(const char *pool, const char *program, boolean_t sync, uint64_t instructions, uint64_t memory,
               nvlist_t *arguments, nvlist_t **result) {
  nvlist_t *input = fnvlist_alloc(), *output = fnvlist_alloc();
  nvpair_t *list;
  if (result != NULL) *result = NULL;
  fnvlist_add_nvlist(input, ZCP_ARG_ARGLIST, arguments);
  int error = nvlist_lookup_nvpair(input, ZCP_ARG_ARGLIST, &list);
  if (error == 0 && (instructions == 0 || instructions > zfs_lua_max_instrlimit)) error = EINVAL;
  if (error == 0 && (memory == 0 || memory > zfs_lua_max_memlimit)) error = EINVAL;
  if (error == 0) error = CheckOpen(pool);
  if (error == 0) error = zcp_eval(pool, program, sync, instructions, memory, list, output);
  nvlist_free(input);
  ListGive(output, result);
  return error;
}

FLOCKER_EMBEDDED_API int lzc_channel_program(const char *pool, const char *program, uint64_t instructions,
                                             uint64_t memory, nvlist_t *arguments, nvlist_t **result) {
  return Run(pool, program, B_TRUE, instructions, memory, arguments, result);
}

FLOCKER_EMBEDDED_API int lzc_channel_program_nosync(const char *pool, const char *program, uint64_t instructions,
                                                    uint64_t memory, nvlist_t *arguments, nvlist_t **result) {
  return Run(pool, program, B_FALSE, instructions, memory, arguments, result);
}
