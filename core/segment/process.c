/* SPDX-License-Identifier: MIT */
/* What a participant page says about its process. For people who look; nothing decides by it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "segment/registry_own.h"

/* Of this process, read once; 0: not yet. Racing threads store the same values. */
static u64 my_start, my_pidns;

void ipk_process_forget(void)
{
	my_start = 0;
}

static ssize_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

/* Field 22 of /proc/PID/stat; the command before it may hold anything, parentheses too. */
u64 ipk_process_start(u32 pid)
{
	char path[40], buf[1024], *p;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	if (read_file(path, buf, sizeof(buf)) <= 0)
		return 0;
	p = strrchr(buf, ')');
	for (int field = 2; p && field < 22; field++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	return p ? strtoull(p, NULL, 10) : 0;
}

static void store_comm(struct ipk_participant *p, const char *comm)
{
	char padded[sizeof(p->comm)] = "";
	u64 half[2];

	memcpy(padded, comm, strnlen(comm, sizeof(padded) - 1));
	memcpy(half, padded, sizeof(half));
	ipk_st((u64 *)(void *)p->comm, half[0], relaxed);
	ipk_st((u64 *)(void *)p->comm + 1, half[1], relaxed);
}

void ipk_process_describe(struct ipk_participant *p, u32 pid)
{
	bool mine = pid == (u32)getpid();
	char path[40], comm[64] = "";
	struct timespec now;
	struct stat st;
	u64 start;

	if (mine) {
		prctl(PR_GET_NAME, comm);
	} else {
		snprintf(path, sizeof(path), "/proc/%u/comm", pid);
		if (read_file(path, comm, sizeof(comm)) > 0)
			comm[strcspn(comm, "\n")] = '\0';
	}
	start = mine ? ipk_ld(&my_start, relaxed) : 0;
	if (start == 0) {
		start = ipk_process_start(pid);
		if (mine)
			ipk_st(&my_start, start, relaxed);
	}
	if (ipk_ld(&my_pidns, relaxed) == 0 && stat("/proc/self/ns/pid", &st) == 0)
		ipk_st(&my_pidns, (u64)st.st_ino, relaxed);
	clock_gettime(CLOCK_REALTIME, &now);
	ipk_st(&p->pid, pid, relaxed);
	ipk_st(&p->start, start, relaxed);
	ipk_st(&p->pidns, ipk_ld(&my_pidns, relaxed), relaxed);
	ipk_st(&p->since, (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec, relaxed);
	store_comm(p, comm);
}
