/* SPDX-License-Identifier: MIT */
/* mount and umount: the work is that of ipcfs(1) and fusermount3(1). */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* ipcfs beside this program, or beside it in a build tree, else in PATH. */
static const char *find_ipcfs(char buf[PATH_MAX])
{
	static const char *const places[] = { "ipcfs", "../fuse/ipcfs" };
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

int cli_umount(struct cli *c)
{
	char *fuse[] = { (char *)"fusermount3", (char *)"-u", (char *)"--", c->word[0], NULL };
	char *plain[] = { (char *)"umount", (char *)"--", c->word[0], NULL };
	int r;

	if (access(c->word[0], F_OK) < 0 && errno == ENOENT)
		return cli_fail(c, CLI_ABSENT, -ENOENT, "no such directory");
	r = cli_run_command(c, geteuid() && in_path("fusermount3") ? fuse : plain, NULL, 0);
	return r == 0 || r > 125 ? r : CLI_NO; /* it has said why */
}
