/* SPDX-License-Identifier: MIT */
/*
 * Ring and queue beside what else can be had, between processes, in one run: rates, one way
 * spinning, waiting, deaths, growth. Writes tables in Markdown to stdout. bench/run builds it, and
 * draws a plot.
 *
 *	bench_peers [-r ROUNDS] [-k KILLS] [-c CPU,CPU] [-l NS] [-f] [-p NAME] [-o DATA]
 *	            [SECTION...]
 *
 * Sections: rates latency waiting kills growth. -l: one way of the raw line above which a round is
 * put off. -f: SCHED_FIFO where each process has a processor. -p: only peers with NAME in theirs.
 * -o: what the plot is made of.
 */
#include <ftw.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"
#include "contest.h"
#include "kill.h"
#include "table.h"

static unsigned kills = 50;
static double slow = 80;

/* ---- what the peers use ---------------------------------------------------------------------- */

/* Each piece begins with its size, in a page of its own. */
#define FRONT 4096

void *peer_memory(size_t size)
{
	unsigned char *p = mmap(NULL, size + FRONT, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		fail("memory", -errno);
	*(size_t *)(void *)p = size + FRONT;
	return p + FRONT;
}

void peer_memory_end(void *p)
{
	unsigned char *front = (unsigned char *)p - FRONT;

	munmap(front, *(size_t *)(void *)front);
}

static char directory[64];
static pid_t directory_owner;

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void remove_directory(void)
{
	if (getpid() == directory_owner)
		nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *peer_directory(void)
{
	if (!*directory) {
		strcpy(directory, "/tmp/bench-peers.XXXXXX");
		if (!mkdtemp(directory))
			fail("a directory for sockets", -errno);
		directory_owner = getpid();
		atexit(remove_directory);
	}
	return directory;
}

/* ---- sections -------------------------------------------------------------------------------- */

static struct contest c;

static void rates_single(void)
{
	static const size_t bytes[] = {64, 256};
	static const unsigned mib[] = {1, 64};

	c = (struct contest){"single", "8 bytes one by one, 1+1", RATE, 1, 1, {{0}}, 0};
	contest_peers(&c, 0, PEER_MANY | PEER_LINE, 8, 8192, JOB_STREAM);
	contest_run(&c);
	c = (struct contest){"burst", "8 bytes in bursts of 32, 1+1", RATE, 1, 1, {{0}}, 0};
	contest_peers(&c, 0, PEER_MANY | PEER_LINE | PEER_MESSAGES, 8, 8192, JOB_BURST);
	contest_run(&c);
	for (unsigned i = 0; i < 4; i++) {
		size_t b = bytes[i / 2];
		char title[64], section[32];

		snprintf(title, sizeof(title), "%zu bytes, ring of %u MiB, 1+1", b, mib[i % 2]);
		snprintf(section, sizeof(section), "%zu-%u", b, mib[i % 2]);
		c = (struct contest){section, title, RATE, 1, 1, {{0}}, 0};
		/* Those that know no size of a ring are in the first table alone. */
		contest_peers(&c, 0, PEER_MANY | PEER_LINE | (i % 2 ? PEER_MESSAGES : 0), b,
			      mib[i % 2] * (UINT64_C(1) << 20) / b, JOB_STREAM);
		contest_run(&c);
	}
}

static void rates_many(void)
{
	for (unsigned n = 1; n <= 4; n *= 2) {
		char title[64], section[32];

		for (enum crew_job job = JOB_STREAM; job <= JOB_BURST; job++) {
			snprintf(title, sizeof(title), "many to many, 8 bytes %s, %u+%u",
				 job == JOB_BURST ? "in bursts of 32" : "one by one", n, n);
			snprintf(section, sizeof(section), "many%s-%u",
				 job == JOB_BURST ? "-burst" : "", n);
			c = (struct contest){section, title, RATE, n, n, {{0}}, 0};
			contest_peers(&c, PEER_MANY, 0, 8, 1024, job);
			contest_run(&c);
		}
	}
}

static void rates(void)
{
	rates_single();
	rates_many();
}

static void latency(void)
{
	for (size_t bytes = 16; bytes <= 64; bytes *= 4) {
		char title[64], section[32];

		snprintf(title, sizeof(title), "one way, spinning, %zu bytes", bytes);
		snprintf(section, sizeof(section), "one-way-%zu", bytes);
		c = (struct contest){section, title, ONE_WAY, 1, 1, {{0}}, 0};
		contest_peers(&c, 0, PEER_WAITS, bytes, 65536 / bytes, JOB_SPIN);
		contest_run(&c);
	}
}

static void waiting(void)
{
	c = (struct contest){"asleep",   "from a send to one who sleeps, one way, 8 bytes",
			     ROUND_TRIP, 1,
			     1,          {{0}},
			     0};
	contest_add(&c, (struct entry){.peer = &peer_futex, .bytes = 8, .cap = 1, .job = JOB_WAKE});
	contest_peers(&c, PEER_KERNEL | PEER_WAITS, 0, 8, 1024, JOB_WAKE);
	contest_peers(&c, 0, PEER_KERNEL, 8, 1024, JOB_WAKE);
	contest_run(&c);
	/* Here a bare futex may spin as well: nobody sleeps while the other one is in its call to
	 * wake. */
	c = (struct contest){"blocking", "round trip, blocking, answered at once, 8 bytes",
			     ROUND_TRIP, 1,
			     1,          {{0}},
			     0};
	contest_peers(&c, PEER_KERNEL | PEER_WAITS, 0, 8, 1024, JOB_SLEEP);
	contest_add(&c,
		    (struct entry){.peer = &peer_futex, .bytes = 8, .cap = 1, .job = JOB_SLEEP});
	contest_peers(&c, 0, PEER_KERNEL, 8, 1024, JOB_SLEEP);
	contest_run(&c);
}

static void deaths(void)
{
	kill_all(kills);
}

static void crowds(const char *what, const struct peer *peer)
{
	static const unsigned crowd[] = {1, 100, 10000};
	char name[3][64], title[64], section[32];

	snprintf(title, sizeof(title), "objects in the %s's segment, 8 bytes one by one, 1+1",
		 what);
	snprintf(section, sizeof(section), "crowd-%s", what);
	c = (struct contest){section, title, RATE, 1, 1, {{0}}, 0};
	for (unsigned i = 0; i < 3; i++) {
		snprintf(name[i], sizeof(name[i]), "%u", crowd[i]);
		contest_add(&c, (struct entry){name[i], peer, 8, 8192, crowd[i], JOB_STREAM});
	}
	contest_run(&c);
}

static void growth(void)
{
	static const unsigned shift[] = {12, 16, 20, 24, 26, 28, 30};
	char name[sizeof(shift) / sizeof(*shift)][64];

	crowds("ring", &peer_ipk_ring);
	crowds("queue", &peer_ipk_queue);
	c = (struct contest){
		"sizes", "size of the ring, 8 bytes in bursts of 32, 1+1", RATE, 1, 1, {{0}}, 0};
	for (unsigned i = 0; i < sizeof(shift) / sizeof(*shift); i++) {
		uint64_t kib = (UINT64_C(1) << shift[i]) >> 10;

		snprintf(name[i], sizeof(name[i]), "%llu %s",
			 (unsigned long long)(kib < 1024 ? kib : kib >> 10),
			 kib < 1024 ? "KiB" : "MiB");
		contest_add(&c, (struct entry){name[i], &peer_ipk_ring, 8, kib << 7, 0, JOB_BURST});
	}
	contest_run(&c);
}

/* ---- */

static const struct {
	const char *name;
	void (*run)(void);
} sections[] = {
	{"rates", rates},  {"latency", latency}, {"waiting", waiting},
	{"kills", deaths}, {"growth", growth},
};

static void usage(void)
{
	fprintf(stderr,
		"usage: bench_peers [-r ROUNDS] [-k KILLS] [-c CPU,CPU] [-l NS] [-f] [-p NAME] [-o "
		"PLOT_DATA] "
		"[rates|latency|waiting|kills|growth]...\n");
	exit(2);
}

static void options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "r:k:c:l:fo:p:")) != -1) {
		switch (o) {
		case 'r':
			contest_rounds = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'k':
			kills = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'c':
			if (sscanf(optarg, "%d,%d", &conduct.cpu[0], &conduct.cpu[1]) != 2)
				usage();
			break;
		case 'l':
			slow = strtod(optarg, NULL);
			break;
		case 'p':
			peers_only = optarg;
			break;
		case 'f':
			conduct.fifo = true;
			break;
		case 'o':
			table_plot = fopen(optarg, "w");
			if (!table_plot)
				fail(optarg, -errno);
			break;
		default:
			usage();
		}
	}
	if (contest_rounds == 0 || contest_rounds > ROUNDS_MAX || kills > ROUNDS_MAX)
		usage();
}

static void describe(void)
{
	struct utsname u;

	uname(&u);
	printf("%s %s. Processes on processors %d and %d, %s. %u rounds a table, in turn.\n",
	       u.sysname, u.release, conduct.cpu[0], conduct.cpu[1],
	       conduct.fifo ? "SCHED_FIFO where each has one to itself and no threads of its own"
			    : "ordinary scheduling",
	       contest_rounds);
	for (unsigned i = 0; peers_absent[i]; i++)
		printf("%s%s", i ? ", " : "\nNot installed, left out: ", peers_absent[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	options(argc, argv);
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		fail("it takes two processors", -EINVAL);
	if (conduct.fifo) {
		int r = sched_setscheduler(0, SCHED_FIFO,
					   &(struct sched_param){.sched_priority = 10});

		conduct.fifo = r == 0;
		sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
	}
	describe();
	line_start(slow);
	for (unsigned i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		bool wanted = optind == argc;

		for (int k = optind; k < argc; k++)
			wanted |= strcmp(argv[k], sections[i].name) == 0;
		if (wanted)
			sections[i].run();
	}
	line_end();
	return 0;
}
