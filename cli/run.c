/* SPDX-License-Identifier: MIT */
/* Running CMD. Its status is passed on as env(1) does: 126 and 127 when it does not start, 128+n.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

/* ---- a command that an object holds ------------------------------------------------------ */

/* Starts text, whose output comes through *ret_fd. */
static int start_shell(const char *text, int *ret_fd, pid_t *ret_pid)
{
	char *argv[] = {"sh", "-c", (char *)text, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t defaults;
	int fd[2], r;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fd[1], STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn(ret_pid, "/bin/sh", &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	close(fd[1]);
	if (r)
		close(fd[0]);
	else
		*ret_fd = fd[0];
	return -r;
}

/* Reads to the end, as long as nobody interrupts us: a signal that comes just before is not lost.
 */
static int read_all(int fd, uint64_t max, struct ipk_buf *out)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	char chunk[65536];
	sigset_t all, old;
	ssize_t n = 1;
	int r = 0;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	while (r == 0 && n != 0) {
		if (cli_interrupted())
			r = -EINTR;
		else if (ppoll(&pollfd, 1, NULL, &old) < 0)
			r = errno == EINTR ? 0 : -errno;
		else if ((n = read(fd, chunk, sizeof(chunk))) < 0)
			r = -errno;
		else if (out->len + (size_t)n > max)
			r = -EMSGSIZE;
		else
			r = ipk_buf_add(out, chunk, (size_t)n);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

int cli_run_shell(struct ipk_call *call, const char *text, bool foreign, struct ipk_buf *out)
{
	struct cli_tool *t = call->tool;
	struct ipk_segment_info in;
	int fd = -1, r, status;
	pid_t pid = 0;

	if (foreign && !t->c->opt.yes)
		return ipk_error_set(&call->err, -EACCES,
				     "its command may be another user's: ipcctl show tells it, and "
				     "force -y runs it");
	r = ipk_view_info(t->ob->view, &in);
	if (r == 0)
		r = start_shell(text, &fd, &pid);
	if (r < 0)
		return ipk_error_set(&call->err, -EIO, "cannot run sh: %s", strerror(-r));
	cli_forward_signals(pid);
	r = read_all(fd, in.max, out);
	close(fd);
	status = wait_for(pid);
	if (cli_interrupted() || r < 0)
		out->len = 0;
	if (cli_interrupted())
		return -EINTR;
	if (r == -EMSGSIZE)
		ipk_buf_printf(out, "the command prints more than the segment can hold");
	if (r < 0 || status == 0)
		return r;
	out->len = 0;
	if (status > 128)
		ipk_buf_printf(out, "the command was ended by signal %d", status - 128);
	else
		ipk_buf_printf(out, "the command ended with status %d", status);
	return -EREMOTEIO;
}
