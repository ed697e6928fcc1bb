/* SPDX-License-Identifier: MIT */
/* Maps as tools see them: verbs and views. */
#include "fixture_one.h"

#include "ipk/map.h"
#include "kinds/map.h"

static void make(const char *type, const char *key, u64 cap)
{
	struct ipk_error err = {0};

	if (ipk_map_create(seg, "m", type, key, cap, &err) < 0)
		fail_msg("%s", err.text);
}

static struct ipk_map *open_map(void)
{
	struct ipk_map *m = NULL;

	assert_int_equal(ipk_map_open(seg, "m", NULL, NULL, &m, NULL), 0);
	return m;
}

/* ---- verbs ---------------------------------------------------------------------------------- */

/* Runs a verb; its output must be out (NULL: any), its answer r. */
static void run(int r, const char *out, const char *verb, const char *key, const char *arg,
		const char *value)
{
	const char *words[] = {value, NULL};
	struct verb v = {0};
	int got = verb_run(&v, seg, "m", "map", verb, key, arg, words);

	if (got != r)
		fail_msg("%s %s: %d (%s), not %d", verb, key ? key : "", got, v.call.err.text, r);
	if (out)
		assert_string_equal(v.out.data, out);
	verb_end(&v);
}

static void set_get_and_del_do_what_they_say(void **state)
{
	(void)state;
	make(NULL, NULL, 0);
	run(0, "", "set", "color", NULL, "blue");
	run(0, "", "set", "with/slash", NULL, "");
	run(0, "", "set", "", NULL, "of the empty key");
	run(0, "blue\n", "get", "color", NULL, NULL);
	run(0, "\n", "get", "with/slash", NULL, NULL);
	run(0, "of the empty key\n", "get", "", NULL, NULL);
	run(-ENOENT, "", "get", "smell", NULL, NULL);
	run(0, "", "set", "color", "blue", "green"); /* --if-eq blue */
	run(-EEXIST, "", "set", "color", "blue", "red");
	run(-ENOENT, "", "set", "smell", "blue", "red");
	run(0, "green\n", "get", "color", NULL, NULL);
	run(0, "", "del", "color", NULL, NULL);
	run(-ENOENT, "", "del", "color", NULL, NULL);
	run(-E2BIG, "", "set", "color", NULL, NULL);
	run(-EINVAL, "", "set", NULL, NULL, "blue");
	run(-EINVAL, "", "del", NULL, NULL, NULL);
	run(-EMEDIUMTYPE, "", "incr", "color", NULL, NULL);
}

static void one_key_takes_one_value(void **state)
{
	static const char *const words[] = {"a", "b", NULL};
	struct verb v = {0};

	(void)state;
	make(NULL, NULL, 0);
	for (unsigned most = 0; most < 2; most++) {
		v.most = most;
		assert_int_equal(verb_run(&v, seg, "m", "map", "set", "k", NULL, words), -E2BIG);
		verb_end(&v);
		run(-ENOENT, NULL, "get", "k", NULL, NULL);
	}
}

static void incr_counts_from_zero_and_prints_the_sum(void **state)
{
	(void)state;
	make("i32", "u16", 0);
	run(0, "1\n", "incr", "7", NULL, NULL);
	run(0, "6\n", "incr", "7", "5", NULL);
	run(0, "-4\n", "incr", "7", "-10", NULL);
	run(0, "-4\n", "get", "7", NULL, NULL);
	run(-EINVAL, "", "incr", "7", "x", NULL);
	run(-EINVAL, "", "incr", "key", NULL, NULL);
	run(-ERANGE, "", "incr", "70000", NULL, NULL);
}

struct collected {
	u64 n;
	struct ipk_buf keys, values;
};

static int collect(void *arg, const struct ipk_item *item)
{
	struct collected *c = arg;

	c->n++;
	ipk_buf_add(&c->keys, item->key, item->key_len);
	ipk_buf_add(&c->values, item->data, item->len);
	return 0;
}

static int emit_keys(struct ipk_call *call, const struct ipk_item *item)
{
	assert_null(item->data);
	return collect(call->tool, item);
}

static int flush_nothing(struct ipk_call *call)
{
	(void)call;
	return 0;
}

static void keys_gives_each_key_once_and_no_values(void **state)
{
	const struct ipk_op *op = ipk_kind_op(&ipk_kind_map, "keys");
	struct collected c = {0};
	struct ipk_call call = {.tool = &c, .emit = emit_keys, .flush = flush_nothing};

	(void)state;
	make("u64", "u64", 0);
	for (u64 k = 0; k < 1000; k++)
		assert_int_equal(ipk_map_put(call.handle ? call.handle : (call.handle = open_map()),
					     &k, 8, &k, 8, IPK_FOREVER),
				 0);
	assert_int_equal(op->run(&call), 0);
	assert_int_equal(c.n, 1000);
	assert_int_equal(c.keys.len, 8000);
	assert_int_equal(call.done, 1000);
	ipk_buf_free(&c.keys);
	ipk_buf_free(&c.values);
	ipk_map_close(call.handle);
}

struct pairs {
	u32 n;
};

static int next_pair(struct ipk_call *call, struct ipk_item *item, int max)
{
	static u32 key, value;
	struct pairs *p = call->tool;

	assert_true(max > 0);
	if (p->n == 0)
		return 0;
	key = --p->n;
	value = key * 10;
	*item = (struct ipk_item){.data = &value, .len = 4, .key = &key, .key_len = 4};
	return 1;
}

