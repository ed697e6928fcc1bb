/* SPDX-License-Identifier: MIT */
/*
 * The directory to mount on. Everything that commonly goes wrong is found out beforehand, so that
 * it can be said in one sentence.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipcfs.h"

extern char **environ;

/* The statuses of ipcctl(1). */
enum { NO = 1, ABSENT = 3, EXISTS = 4, WRONG = 6, PERMISSION = 8 };

/* The path's octal escapes as they stand in mountinfo, resolved in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)(64 * (s[1] - '0') + 8 * (s[2] - '0') + s[3] - '0');
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = 0;
}

/* The type of what is mounted on top at path; false: nothing is. */
static bool mounted_type(const char *path, char *type, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *rest;
	size_t cap = 0;
	bool found = false;

	while (f && getline(&line, &cap, f) > 0) {
		char at[PATH_MAX], name[64];

		rest = strstr(line, " - ");
		if (!rest || sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1 ||
		    sscanf(rest + 3, "%63s", name) != 1)
			continue;
		unescape(at);
		if (strcmp(at, path) == 0) {
			snprintf(type, size, "%s", name);
			found = true;
		}
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

static bool is_ipcfs(const char *path)
{
	char type[64];

	return mounted_type(path, type, sizeof(type)) && strcmp(type, "fuse.ipcfs") == 0;
}

void mountpoint_detach(const char *path)
{
	char *argv[] = {"fusermount3", "-u", "-z", "-q", "--", (char *)path, NULL};
	pid_t pid;

	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0)
		waitpid(pid, NULL, 0);
}

/* Follows links also where what is mounted there is dead. */
static int absolute(const char *dir, char path[PATH_MAX])
{
	char link[40];
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	close(fd);
	if (n < 0)
		return -errno;
	path[n] = 0;
	return 0;
}

static int refuse(int status, char *why, size_t size, const char *text)
{
	snprintf(why, size, "%s", text);
	return status;
}

static int refuse_errno(int e, char *why, size_t size)
{
	if (e == ENOENT)
		return refuse(ABSENT, why, size, "no such directory; make it first: mkdir");
	if (e == ENOTDIR)
		return refuse(WRONG, why, size, "not a directory");
	return refuse(e == EACCES || e == EPERM ? PERMISSION : NO, why, size, strerror(e));
}

/* A killed ipcfs leaves a mount at which every access fails. */
static int replace_dead(const char *path, char *why, size_t size)
{
	DIR *d;
	int e;

	/* Its attributes the kernel may still know, what it lists it has to ask for. */
	for (int i = 0; i < 16 && !(d = opendir(path)) && errno == ENOTCONN; i++) {
		if (!is_ipcfs(path))
			return refuse(
				NO, why, size,
				"something else that has died is mounted there; unmount it first");
		mountpoint_detach(path);
	}
	e = errno;
	if (d)
		closedir(d);
	if (is_ipcfs(path))
		return refuse(EXISTS, why, size, "ipcfs is mounted there already");
	return d ? 0 : refuse_errno(e, why, size);
}

static int check_empty(const char *path, char *why, size_t size)
{
	DIR *d = opendir(path);
	struct dirent *e;
	bool empty = true;

	if (!d)
		return refuse_errno(errno, why, size);
	while (empty && (e = readdir(d)))
		empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(d);
	if (!empty)
		return refuse(EXISTS, why, size, "the directory is not empty");
	if (geteuid() != 0 && access(path, W_OK) != 0)
		return refuse(PERMISSION, why, size, "no permission to write to the directory");
	return 0;
}

static int check_device(char *why, size_t size)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == EACCES || errno == EPERM)
		return refuse(
			PERMISSION, why, size,
			"no permission to open /dev/fuse; a container needs --device /dev/fuse");
	return refuse(NO, why, size,
		      "/dev/fuse is missing: modprobe fuse, or give the container --device "
		      "/dev/fuse --cap-add SYS_ADMIN");
}

int mountpoint_prepare(const char *dir, char **ret_path, char *why, size_t size)
{
	char path[PATH_MAX];
	int r = absolute(dir, path);

	if (r < 0)
		return refuse_errno(-r, why, size);
	r = replace_dead(path, why, size);
	if (r == 0)
		r = check_empty(path, why, size);
	if (r == 0)
		r = check_device(why, size);
	if (r == 0) {
		*ret_path = strdup(path);
		r = *ret_path ? 0 : refuse(NO, why, size, "out of memory");
	}
	return r;
}
