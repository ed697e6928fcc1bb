/* SPDX-License-Identifier: MIT */
/* Sets: a map's functions under their own names, and the descriptor. */
#include "kinds/hooks.h"
#include "kinds/set.h"
#include "object_type.h"

_Static_assert(IPK_SET_VALUE_MAX == IPK_MAP_KEY_MAX, "a value is a key");
_Static_assert(sizeof(struct ipk_set) == sizeof(struct ipk_map), "one handle");

int ipk_set_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		   struct ipk_error *err)
{
	return ipk_object_new_typed(seg, name, "set", type, NULL, cap, err);
}

int ipk_set_open(struct ipk_segment *seg, const char *name, const char *type,
		 struct ipk_set **ret_set, struct ipk_error *err)
{
	struct ipk_map *map;
	int r = ipk_map_open_as(seg, name, &ipk_kind_set, type, NULL, &map, err);

	if (!r)
		*ret_set = (struct ipk_set *)map;
	return r;
}

void ipk_set_close(struct ipk_set *set)
{
	ipk_map_close((struct ipk_map *)set);
}

uint64_t ipk_set_count(const struct ipk_set *set)
{
	return ipk_map_count(&set->map);
}

int ipk_set_has(struct ipk_set *set, const void *value, size_t len)
{
	return ipk_map_has(&set->map, value, len);
}

int ipk_set_put(struct ipk_set *set, const void *value, size_t len, i64 deadline,
		struct ipk_error *err)
{
	int r = ipk_map_set(&set->map, value, len, "", 0, true, deadline, err);

	return r == -EEXIST ? 0 : r < 0 ? r : 1;
}

int ipk_set_add(struct ipk_set *set, const void *value, size_t len, int64_t deadline)
{
	return ipk_set_put(set, value, len, deadline, NULL);
}

int ipk_set_remove(struct ipk_set *set, const void *value, size_t len, int64_t deadline)
{
	int r = ipk_map_del(&set->map, value, len, deadline);

	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

struct each {
	int (*fn)(void *arg, const void *value, size_t len);
	void *arg;
};

static int give(void *arg, const struct ipk_map_item *item)
{
	struct each *e = arg;

	return e->fn(e->arg, item->key, item->klen);
}

int ipk_set_foreach(struct ipk_set *set, int (*fn)(void *arg, const void *value, size_t len),
		    void *arg)
{
	struct each e = {.fn = fn, .arg = arg};

	return ipk_map_foreach(&set->map, give, &e);
}

int ipk_set_wait(struct ipk_set *set, uint64_t *changes, int64_t deadline)
{
	return ipk_map_wait(&set->map, changes, deadline);
}

uint64_t ipk_set_changes(const struct ipk_set *set)
{
	return ipk_map_changes(&set->map);
}

/* ---- the descriptor ------------------------------------------------------------------------- */

IPK_ATTACH_DETACH(set, ipk_set_open(seg, name, NULL, &handle, err))

static const char *const stat_names[] = {"adds",  "removes",    "changes", "tables",
					 "slots", "tombstones", NULL};

static int set_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	return ipk_map_stats(o, stat_names, v);
}

#define BENCH_VALUES 1024u

static int bench_rounds(void *handle, uint64_t n)
{
	u64 val = BENCH_VALUES;
	int r = 0;

	while (ipk_set_count(handle) < BENCH_VALUES && val-- && !r) {
		r = ipk_set_add(handle, &val, sizeof(val), IPK_FOREVER);
		r = r < 0 ? r : 0;
	}
	while (n-- && r >= 0) {
		val = n % BENCH_VALUES;
		r = ipk_set_has(handle, &val, sizeof(val));
	}
	return r < 0 ? r : 0;
}

static const struct ipk_bench bench = {.round = "has", .rounds = bench_rounds, .elements = true};

const struct ipk_kind ipk_kind_set = {
	.id = 12,
	.version = 1,
	.name = "set",
	.summary = "values, each of them once, in a hash table that grows and shrinks",
	.text = "A set holds values of any type, fixed or variable, each of them once. Its table "
		"grows and shrinks by itself; --cap says how many values are expected and is no "
		"limit. Readers never wait, whatever writers do, and also when a writer was "
		"stopped or killed in the middle. Writers take turns; a killed writer leaves its "
		"value in the set or not, and its turn passes on. Values are listed by their "
		"hash, which is always the same order for the same values and --seed. In the "
		"mount each value is a file's name: touch adds one, rm removes it.",
	.type = "str",
	.flags = IPK_KIND_KEYED | IPK_KIND_REMOVE_ITEM,
	.params = ipk_map_params,
	.ops = ipk_set_ops,
	.stats = stat_names,
	.size = ipk_map_size,
	.create = ipk_map_make,
	.attach = set_attach,
	.detach = set_detach,
	.attachable = ipk_map_attachable,
	.destroy = ipk_map_destroy,
	.recover = ipk_map_recover,
	.wake = ipk_map_wake,
	.inspect = ipk_map_inspect,
	.stats_visit = set_stats,
	.items = ipk_map_items,
	.item = ipk_map_item,
	.holders = ipk_map_holders,
	.check = ipk_map_check,
	.repair = ipk_map_repair,
	.bench = &bench,
};