static void items_that_bring_their_keys_are_stored_under_them(void **state)
{
	struct pairs p = {100};
	struct ipk_argval none[2] = {0};
	struct ipk_call call = {.tool = &p, .next = next_pair, .arg = none, .timeout = -1};
	u32 val;

	(void)state;
	make("u32", "u32", 0);
	call.handle = open_map();
	assert_int_equal(ipk_kind_op(&ipk_kind_map, "set")->run(&call), 0);
	assert_int_equal(call.done, 100);
	assert_int_equal(ipk_map_count(call.handle), 100);
	for (u32 k = 0; k < 100; k++) {
		assert_int_equal(ipk_map_get(call.handle, &k, 4, &val, 4, NULL), 0);
		assert_int_equal(val, k * 10);
	}
	none[1].set = true; /* --if-absent */
	p.n = 101;
	call.done = 0;
	assert_int_equal(ipk_kind_op(&ipk_kind_map, "set")->run(&call), -EEXIST);
	assert_int_equal(call.done, 1);
	ipk_map_close(call.handle);
}

/* ---- views ---------------------------------------------------------------------------------- */

static void views_tell_contents_and_numbers(void **state)
{
	struct collected c = {0};
	struct ipk_map *m;
	struct look l;
	uint64_t used, cap;

	(void)state;
	make("str", "str", 100);
	m = open_map();
	look(&l, "s", "m");
	assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, collect, &c), 0);
	assert_int_equal(c.n, 0);
	assert_int_equal(l.kind->inspect(&l.o, &used, &cap), 0);
	assert_int_equal(used, 0);
	assert_int_equal(cap, 100);
	for (char k = 'a'; k <= 'z'; k++)
		assert_int_equal(ipk_map_put(m, &k, 1, &k, 1, IPK_FOREVER), 0);
	assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, collect, &c), 0);
	assert_int_equal(c.n, 26);
	assert_memory_equal(c.keys.data, c.values.data, 26);
	/* In parts, it is the same. */
	c.keys.len = c.n = 0;
	for (u64 pos = 0; pos < 26; pos += 10)
		assert_int_equal(l.kind->items(&l.o, pos, pos + 10, collect, &c), 0);
	assert_int_equal(c.n, 26);
	assert_memory_equal(c.keys.data, c.values.data, 26);
	c.values.len = c.n = 0;
	assert_int_equal(l.kind->item(&l.o, "q", 1, collect, &c), 0);
	assert_int_equal(c.values.len, 1);
	assert_int_equal(c.values.data[0], 'q');
	assert_int_equal(l.kind->item(&l.o, "Q", 1, collect, &c), -ENOENT);
	assert_int_equal(l.kind->inspect(&l.o, &used, &cap), 0);
	assert_int_equal(used, 26);
	assert_int_equal(cap, 100);
	for (u32 k = 0; k < 300; k++)
		assert_int_equal(ipk_map_put(m, &k, 4, "", 0, IPK_FOREVER), 0);
	assert_int_equal(l.kind->inspect(&l.o, &used, &cap), 0);
	assert_int_equal(used, 326);
	assert_true(cap >= used);
	look_end(&l);
	ipk_buf_free(&c.keys);
	ipk_buf_free(&c.values);
	ipk_map_close(m);
}

static int visit_u64(struct ipk_visitor *v, const char *name, uint64_t val)
{
	(void)v;
	if (strcmp(name, "puts") == 0)
		assert_int_equal(val, 3);
	if (strcmp(name, "deletes") == 0)
		assert_int_equal(val, 1);
	if (strcmp(name, "changes") == 0)
		assert_int_equal(val, 4);
	if (strcmp(name, "slots") == 0)
		assert_int_equal(val, 8);
	return 0;
}

static int count_holder(void *arg, uint32_t slot, const char *role, uint64_t count)
{
	struct ipk_self *me = self_of(seg);

	assert_int_equal(slot, me->slot);
	assert_string_equal(role, "writer");
	assert_int_equal(count, 1);
	++*(int *)arg;
	return 0;
}

static void stats_and_holders_are_told(void **state)
{
	struct ipk_visitor v = {.u64 = visit_u64};
	struct ipk_map *m;
	struct look l;
	int n = 0;

	(void)state;
	make(NULL, NULL, 5);
	m = open_map();
	assert_int_equal(ipk_map_put(m, "a", 1, "1", 1, IPK_FOREVER), 0);
	assert_int_equal(ipk_map_put(m, "a", 1, "1", 1, IPK_FOREVER), 0); /* changes nothing */
	assert_int_equal(ipk_map_put(m, "a", 1, "2", 1, IPK_FOREVER), 0);
	assert_int_equal(ipk_map_put(m, "b", 1, "2", 1, IPK_FOREVER), 0);
	assert_int_equal(ipk_map_del(m, "a", 1, IPK_FOREVER), 0);
	look(&l, "s", "m");
	assert_int_equal(l.kind->stats_visit(&l.o, &v), 0);
	assert_int_equal(l.kind->holders(&l.o, count_holder, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(ipk_map_lock(self_of(seg), m->b, IPK_FOREVER), 0);
	assert_int_equal(l.kind->holders(&l.o, count_holder, &n), 0);
	assert_int_equal(n, 1);
	ipk_unlock(self_of(seg), &m->b->lock);
	look_end(&l);
	ipk_map_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(set_get_and_del_do_what_they_say),
		TEST(one_key_takes_one_value),
		TEST(incr_counts_from_zero_and_prints_the_sum),
		TEST(keys_gives_each_key_once_and_no_values),
		TEST(items_that_bring_their_keys_are_stored_under_them),
		TEST(views_tell_contents_and_numbers),
		TEST(stats_and_holders_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
