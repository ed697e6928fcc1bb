/* SPDX-License-Identifier: MIT */
/*
 * private_dir.h - a directory of its own for each test program, as its $IPK_DIR.
 *
 * It is made inside the $IPK_DIR that the program was given, so that whoever runs many tests can
 * take away what an interrupted one left; without one in /dev/shm, or in /tmp where that is too
 * small (a container's).
 */
#ifndef IPK_TESTS_PRIVATE_DIR_H
#define IPK_TESTS_PRIVATE_DIR_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static char test_dir[80];

static inline int dir_setup(void **state)
{
	static char parent[64];
	const char *given = getenv("IPK_DIR");
	struct statvfs fs;

	(void)state;
	if (!parent[0]) { /* later it is the directory of the test before */
		bool shm = statvfs("/dev/shm", &fs) == 0 && fs.f_bavail * fs.f_frsize >= 512u << 20;

		if ((size_t)snprintf(parent, sizeof(parent), "%s",
				     given && given[0] ? given
				     : shm             ? "/dev/shm"
						       : "/tmp") >= sizeof(parent))
			return -1;
	}
	snprintf(test_dir, sizeof(test_dir), "%s/ipk-test-XXXXXX", parent);
	return mkdtemp(test_dir) ? setenv("IPK_DIR", test_dir, 1) : -1;
}

static inline int dir_teardown(void **state)
{
	char cmd[96];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", test_dir);
	return system(cmd);
}

#endif
