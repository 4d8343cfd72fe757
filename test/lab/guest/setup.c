// Turns a freshly booted kernel, whose root is the outside's / through hostfs, into a host of its own.
#define _GNU_SOURCE
#include "protocol.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define STAGE "/mnt" // any directory that every Linux root has: a read-only hostfs lets us make none
#define ROOT STAGE "/root"
#define MAX_KEPT 16
#define MAX_LAYERS 8
#define MAX_MODULES 32

int inbox_fd = -1;

struct failure {
  char *text;
  unsigned size;
};

static int fail(struct failure *failure, const char *format, ...) {
  int saved = errno;
  va_list arguments;
  va_start(arguments, format);
  int used = vsnprintf(failure->text, failure->size, format, arguments);
  va_end(arguments);
  if (used >= 0 && (unsigned)used < failure->size)
    snprintf(failure->text + used, failure->size - (unsigned)used, ": %s", strerror(saved));
  return -1;
}

// The value after `key=` in the first entry at or after `*cursor`; moves the cursor past it.
static const char *next_value(const char *config, unsigned length, unsigned *cursor, const char *key) {
  size_t key_length = strlen(key);
  while (*cursor < length) {
    const char *entry = config + *cursor;
    *cursor += (unsigned)strlen(entry) + 1;
    if (strncmp(entry, key, key_length) == 0 && entry[key_length] == '=') return entry + key_length + 1;
  }
  return NULL;
}

static const char *value_of(const char *config, unsigned length, const char *key) {
  unsigned cursor = 0;
  return next_value(config, length, &cursor, key);
}

