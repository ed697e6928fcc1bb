/* SPDX-License-Identifier: MIT */
/* ipcfs: mounts, goes into the background when the mount is live, and unmounts at the end. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipcfs.h"

struct options options;
static int live_fd = -1; /* of the process that started us and waits */

static const char usage[] =
	"usage: ipcfs [-f] [--rw] [--allow-other] DIR\n"
	"\n"
	"Shows all segments of $IPK_DIR (default /dev/shm) as files below DIR.\n"
	"\n"
	"  -f, --foreground  stay in the foreground; Ctrl-C unmounts\n"
	"      --rw          allow writing: items, values, push, ctl\n"
	"      --allow-other let other users in, as far as the modes of the segments do\n"
	"  -h, --help        this text\n"
	"      --version     the version\n"
	"\n"
	"fusermount3 -u DIR unmounts. See ipcfs(1), and DIR/README.\n";

static int fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fail(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("ipcfs: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

/* 0: go on; -1: done; else an exit status. */
static int parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{"foreground", no_argument, NULL, 'f'},  {"rw", no_argument, NULL, 'w'},
		{"allow-other", no_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},     {NULL, 0, NULL, 0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "fh", longs, NULL)) != -1) {
		switch (c) {
		case 'f':
			options.foreground = true;
			break;
		case 'w':
			options.rw = true;
			break;
		case 'o':
			options.allow_other = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return -1;
		case 'V':
			puts("ipcfs " IPK_VERSION);
			return -1;
		default:
			return fail(2, "unknown option %s; see ipcfs --help", argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		return fail(2, "one directory is wanted, %d given; see ipcfs --help",
			    argc - optind);
	return 0;
}

/* In the background the working directory is another one. */
static int fix_segment_dir(void)
{
	const char *dir = getenv("IPK_DIR");
	char path[PATH_MAX];

	if (!dir || dir[0] == '/' || !*dir)
		return 0;
	if (!realpath(dir, path) || setenv("IPK_DIR", path, 1) != 0)
		return fail(3, "IPK_DIR=%s: %s", dir, strerror(errno));
	return 0;
}

static void to_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3 && fd >= 0; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
}

void session_is_live(void *arg)
{
	(void)arg;
	if (live_fd < 0)
		return;
	to_null();
	(void)!chdir("/");
	(void)!write(live_fd, "", 1);
	close(live_fd);
	live_fd = -1;
}

/* In the parent: waits until the child serves, or has said why not. Never returns there. */
static int into_background(void)
{
	int fds[2], status = 0;
	pid_t pid;
	ssize_t n;
	char byte;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return fail(1, "%s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return fail(1, "cannot start a process: %s", strerror(errno));
	if (pid == 0) {
		close(fds[0]);
		live_fd = fds[1];
		setsid();
		return 0;
	}
	close(fds[1]);
	while ((n = read(fds[0], &byte, 1)) < 0 && errno == EINTR)
		;
	if (n == 1)
		_exit(0);
	/* It ended before it was live, and has said why. */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

/* ---- mounting --------------------------------------------------------------------------- */

/* What libfuse and fusermount3 print while they fail, as one line. */
static void first_line(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);
	char *start = text;

	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	if (strncmp(start, "fuse: ", 6) == 0)
		memmove(text, text + 6, strlen(text + 6) + 1);
}

static struct fuse_session *mount_at(const char *dir)
{
	char opts[] = "fsname=ipcfs,subtype=ipcfs,default_permissions,allow_other";
	char *argv[] = {"ipcfs", "-o", opts, NULL}, why[256] = "";
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	int heard = memfd_create("ipcfs", MFD_CLOEXEC), tty = dup(2);
	struct fuse_session *se;

	if (!options.allow_other)
		*strrchr(opts, ',') = 0;
	if (heard >= 0)
		dup2(heard, 2);
	se = fuse_session_new(&args, &operations, sizeof(operations), NULL);
	if (se && fuse_session_mount(se, dir) != 0) {
		fuse_session_destroy(se);
		se = NULL;
	}
	dup2(tty, 2);
	close(tty);
	if (!se) {
		first_line(heard, why, sizeof(why));
		fail(8, "%s: cannot mount: %s", dir, why[0] ? why : "refused");
	}
	if (heard >= 0)
		close(heard);
	fuse_opt_free_args(&args);
	return se;
}

static int serve(struct fuse_session *se, const sigset_t *signals)
{
	int done = eventfd(0, EFD_CLOEXEC), sig = signalfd(-1, signals, SFD_CLOEXEC);
	struct pollfd fds[2] = {{.fd = sig, .events = POLLIN}, {.fd = done, .events = POLLIN}};
	int r;

	if (done < 0 || sig < 0)
		r = -errno;
	else
		r = watch_start();
	if (r == 0)
		r = session_start(se, done);
	if (r == 0)
		while (poll(fds, 2, -1) < 0 && errno == EINTR)
			;
	return r;
}

static int run(const char *dir)
{
	struct fuse_session *se;
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	ipk_segment_guard(); /* one segment that is destroyed must not end the mount of all */
	se = mount_at(dir);
	if (!se)
		return 8;
	r = serve(se, &signals);
	if (r < 0)
		fail(1, "%s: cannot serve: %s", dir, strerror(-r));
	/* Requests that wait are answered; what a thread is rendering is given some time. */
	if (!session_stop(10)) {
		mountpoint_detach(dir);
		_exit(r < 0);
	}
	watch_stop();
	fuse_session_unmount(se);
	handles_close_all();
	nodes_free_all();
	fuse_session_destroy(se);
	return r < 0;
}

int main(int argc, char **argv)
{
	char why[256], *dir = NULL;
	struct timespec now;
	int r = parse(argc, argv);

	if (r)
		return r < 0 ? 0 : r;
	clock_gettime(CLOCK_REALTIME, &now);
	options.mounted_at = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	options.uid = getuid();
	options.gid = getgid();
	r = fix_segment_dir();
	if (r)
		return r;
	r = mountpoint_prepare(argv[optind], &dir, why, sizeof(why));
	if (r)
		return fail(r, "%s: %s", argv[optind], why);
	options.dir = dir;
	if (!options.foreground) {
		/* Whoever waits for the end of a pipe that we inherited must not wait for us. */
		close_range(3, ~0u, 0);
		r = into_background();
	}
	if (r == 0)
		r = run(dir);
	free(dir);
	return r;
}
