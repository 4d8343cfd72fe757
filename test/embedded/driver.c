/*
 * Runs the embedded engine by hand: `driver LIBRARY`, with one command a line on standard input, answers each with a line
 * "ERRNO RESULT" on standard output. What the commands are is in `commands` at the end.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct nvlist nvlist_t;
typedef struct nvpair nvpair_t;
enum { kMost = 16, kListStats = 0x5a12, kListChildren = 0x5a14, kListSnapshots = 0x5a15, kSet = 0x5a16, kInherit = 0x5a2b };

static void *library;
static int count;
static char *words[kMost];

static void *Symbol(const char *name) {
  void *symbol = dlsym(library, name);
  if (symbol == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(2);
  }
  return symbol;
}
#define CALL(name, result, parameters, ...) (((result(*) parameters)Symbol(#name))(__VA_ARGS__))

static const char *Word(int number) { return number < count && strcmp(words[number], "-") != 0 ? words[number] : NULL; }
static uint64_t Number(int number) { return Word(number) == NULL ? 0 : strtoull(Word(number), NULL, 0); }

static nvlist_t *NewList(void) {
  nvlist_t *list;
  CALL(nvlist_alloc, int, (nvlist_t **, unsigned, int), &list, 1, 0);
  return list;
}
static void FreeList(nvlist_t *list) { CALL(nvlist_free, void, (nvlist_t *), list); }
static void AddText(nvlist_t *list, const char *name, const char *text) {
  CALL(nvlist_add_string, int, (nvlist_t *, const char *, const char *), list, name, text);
}
static void AddNumber(nvlist_t *list, const char *name, uint64_t number) {
  CALL(nvlist_add_uint64, int, (nvlist_t *, const char *, uint64_t), list, name, number);
}
static void AddFlag(nvlist_t *list, const char *name) {
  CALL(nvlist_add_boolean, int, (nvlist_t *, const char *), list, name);
}

static char *answer;
static size_t answerSize;
static FILE *answerFile;

/* As JSON, all on one line. */
static void PutList(nvlist_t *list) {
  if (list == NULL) return;
  char *text = NULL;
  size_t size = 0;
  FILE *file = open_memstream(&text, &size);
  CALL(nvlist_print_json, int, (FILE *, nvlist_t *), file, list);
  fclose(file);
  for (char *at = text; *at != '\0'; at++) fputc(*at == '\n' ? ' ' : *at, answerFile);
  free(text);
}

/* Words from `first` on: NAME=TEXT, NAME:=NUMBER, or NAME alone. */
static nvlist_t *Properties(int first) {
  nvlist_t *list = NewList();
  for (int i = first; i < count; i++) {
    char *is = strchr(words[i], '=');
    if (is == NULL) {
      AddFlag(list, words[i]);
    } else if (is > words[i] && is[-1] == ':') {
      is[-1] = '\0';
      AddNumber(list, words[i], strtoull(is + 1, NULL, 0));
    } else {
      *is = '\0';
      AddText(list, words[i], is + 1);
    }
  }
  return list;
}

static int Open(void) {
  return CALL(flocker_embedded_pool_open, int, (const char *, const char *, uint64_t), words[1], words[2], Number(3));
}
static int Close(void) { return CALL(flocker_embedded_pool_close, int, (const char *), words[1]); }
static int Grow(void) { return CALL(flocker_embedded_pool_grow, int, (const char *, uint64_t), words[1], Number(2)); }

/* create NAME volume|filesystem KEY|- PROPERTIES */
static int Create(void) {
  nvlist_t *list = Properties(4);
  const char *key = Word(3);
  int error = CALL(lzc_create, int, (const char *, int, nvlist_t *, const uint8_t *, unsigned), words[1],
                   strcmp(words[2], "volume") == 0 ? 3 : 2, list, (const uint8_t *)key, key ? strlen(key) : 0);
  FreeList(list);
  return error;
}

static int ListCall(const char *name, nvlist_t *list) {
  nvlist_t *errors = NULL;
  int error = ((int (*)(nvlist_t *, nvlist_t **))Symbol(name))(list, &errors);
  PutList(errors);
  FreeList(errors);
  FreeList(list);
  return error;
}