static int make_directories(const char *path) {
  char partial[4096];
  if (snprintf(partial, sizeof partial, "%s", path) >= (int)sizeof partial) return -1;
  for (char *slash = strchr(partial + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdir(partial, 0755) < 0 && errno != EEXIST) return -1;
    *slash = '/';
  }
  return mkdir(partial, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

static int write_file(const char *path, const void *data, size_t length, mode_t mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return -1;
  ssize_t written = write(fd, data, length);
  close(fd);
  return written == (ssize_t)length ? 0 : -1;
}

struct mount_point {
  const char *source, *target, *type, *data;
  unsigned long flags;
};

// The directories laid over the outside's root, the first on top.
static int mount_layers(const char *config, unsigned length, char *lower, size_t size, struct failure *failure) {
  unsigned cursor = 0;
  int index = 0;
  for (const char *layer; (layer = next_value(config, length, &cursor, "layer")) != NULL && index < MAX_LAYERS; index++) {
    char target[64];
    snprintf(target, sizeof target, STAGE "/layer%d", index);
    mkdir(target, 0755);
    // A mount of its own: overlayfs refuses lower layers that lie one within the other.
    if (mount("layer", target, "hostfs", MS_RDONLY, layer) < 0) return fail(failure, "mounting the layer %s", layer);
    size_t used = strlen(lower);
    snprintf(lower + used, size - used, "%s:", target);
  }
  return 0;
}

static int mount_root(const char *config, unsigned length, struct failure *failure) {
  if (mount("lab", STAGE, "tmpfs", 0, "mode=755,size=75%") < 0) return fail(failure, "mounting a tmpfs on " STAGE);
  mkdir(STAGE "/upper", 0755);
  mkdir(STAGE "/work", 0755);
  mkdir(ROOT, 0755);
  char lower[256] = "", options[512];
  if (mount_layers(config, length, lower, sizeof lower, failure) < 0) return -1;
  snprintf(options, sizeof options, "lowerdir=%s/,upperdir=" STAGE "/upper,workdir=" STAGE "/work", lower);
  if (mount("overlay", ROOT, "overlay", 0, options) < 0) return fail(failure, "mounting the overlay (%s)", options);
  return 0;
}

static int mount_system(struct failure *failure) {
  static const struct mount_point points[] = {
      {"proc", ROOT "/proc", "proc", NULL, 0},
      {"sysfs", ROOT "/sys", "sysfs", NULL, 0},
      {"devtmpfs", ROOT "/dev", "devtmpfs", "mode=755", 0},
      {"devpts", ROOT "/dev/pts", "devpts", "gid=5,mode=620,ptmxmode=666", MS_NOSUID | MS_NOEXEC},
      {"tmpfs", ROOT "/dev/shm", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV},
      {"mqueue", ROOT "/dev/mqueue", "mqueue", NULL, 0},
      {"tmpfs", ROOT "/run", "tmpfs", "mode=755", MS_NOSUID | MS_NODEV},
      {"tmpfs", ROOT "/tmp", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV},
      {"tmpfs", ROOT "/root", "tmpfs", "mode=700", MS_NOSUID | MS_NODEV},
      {"cgroup2", ROOT "/sys/fs/cgroup", "cgroup2", NULL, 0},
  };
  for (size_t index = 0; index < sizeof points / sizeof *points; index++) {
    const struct mount_point *point = &points[index];
    mkdir(point->target, 0755);
    if (mount(point->source, point->target, point->type, point->flags, point->data) < 0)
      return fail(failure, "mounting %s on %s", point->type, point->target + strlen(ROOT));
  }
  static const char *const links[][2] = {{"/proc/self/fd", ROOT "/dev/fd"},
                                         {"/proc/self/fd/0", ROOT "/dev/stdin"},
                                         {"/proc/self/fd/1", ROOT "/dev/stdout"},
                                         {"/proc/self/fd/2", ROOT "/dev/stderr"}};
  for (size_t index = 0; index < sizeof links / sizeof *links; index++)
    if (symlink(links[index][0], links[index][1]) < 0 && errno != EEXIST) return fail(failure, "linking %s", links[index][1]);
  mkdir(ROOT "/run/lock", 01777);
  return 0;
}

// Directories of the outside that our own /tmp, /run and /dev would hide (a checkout in /tmp) shine through them again.
static int keep_directories(const char *config, unsigned length, const char *root, const int *kept, struct failure *failure) {
  unsigned cursor = 0;
  int index = 0;
  for (const char *path; (path = next_value(config, length, &cursor, "keep")) != NULL && index < MAX_KEPT; index++) {
    char target[4096], source[64];
    struct stat visible;
    snprintf(target, sizeof target, "%s%s", root, path);
    if (stat(target, &visible) == 0) continue;
    snprintf(source, sizeof source, "%s/proc/self/fd/%d", root, kept[index]);
    if (make_directories(target) < 0 || mount(source, target, NULL, MS_BIND, NULL) < 0)
      return fail(failure, "keeping %s visible", path);
  }
  return 0;
}

// PID 1 itself moves: the kernel's threads share its root, and ZFS opens vdev paths from one of them.
static int enter_root(struct failure *failure) {
  if (chdir(ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
    return fail(failure, "entering the new root");
  return mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL) < 0 ? fail(failure, "sharing the new root") : 0;
}

static int load_modules(const char *config, unsigned length, const int *modules, struct failure *failure) {
  unsigned cursor = 0;
  int index = 0;
  for (const char *entry; (entry = next_value(config, length, &cursor, "module")) != NULL && index < MAX_MODULES; index++) {
    const char *parameters = strchr(entry, ' ');
    if (syscall(SYS_finit_module, modules[index], parameters == NULL ? "" : parameters + 1, 0) < 0)
      return fail(failure, "loading the module %s", entry);
  }
  // As the udev rule of zfsutils-linux does.
  if (index > 0 && chmod("/dev/zfs", 0666) < 0) return fail(failure, "finding /dev/zfs");
  return 0;
}

static int set_flags_up(int fd, const char *name) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) return -1;
  request.ifr_flags |= IFF_UP | IFF_RUNNING;
  return ioctl(fd, SIOCSIFFLAGS, &request);
}

static int set_address(int fd, const char *name, unsigned long call, const char *text) {
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  struct sockaddr_in *address = (struct sockaddr_in *)&request.ifr_addr;
  address->sin_family = AF_INET;
  if (inet_pton(AF_INET, text, &address->sin_addr) != 1) {
    errno = EINVAL;
    return -1;
  }
  return ioctl(fd, call, &request);
}

static int set_up_network(const char *address, struct failure *failure) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(failure, "opening a socket");
  int result = 0;
  if (set_flags_up(fd, "lo") < 0) result = fail(failure, "bringing lo up");
  else if (address != NULL && (set_address(fd, "vec0", SIOCSIFADDR, address) < 0 ||
                               set_address(fd, "vec0", SIOCSIFNETMASK, "255.255.255.0") < 0 || set_flags_up(fd, "vec0") < 0))
    result = fail(failure, "bringing vec0 up as %s", address);
  close(fd);
  return result;
}

