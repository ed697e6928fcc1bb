/* SPDX-License-Identifier: MIT */
/*
 * scribble FILE.ipk [SEED [keep]]: writes into a segment what nobody should, shortens and lengthens
 * its file, and puts it right again, until it gets SIGTERM; then it leaves it whole. With keep the
 * length stays. Prints "ready" when it has begun.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "mutate.h"

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static u8 *read_whole(int fd, u64 *ret_len)
{
	struct stat st;
	u8 *good;

	if (fstat(fd, &st) != 0 || st.st_size < 9 * (off_t)IPK_PAGE)
		return NULL;
	good = malloc((size_t)st.st_size);
	if (!good || pread(fd, good, (size_t)st.st_size, 0) != st.st_size)
		return NULL;
	*ret_len = (u64)st.st_size;
	return good;
}

static bool restore(int fd, const u8 *good, u64 len)
{
	return pwrite(fd, good, len, 0) == (ssize_t)len && ftruncate(fd, (off_t)len) == 0;
}

/* Half of the time a change or two, which stay for a while; else so many that hardly a look passes
 * between two of them. */
static bool scribble(int fd, const u8 *good, u64 len, struct draw *r, bool keep)
{
	const bool calm = draw(r, 2);
	u64 at, word, n = calm ? 1 + draw(r, 3) : 200;

	for (; n && !stop; n--) {
		if (mutate(good, len, r, &at, &word) && pwrite(fd, &word, 8, (off_t)at) != 8)
			return false;
		if (!keep && draw(r, 16) == 0) {
			at = draw(r, 4) ? draw(r, len) & ~UINT64_C(7) : len + draw(r, 1 << 20);
			if (ftruncate(fd, (off_t)at) != 0)
				return false;
		}
	}
	if (calm)
		nanosleep(&(struct timespec){.tv_nsec = (long)draw(r, 2000000)}, NULL);
	return draw(r, 4) || restore(fd, good, len);
}

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	struct draw r = {.state = argc > 2 ? strtoull(argv[2], NULL, 0) : 4711};
	struct sigaction act = {.sa_handler = on_term};
	const bool keep = argc > 3;
	u64 len, rounds = 0;
	u8 *good = fd >= 0 ? read_whole(fd, &len) : NULL;

	if (!good) {
		fprintf(stderr, "usage: scribble FILE.ipk [SEED [keep]]\n");
		return 2;
	}
	sigaction(SIGTERM, &act, NULL);
	for (; !stop; rounds++) {
		if (!scribble(fd, good, len, &r, keep)) {
			fprintf(stderr, "scribble: %s\n", strerror(errno));
			return 1;
		}
		if (rounds == 0 && puts("ready") >= 0)
			fflush(stdout);
	}
	if (!restore(fd, good, len))
		return 1;
	printf("%llu rounds\n", (unsigned long long)rounds);
	free(good);
	return 0;
}