static int Snapshot(void) {
  nvlist_t *list = NewList(), *errors = NULL;
  for (int i = 1; i < count; i++) AddFlag(list, words[i]);
  int error = CALL(lzc_snapshot, int, (nvlist_t *, nvlist_t *, nvlist_t **), list, NULL, &errors);
  PutList(errors);
  FreeList(list);
  return error;
}
static int DestroySnapshots(void) {
  nvlist_t *list = NewList(), *errors = NULL;
  for (int i = 1; i < count; i++) AddFlag(list, words[i]);
  int error = CALL(lzc_destroy_snaps, int, (nvlist_t *, int, nvlist_t **), list, 0, &errors);
  PutList(errors);
  FreeList(list);
  return error;
}
static int Destroy(void) { return CALL(lzc_destroy, int, (const char *), words[1]); }
static int Rename(void) { return CALL(lzc_rename, int, (const char *, const char *), words[1], words[2]); }
static int Rollback(void) { return CALL(lzc_rollback_to, int, (const char *, const char *), words[1], words[2]); }
static int Promote(void) {
  char conflict[256] = "";
  int error = CALL(lzc_promote, int, (const char *, char *, int), words[1], conflict, sizeof(conflict));
  fputs(conflict, answerFile);
  return error;
}
static int Clone(void) {
  return CALL(lzc_clone, int, (const char *, const char *, nvlist_t *), words[1], words[2], NULL);
}
static int Bookmark(void) {
  nvlist_t *list = NewList();
  AddText(list, words[1], words[2]);
  return ListCall("lzc_bookmark", list);
}
static int Bookmarks(void) {
  nvlist_t *list = NULL, *wanted = Properties(2);
  int error = CALL(lzc_get_bookmarks, int, (const char *, nvlist_t *, nvlist_t **), words[1], wanted, &list);
  PutList(list);
  FreeList(list);
  FreeList(wanted);
  return error;
}

static int cleanup = -1;
/* hold SNAPSHOT TAG [temporary] */
static int Hold(void) {
  nvlist_t *list = NewList(), *errors = NULL;
  AddText(list, words[1], words[2]);
  if (count > 3 && cleanup == -1) cleanup = CALL(flocker_embedded_cleanup_open, int, (void));
  int error = CALL(lzc_hold, int, (nvlist_t *, int, nvlist_t **), list, count > 3 ? cleanup : -1, &errors);
  PutList(errors);
  FreeList(list);
  return error;
}
static int ReleaseTemporary(void) {
  int error = CALL(flocker_embedded_cleanup_close, int, (int), cleanup);
  cleanup = -1;
  return error;
}
static int Release(void) {
  nvlist_t *list = NewList(), *tags = NewList();
  AddFlag(tags, words[2]);
  CALL(nvlist_add_nvlist, int, (nvlist_t *, const char *, nvlist_t *), list, words[1], tags);
  return ListCall("lzc_release", list);
}
static int Holds(void) {
  nvlist_t *list = NULL;
  int error = CALL(lzc_get_holds, int, (const char *, nvlist_t **), words[1], &list);
  PutList(list);
  return error;
}

static int LoadKey(void) {
  return CALL(lzc_load_key, int, (const char *, int, const char *, unsigned), words[1], 0, words[2], strlen(words[2]));
}
static int UnloadKey(void) { return CALL(lzc_unload_key, int, (const char *), words[1]); }

/* send SNAPSHOT FROM|- FLAGS FILE OBJECT OFFSET */
static int Send(void) {
  int fd = open(words[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd == -1) return errno;
  int error = CALL(lzc_send_resume_redacted, int,
                   (const char *, const char *, int, int, uint64_t, uint64_t, const char *), words[1], Word(2), fd,
                   (int)Number(3), Number(5), Number(6), NULL);
  close(fd);
  return error;
}
/* send-broken SNAPSHOT: into a pipe that nobody reads */
static int SendBroken(void) {
  int ends[2];
  if (pipe(ends) != 0) return errno;
  close(ends[0]);
  int error = CALL(lzc_send_resume_redacted, int,
                   (const char *, const char *, int, int, uint64_t, uint64_t, const char *), words[1], NULL, ends[1], 0,
                   (uint64_t)0, (uint64_t)0, NULL);
  close(ends[1]);
  return error;
}
static int SendSpace(void) {
  uint64_t space = 0;
  int error = CALL(lzc_send_space, int, (const char *, const char *, int, uint64_t *), words[1], Word(2),
                   (int)Number(3), &space);
  fprintf(answerFile, "%" PRIu64, space);
  return error;
}

typedef struct feed {
  int from, to;
  uint64_t limit, pause;
} feed_t;

/* Gives the receiver the file through a pipe; a limit cuts it short, and a pause a block lets a killer in between. */
static void *Feed(void *argument) {
  feed_t *feed = argument;
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, NULL);
  char buffer[65536];
  while (feed->limit > 0) {
    size_t wanted = feed->limit < sizeof(buffer) ? feed->limit : sizeof(buffer);
    ssize_t size = read(feed->from, buffer, wanted);
    if (size <= 0) break;
    for (ssize_t done = 0; done < size;) {
      ssize_t written = write(feed->to, buffer + done, size - done);
      if (written < 0) goto end;
      done += written;
    }
    feed->limit -= size;
    if (feed->pause != 0) usleep(feed->pause);
  }
end:
  close(feed->to);
  return NULL;
}