static int write_identity(const char *config, unsigned length, struct failure *failure) {
  const char *hostname = value_of(config, length, "hostname");
  const char *hosts = value_of(config, length, "hosts");
  const char *hostid = value_of(config, length, "hostid");
  if (hostname == NULL || hosts == NULL) {
    errno = EINVAL;
    return fail(failure, "reading the configuration");
  }
  if (sethostname(hostname, strlen(hostname)) < 0 || write_file("/etc/hostname", hostname, strlen(hostname), 0644) < 0 ||
      write_file("/etc/hosts", hosts, strlen(hosts), 0644) < 0)
    return fail(failure, "naming the host");
  if (hostid == NULL) return 0;
  uint32_t id = (uint32_t)strtoul(hostid, NULL, 16);
  return write_file("/etc/hostid", &id, sizeof id, 0644) < 0 ? fail(failure, "writing the host id") : 0;
}

static int open_all(const char *config, unsigned length, const char *key, int flags, int *fds, int limit, struct failure *failure) {
  unsigned cursor = 0;
  int count = 0;
  for (const char *entry; (entry = next_value(config, length, &cursor, key)) != NULL && count < limit; count++) {
    char path[4096];
    snprintf(path, sizeof path, "%s", entry);
    if (flags != O_PATH && strchr(path, ' ') != NULL) *strchr(path, ' ') = 0;
    fds[count] = open(path, flags | O_CLOEXEC);
    if (fds[count] < 0) return fail(failure, "opening %s", path);
  }
  return count;
}

// In a mount namespace of a machine that has ZFS itself: files of its own over the machine's, nothing else.
static int mount_over_machine(struct failure *failure) {
  if (mount("lab", STAGE, "tmpfs", 0, "mode=755") < 0) return fail(failure, "mounting a tmpfs on " STAGE);
  mkdir(STAGE "/upper", 0755);
  mkdir(STAGE "/work", 0755);
  if (mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=" STAGE "/upper,workdir=" STAGE "/work") < 0 ||
      mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0 ||
      mount("tmpfs", "/root", "tmpfs", MS_NOSUID | MS_NODEV, "mode=700") < 0)
    return fail(failure, "mounting over /etc, /tmp and /root");
  return 0;
}

int setup_host(const char *config, unsigned length, char *error, unsigned error_size) {
  struct failure failure = {error, error_size};
  int kept[MAX_KEPT], modules[MAX_MODULES];
  // Opened before the new root hides them.
  int kept_count = open_all(config, length, "keep", O_PATH, kept, MAX_KEPT, &failure);
  int module_count = kept_count < 0 ? -1 : open_all(config, length, "module", O_RDONLY, modules, MAX_MODULES, &failure);
  if (module_count < 0 || open_all(config, length, "inbox", O_PATH, &inbox_fd, 1, &failure) < 0) return -1;
  bool local = value_of(config, length, "local") != NULL;
  umask(0);
  if (local && (mount_over_machine(&failure) < 0 || keep_directories(config, length, "", kept, &failure) < 0)) return -1;
  if (!local && (mount_root(config, length, &failure) < 0 || mount_system(&failure) < 0 ||
      keep_directories(config, length, ROOT, kept, &failure) < 0 || enter_root(&failure) < 0))
    return -1;
  umask(022);
  if (write_identity(config, length, &failure) < 0 || load_modules(config, length, modules, &failure) < 0) return -1;
  if (!local && set_up_network(value_of(config, length, "address"), &failure) < 0) return -1;
  while (kept_count > 0) close(kept[--kept_count]);
  while (module_count > 0) close(modules[--module_count]);
  return 0;
}
