// The power supply of one host: plugs a cable into the switch, starts the kernel and, when its own standard input ends or it
// is told to stop, pulls the plug on every process of the guest. So nothing outlives the harness, not even after its SIGKILL.
//
// power SWITCH_SOCKET PORT KERNEL ARGUMENTS...
//   fd 0: a pipe from the harness, never written; fd 1 and 2: the console log; fd 3: the serial line.
//   An argument of the form vec0:transport=fd,fd=4,... finds the cable at fd 4.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERIAL_FD 3
#define CABLE_FD 4

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "power: %s: %s\n", what, strerror(errno));
  exit(125);
}

static int plug_cable(const char *path, const char *port) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    fail(path);
  }
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
  int size = 4 << 20;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0 ||
      connect(fd, (struct sockaddr *)&address, sizeof address) < 0 || send(fd, port, strlen(port), 0) < 0)
    fail("plugging into the switch");
  return fd;
}

static pid_t start_kernel(char **argv, int cable, const sigset_t *original_mask) {
  pid_t supply = getpid(), pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != supply) _exit(125);
  setsid(); // the terminal's Ctrl-C is not for the guest
  sigprocmask(SIG_SETMASK, original_mask, NULL);
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none); // a kernel panic ends in abort()
  int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, 0) < 0 || dup2(cable, CABLE_FD) < 0) fail("preparing descriptors");
  for (int fd = CABLE_FD + 1; fd < 64; fd++) close(fd);
  execv(argv[0], argv);
  fail(argv[0]);
}

static pid_t parent_of(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return -1;
  text[length] = 0;
  char *after_name = strrchr(text, ')');
  int parent = -1;
  return after_name != NULL && sscanf(after_name + 2, "%*c %d", &parent) == 1 ? parent : -1;
}

// User-Mode Linux runs each address space of the guest in a process of the outside. Once orphaned, they are our children,
// since we are their subreaper; killing goes on until there are none left.
static void kill_children(void) {
  for (;;) {
    DIR *processes = opendir("/proc");
    if (processes == NULL) fail("/proc");
    for (struct dirent *entry; (entry = readdir(processes)) != NULL;) {
      pid_t pid = atoi(entry->d_name);
      if (pid > 0 && parent_of(pid) == getpid()) kill(pid, SIGKILL);
    }
    closedir(processes);
    pid_t ended;
    while ((ended = waitpid(-1, NULL, WNOHANG)) > 0) continue;
    if (ended < 0) return;
    struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
  }
}

// Returns when the guest has ended by itself (its status) or is to lose power (-1).
static int wait_for_end(pid_t kernel, int signal_fd) {
  struct pollfd polled[2] = {{.fd = 0, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
  for (;;) {
    if (poll(polled, 2, -1) < 0 && errno != EINTR) fail("polling");
    char byte;
    if (polled[0].revents != 0 && read(0, &byte, 1) <= 0) return -1;
    if (polled[1].revents == 0) continue;
    struct signalfd_siginfo information;
    if (read(signal_fd, &information, sizeof information) < 0) fail("reading a signal");
    if (information.ssi_signo != SIGCHLD) return -1;
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
      if (pid == kernel) return status;
  }
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: power SWITCH_SOCKET PORT KERNEL ARGUMENTS...\n");
    return 125;
  }
  setsid(); // what kills the harness's whole process group must leave us alive to clean up
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t mask, original_mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  sigaddset(&mask, SIGHUP);
  sigprocmask(SIG_BLOCK, &mask, &original_mask);
  int signal_fd = signalfd(-1, &mask, SFD_CLOEXEC);
  if (signal_fd < 0) fail("making a signalfd");
  int cable = plug_cable(argv[1], argv[2]);
  pid_t kernel = start_kernel(argv + 3, cable, &original_mask);
  if (kernel < 0) fail("forking");
  close(cable);
  close(SERIAL_FD);
  int status = wait_for_end(kernel, signal_fd);
  kill_children();
  if (status == -1) return 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