/* receive TARGET FILE force|- resumable|- LIMIT|- PAUSE|- ORIGIN|- [OVERRIDES] */
static int Receive(void) {
  int ends[2], fd = open(words[2], O_RDONLY | O_CLOEXEC);
  char begin[312];
  if (fd == -1 || pipe2(ends, O_CLOEXEC) != 0) return errno;
  if (read(fd, begin, sizeof(begin)) != sizeof(begin)) return ENODATA;
  feed_t feed = {fd, ends[1], Number(5) == 0 ? UINT64_MAX : Number(5), Number(6)};
  pthread_t thread;
  pthread_create(&thread, NULL, Feed, &feed);
  uint64_t bytes = 0, flags = 0, handle = 0;
  nvlist_t *errors = NULL, *overrides = Properties(8);
  int error = CALL(lzc_receive_with_cmdprops, int,
                   (const char *, nvlist_t *, nvlist_t *, uint8_t *, unsigned, const char *, int, int, int, int,
                    const void *, int, uint64_t *, uint64_t *, uint64_t *, nvlist_t **),
                   words[1], NULL, overrides, NULL, 0, Word(7), Word(3) != NULL, Word(4) != NULL, 1, ends[0], begin, -1,
                   &bytes, &flags, &handle, &errors);
  close(ends[0]);
  pthread_join(thread, NULL);
  close(fd);
  fprintf(answerFile, "%" PRIu64 " %" PRIu64 " ", bytes, flags);
  PutList(errors);
  return error;
}

/* The offsets are zfs_cmd_t's. */
static char command[13744];
static int Ask(int number, const char *name, nvlist_t **list) {
  char buffer[65536];
  *(uint64_t *)(command + 4112) = (uintptr_t)buffer;
  *(uint64_t *)(command + 4120) = sizeof(buffer);
  *(int *)(command + 4128) = 0;
  if (name != command) snprintf(command, 256, "%s", name);
  int error = CALL(flocker_embedded_ioctl, int, (unsigned long, void *), number, command);
  if (*(int *)(command + 4128) != 0) {
    CALL(nvlist_unpack, int, (char *, size_t, nvlist_t **, int), buffer, *(uint64_t *)(command + 4120), list, 0);
  }
  return error;
}
static int Stats(void) {
  nvlist_t *list = NULL;
  memset(command, 0, sizeof(command));
  int error = Ask(kListStats, words[1], &list);
  PutList(list);
  FreeList(list);
  return error;
}
static int Names(int number) {
  int error;
  uint64_t cookie = 0;
  for (;;) {
    nvlist_t *list = NULL;
    memset(command, 0, sizeof(command));
    *(uint64_t *)(command + 12616) = cookie;
    error = Ask(number, words[1], &list);
    FreeList(list);
    if (error != 0) break;
    cookie = *(uint64_t *)(command + 12616);
    fprintf(answerFile, "%s ", command);
  }
  return error == ESRCH ? 0 : error;
}
static int Children(void) { return Names(kListChildren); }
static int Snapshots(void) { return Names(kListSnapshots); }

/* set NAME PROPERTIES */
static int Set(void) {
  nvlist_t *list = Properties(2), *errors = NULL;
  char *packed = NULL;
  size_t size = 0;
  CALL(nvlist_pack, int, (nvlist_t *, char **, size_t *, int, int), list, &packed, &size, 0, 0);
  memset(command, 0, sizeof(command));
  *(uint64_t *)(command + 4096) = (uintptr_t)packed;
  *(uint64_t *)(command + 4104) = size;
  int error = Ask(kSet, words[1], &errors);
  PutList(errors);
  FreeList(list);
  return error;
}
static int Inherit(void) {
  nvlist_t *errors = NULL;
  memset(command, 0, sizeof(command));
  snprintf(command + 4144, 256, "%s", words[2]);
  return Ask(kInherit, words[1], &errors);
}

static uint64_t state;
static uint64_t Random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

