// The framed protocol between the harness and the agent in a guest, over the guest's serial line.
//
// A frame is u32 length (of what follows), u8 type, u32 process id (the harness's number for a command, 0 for the host itself),
// then the payload; all integers little-endian. test/lab/frames.ts is the other end and repeats these numbers.
//
// The line: User-Mode Linux reads it byte by byte and may stall for good once the guest's terminal layer throttles it, at 4 KiB
// unread. So the harness keeps at most LINE_WINDOW bytes under way, of all that it sends, beyond what FRAME_LINE_ACK has returned,
// and hands larger inputs over as files (see setup.c, `inbox`).
//
// Flow control of commands: the agent sends at most WINDOW bytes of each of a process's outputs beyond what FRAME_ACK_* has acknowledged;
// the harness sends at most WINDOW bytes of its input beyond what FRAME_CREDIT has returned.

#ifndef LAB_PROTOCOL_H
#define LAB_PROTOCOL_H

#define PROTOCOL_VERSION 2
#define FRAME_HEADER 9
#define FRAME_MAX (256 * 1024)
#define WINDOW (512 * 1024)
#define LINE_WINDOW 2048

enum frame_type {
  // harness to agent
  FRAME_SETUP = 1,   // NUL-terminated "key=value" strings, see setup.c
  FRAME_SPAWN = 2,   // u8 flags, u32 uid, u16 rows, u16 columns, u16 argc, u16 envc, then NUL-terminated cwd, input, argv, env;
                     // input: empty for FRAME_STDIN, /PATH in the guest, or NAME in the inbox
  FRAME_STDIN = 3,   // bytes for its standard input
  FRAME_STDIN_END = 4,
  FRAME_KILL = 5,    // u32 signal, to its process group
  FRAME_ACK_STDOUT = 6, // u32 bytes consumed
  FRAME_ACK_STDERR = 7,
  FRAME_RESIZE = 8, // u16 rows, u16 columns
  // agent to harness
  FRAME_HELLO = 64,  // u32 version
  FRAME_READY = 65,
  FRAME_FAILED = 66, // text: the host could not be set up
  FRAME_STARTED = 67, // u32 pid in the guest
  FRAME_REFUSED = 68, // u32 errno, then text: the command could not be started
  FRAME_STDOUT = 69,
  FRAME_STDERR = 70,
  FRAME_STDOUT_END = 71,
  FRAME_STDERR_END = 72,
  FRAME_EXIT = 73,   // u32 status, u32 signal; all that the process itself wrote was sent before
  FRAME_CREDIT = 74, // u32 bytes of input written
  FRAME_LINE_ACK = 75, // u32 bytes read from the line
};

#define SPAWN_PTY 1

// A directory of the outside in which the harness leaves inputs for commands.
extern int inbox_fd;

// setup.c: makes a bare kernel a host; returns 0 or writes what failed into `error`.
int setup_host(const char *config, unsigned length, char *error, unsigned error_size);

#endif
