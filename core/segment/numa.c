/* SPDX-License-Identifier: MIT */
/* NUMA policy by libnuma, which is loaded when somebody asks for a policy and not before. */
#include <dlfcn.h>
#include <numaif.h>
#include <stdlib.h>

#include "segment/map.h"

#define NODES_MAX 1024u
#define WORD_BITS (8 * sizeof(unsigned long))

struct nodes {
	unsigned long bits[NODES_MAX / WORD_BITS];
	unsigned highest;
};

static int number(const char **p, unsigned *ret)
{
	unsigned long v;
	char *end;

	if (**p < '0' || **p > '9')
		return -EINVAL;
	v = strtoul(*p, &end, 10);
	if (v >= NODES_MAX)
		return -EINVAL;
	*p = end;
	*ret = (unsigned)v;
	return 0;
}

/* "0", "0,2", "0-3,8" */
static int parse_nodes(const char *p, struct nodes *n)
{
	unsigned from, to;

	memset(n, 0, sizeof(*n));
	for (;;) {
		if (number(&p, &from) < 0)
			return -EINVAL;
		to = from;
		if (*p == '-' && (p++, number(&p, &to) < 0 || to < from))
			return -EINVAL;
		for (; from <= to; from++)
			n->bits[from / WORD_BITS] |= 1ul << from % WORD_BITS;
		if (n->highest < to)
			n->highest = to;
		if (!*p)
			return 0;
		if (*p++ != ',')
			return -EINVAL;
	}
}

int ipk_numa_apply(void *base, u64 len, const char *policy, struct ipk_error *err)
{
	int (*available)(void), (*max_node)(void);
	long (*bind)(void *, unsigned long, int, const unsigned long *, unsigned long, unsigned);
	struct nodes nodes = {.highest = 0};
	int mode, r = 0;
	void *lib;

	if (!strcmp(policy, "local"))
		mode = MPOL_LOCAL;
	else if (!strncmp(policy, "bind:", 5) && parse_nodes(policy + 5, &nodes) == 0)
		mode = MPOL_BIND;
	else if (!strncmp(policy, "interleave:", 11) && parse_nodes(policy + 11, &nodes) == 0)
		mode = MPOL_INTERLEAVE;
	else
		return ipk_error_set(err, -EINVAL,
				     "--numa takes local, bind:N or interleave:LIST, not \"%.60s\"",
				     policy);
	lib = dlopen("libnuma.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return ipk_error_set(err, -EOPNOTSUPP,
				     "--numa needs libnuma.so.1, which is not installed");
	*(void **)&available = dlsym(lib, "numa_available");
	*(void **)&max_node = dlsym(lib, "numa_max_node");
	*(void **)&bind = dlsym(lib, "mbind");
	if (!available || !max_node || !bind || available() < 0)
		r = ipk_error_set(err, -EOPNOTSUPP, "--numa: this kernel has no NUMA support");
	else if ((int)nodes.highest > max_node())
		r = ipk_error_set(err, -EINVAL, "--numa %.60s: the highest node here is %d", policy,
				  max_node());
	else if (bind(base, len, mode, mode == MPOL_LOCAL ? NULL : nodes.bits,
		      mode == MPOL_LOCAL ? 0 : NODES_MAX, 0) != 0)
		r = ipk_error_set(err, -errno, "--numa %.60s: %s", policy, ipk_strerror(-errno));
	dlclose(lib);
	return r;
}