enum { kStep = 1 << 20 };
/* write VOLUME OFFSET LENGTH SEED */
static int Write(void) {
  uint64_t *buffer = malloc(kStep);
  int error = 0;
  state = Number(4) * 2654435761 + 1;
  for (uint64_t done = 0, size; error == 0 && done < Number(3); done += size) {
    size = Number(3) - done < kStep ? Number(3) - done : kStep;
    for (size_t i = 0; i < kStep / 8; i++) buffer[i] = Random();
    error = CALL(flocker_embedded_volume_write, int, (const char *, uint64_t, const void *, size_t), words[1],
                 Number(2) + done, buffer, size);
  }
  free(buffer);
  return error;
}
/* hash VOLUME: FNV-1a of its 64-bit words */
static int Hash(void) {
  uint64_t size, block, hash = 14695981039346656037ULL, *buffer = malloc(kStep);
  int error = CALL(flocker_embedded_volume_stat, int, (const char *, uint64_t *, uint64_t *), words[1], &size, &block);
  for (uint64_t done = 0, length; error == 0 && done < size; done += length) {
    length = size - done < kStep ? size - done : kStep;
    error = CALL(flocker_embedded_volume_read, int, (const char *, uint64_t, void *, size_t), words[1], done, buffer,
                 length);
    for (size_t i = 0; i < length / 8; i++) hash = (hash ^ buffer[i]) * 1099511628211ULL;
  }
  fprintf(answerFile, "%016" PRIx64 " %" PRIu64 " %" PRIu64, hash, size, block);
  free(buffer);
  return error;
}
/* dump VOLUME FILE: its content as it is */
static int Dump(void) {
  uint64_t size, block;
  char *buffer = malloc(kStep);
  FILE *file = fopen(words[2], "w");
  if (file == NULL) return errno;
  int error = CALL(flocker_embedded_volume_stat, int, (const char *, uint64_t *, uint64_t *), words[1], &size, &block);
  for (uint64_t done = 0, length; error == 0 && done < size; done += length) {
    length = size - done < kStep ? size - done : kStep;
    error = CALL(flocker_embedded_volume_read, int, (const char *, uint64_t, void *, size_t), words[1], done, buffer,
                 length);
    if (error == 0 && fwrite(buffer, 1, length, file) != length) error = EIO;
  }
  free(buffer);
  return fclose(file) != 0 ? errno : error;
}
static int Flush(void) { return CALL(flocker_embedded_volume_flush, int, (const char *), words[1]); }
static int Discard(void) {
  return CALL(flocker_embedded_volume_discard, int, (const char *, uint64_t, uint64_t), words[1], Number(2), Number(3));
}
static int Version(void) {
  fputs(Symbol("flocker_embedded_version"), answerFile);
  return 0;
}

static const struct {
  const char *name;
  int (*run)(void);
  int least;
} commands[] = {
    {"open", Open, 3}, {"close", Close, 2}, {"grow", Grow, 3}, {"create", Create, 4}, {"snapshot", Snapshot, 2},
    {"destroy-snapshots", DestroySnapshots, 2}, {"destroy", Destroy, 2}, {"rename", Rename, 3}, {"rollback", Rollback, 3},
    {"promote", Promote, 2}, {"clone", Clone, 3}, {"bookmark", Bookmark, 3}, {"bookmarks", Bookmarks, 2}, {"hold", Hold, 3},
    {"release", Release, 3}, {"release-temporary", ReleaseTemporary, 1}, {"holds", Holds, 2}, {"send", Send, 5},
    {"load-key", LoadKey, 3}, {"unload-key", UnloadKey, 2}, {"send-broken", SendBroken, 2}, {"send-space", SendSpace, 4},
    {"receive", Receive, 3}, {"stats", Stats, 2}, {"children", Children, 2}, {"snapshots", Snapshots, 2}, {"set", Set, 3},
    {"inherit", Inherit, 3}, {"write", Write, 5}, {"hash", Hash, 2}, {"dump", Dump, 3}, {"flush", Flush, 2}, {"discard", Discard, 4},
    {"version", Version, 1},
};

static int Run(void) {
  for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
    if (strcmp(words[0], commands[i].name) == 0 && count >= commands[i].least) return commands[i].run();
  }
  fprintf(stderr, "no such command: %s, %d\n", words[0], count);
  exit(2);
}

int main(int argc, char **argv) {
  library = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, stdin) > 0) {
    count = 0;
    for (char *word = strtok(line, " \n"); word != NULL && count < kMost; word = strtok(NULL, " \n")) words[count++] = word;
    if (count == 0) continue;
    answerFile = open_memstream(&answer, &answerSize);
    int error = Run();
    fclose(answerFile);
    printf("%d %s\n", error, answer);
    fflush(stdout);
    free(answer);
  }
  return 0;
}
