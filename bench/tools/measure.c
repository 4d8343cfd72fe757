/*
 * measure REPORT PROGRAM [ARGUMENT ...]
 *
 * Runs a program, waits for it and for everything that it has started, orphans too, and writes to the file REPORT, as JSON,
 * what getrusage(2) says that all of them have used. SIGTERM is passed on to the program. Ends as the program did.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t child;

static void pass_on(int number)
{
	if (child > 0)
		kill(child, number);
}

static void fail(const char *what)
{
	perror(what);
	exit(125);
}

static double seconds(struct timeval time)
{
	return time.tv_sec + time.tv_usec / 1e6;
}

static void report(const char *path)
{
	struct rusage usage;
	if (getrusage(RUSAGE_CHILDREN, &usage) != 0)
		fail("getrusage");
	FILE *file = fopen(path, "w");
	if (file == NULL)
		fail(path);
	fprintf(file, "{\"user\":%.6f,\"system\":%.6f,\"maxRssKiB\":%ld}\n", seconds(usage.ru_utime), seconds(usage.ru_stime),
		usage.ru_maxrss);
	if (fclose(file) != 0)
		fail(path);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: measure REPORT PROGRAM [ARGUMENT ...]\n");
		return 125;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		fail("prctl");
	struct sigaction action = {.sa_handler = pass_on};
	sigaction(SIGTERM, &action, NULL);
	child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		execvp(argv[2], argv + 2);
		fail(argv[2]);
	}
	/* The pipes are the program's alone: who is at their other ends must see it end. */
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	int outcome = 0;
	for (;;) {
		int status;
		pid_t ended = wait(&status);
		if (ended < 0 && errno == EINTR)
			continue;
		if (ended < 0)
			break;
		if (ended == child)
			outcome = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	report(argv[1]);
	return outcome;
}
