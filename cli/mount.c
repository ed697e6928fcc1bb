/* SPDX-License-Identifier: MIT */
/* mount and umount: the work is that of ipcfs(1) and fusermount3(1). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cli.h"

/* ipcfs beside this program, or beside it in a build tree, else in PATH. */
static const char *find_ipcfs(char buf[PATH_MAX])
{
	static const char *const places[] = {"ipcfs", "../fuse/ipcfs"};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;
	unsigned i;

	if (n <= 0)
		return "ipcfs";
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return "ipcfs";
	slash[1] = '\0';
	for (i = 0; i < CLI_ARRAY_LEN(places); i++)
		if (snprintf(buf, PATH_MAX, "%s%s", self, places[i]) < PATH_MAX &&
		    access(buf, X_OK) == 0)
			return buf;
	return "ipcfs";
}

int cli_mount(struct cli *c)
{
	char path[PATH_MAX];
	char *argv[8];
	int n = 0;

	argv[n++] = (char *)find_ipcfs(path);
	if (cli_given(c, "rw"))
		argv[n++] = (char *)"--rw";
	if (cli_given(c, "allow-other"))
		argv[n++] = (char *)"--allow-other";
	if (c->word[0][0] == '-')
		argv[n++] = (char *)"--";
	argv[n++] = c->word[0];
	argv[n] = NULL;
	return cli_run_command(c, argv, NULL, 0);
}

static bool in_path(const char *name)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];

	while (path && *path) {
		size_t len = strcspn(path, ":");

		if (snprintf(file, sizeof(file), "%.*s/%s", (int)len, path, name) < PATH_MAX &&
		    access(file, X_OK) == 0)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

/* The directory as the mount table has it. Its last part is not looked at: the mount may be stale.
 */
static int absolute(const char *dir, char buf[PATH_MAX])
{
	char copy[PATH_MAX], *slash, *parent;
	size_t len = strlen(dir);

	if (len == 0 || len >= sizeof(copy))
		return -ENOENT;
	memcpy(copy, dir, len + 1);
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	slash = strrchr(copy, '/');
	if (!strcmp(copy, ".") || !strcmp(copy, "..") || (slash && !strncmp(slash, "/..", 3)) ||
	    (slash && !strcmp(slash, "/.")) || slash == copy)
		return realpath(copy, buf) ? 0 : -errno;
	if (slash)
		*slash = '\0';
	parent = realpath(slash ? copy : ".", buf);
	if (!parent)
		return -errno;
	len = strlen(buf);
	if (snprintf(buf + len, PATH_MAX - len, "%s%s", len > 1 ? "/" : "",
		     slash ? slash + 1 : copy) >= (int)(PATH_MAX - len))
		return -ENAMETOOLONG;
	return 0;
}

/* What dir is in the end, through links, also where what is mounted there is dead. */
static int behind_links(const char *dir, char buf[PATH_MAX])
{
	char link[40];
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, buf, PATH_MAX - 1);
		close(fd);
	}
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

/* Is ipcfs mounted at dir, and who did that? */
static bool is_ours(const char *dir, uid_t *ret_user)
{
	struct mntent *m;
	bool found = false;
	FILE *f = setmntent("/proc/self/mounts", "re");

	while (f && (m = getmntent(f))) {
		const char *user = hasmntopt(m, "user_id");

		if (strcmp(m->mnt_dir, dir) || strcmp(m->mnt_type, "fuse.ipcfs"))
			continue;
		found = true;
		*ret_user = user ? (uid_t)strtoul(user + strlen("user_id="), NULL, 10) : 0;
	}
	if (f)
		endmntent(f);
	return found;
}

int cli_umount(struct cli *c)
{
	char dir[PATH_MAX];
	char *fuse[] = {(char *)"fusermount3", (char *)"-uq", (char *)"--", dir, NULL};
	uid_t user;
	int r;

	r = absolute(c->word[0], dir);
	if (r < 0)
		return cli_fail(c, cli_exit_of(r), r, "%s", strerror(-r));
	if (!is_ours(dir, &user) && (behind_links(c->word[0], dir) || !is_ours(dir, &user)))
		return cli_fail(c, CLI_ABSENT, -EINVAL, "ipcfs is not mounted there");
	if (geteuid() == 0 || !in_path("fusermount3")) {
		if (umount2(dir, UMOUNT_NOFOLLOW) == 0)
			return 0;
		r = -errno;
	} else if (user != getuid()) {
		return cli_fail(c, CLI_PERMISSION, -EPERM, "it was mounted by user %u",
				(unsigned)user);
	} else {
		r = cli_run_command(c, fuse, NULL, 0);
		if (r == 0 || r > 125)
			return r;
		r = -EBUSY; /* nothing else is left */
	}
	return cli_fail(c, cli_exit_of(r), r, "%s%s", strerror(-r),
			r == -EBUSY ? ": somebody has a file or directory of it open" : "");
}
