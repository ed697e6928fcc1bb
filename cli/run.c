/* SPDX-License-Identifier: MIT */
/* Running CMD. Its status is passed on as env(1) does: 126 and 127 when it does not start, 128+n.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

extern char **environ;

/* A file in memory: no reader that stops half-way can block us, whatever the length. */
static int input_file(const char *data, size_t len)
{
	int fd = memfd_create("ipcctl-input", MFD_CLOEXEC);
	size_t at = 0;

	if (fd < 0)
		return -errno;
	while (at < len) {
		ssize_t n = write(fd, data + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			n = -errno;
			close(fd);
			return (int)n;
		}
		at += (size_t)n;
	}
	if (lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static int wait_for(pid_t pid)
{
	int status;

	cli_forward_signals(pid);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return CLI_BUG;
	cli_forward_signals(0);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int cli_run_command(struct cli *c, char **argv, const void *input, size_t len)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t defaults;
	int fd = -1, r;
	pid_t pid;

	if (input) {
		fd = input_file(input, len);
		if (fd < 0)
			return cli_fail_code(c, fd, NULL);
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	if (fd >= 0)
		posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	r = posix_spawnp(&pid, argv[0], &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	if (fd >= 0)
		close(fd);
	if (r)
		return cli_fail(c, r == ENOENT ? CLI_NOT_FOUND : CLI_CANNOT_RUN, -r,
				"cannot run \"%s\": %s", argv[0], strerror(r));
	return wait_for(pid);
}
