/* SPDX-License-Identifier: MIT */
/* Sets: what they answer, and what tools see of them. The table is the map's and tested as such. */
#include "fixture_one.h"

#include "ipk/set.h"
#include "kinds/set.h"

static struct ipk_set *open_set(const char *name)
{
	struct ipk_error err = {0};
	struct ipk_set *set = NULL;

	if (ipk_set_open(seg, name, NULL, &set, &err) < 0)
		fail_msg("set %s: %s", name, err.text);
	return set;
}

static struct ipk_set *make(const char *name, const char *type, u64 cap)
{
	struct ipk_error err = {0};

	if (ipk_set_create(seg, name, type, cap, &err) < 0)
		fail_msg("set %s of %s: %s", name, type, err.text);
	return open_set(name);
}

static void end(struct ipk_set *set, const char *name)
{
	assert_int_equal(findings_of("s", name).n, 0);
	ipk_set_close(set);
	assert_int_equal(ipk_object_remove(seg, name, NULL), 0);
}

/* ---- for C programs ------------------------------------------------------------------------- */

static void a_value_is_there_once(void **state)
{
	struct ipk_set *s = make("x", "str", 0);

	(void)state;
	assert_int_equal(ipk_set_has(s, "a", 1), 0);
	assert_int_equal(ipk_set_remove(s, "a", 1, IPK_NOWAIT), 0);
	assert_int_equal(ipk_set_add(s, "a", 1, IPK_NOWAIT), 1);
	assert_int_equal(ipk_set_add(s, "a", 1, IPK_NOWAIT), 0);
	assert_int_equal(ipk_set_add(s, "ab", 2, IPK_NOWAIT), 1);
	assert_int_equal(ipk_set_add(s, "", 0, IPK_NOWAIT), 1);
	assert_int_equal(ipk_set_count(s), 3);
	assert_int_equal(ipk_set_has(s, "a", 1), 1);
	assert_int_equal(ipk_set_has(s, "", 0), 1);
	assert_int_equal(ipk_set_remove(s, "a", 1, IPK_NOWAIT), 1);
	assert_int_equal(ipk_set_has(s, "a", 1), 0);
	assert_int_equal(ipk_set_has(s, "ab", 2), 1);
	assert_int_equal(ipk_set_count(s), 2);
	end(s, "x");
}

static void what_cannot_be_a_value_is_refused(void **state)
{
	struct ipk_set *s = make("x", "u32", 4), *v = make("v", "bytes", 4), *other;
	u8 *large = calloc(1, IPK_SET_VALUE_MAX + 1);
	struct ipk_error err = {0};
	u64 val = 1;

	(void)state;
	assert_int_equal(ipk_set_add(s, &val, 8, IPK_NOWAIT), -EINVAL);
	assert_int_equal(ipk_set_has(s, &val, 3), -EINVAL);
	assert_int_equal(ipk_set_remove(s, &val, 0, IPK_NOWAIT), -EINVAL);
	assert_int_equal(ipk_set_add(v, large, IPK_SET_VALUE_MAX + 1, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_set_add(v, large, IPK_SET_VALUE_MAX, IPK_NOWAIT), 1);
	assert_int_equal(ipk_set_has(v, large, IPK_SET_VALUE_MAX), 1);
	assert_int_equal(ipk_set_open(seg, "x", "u64", &other, &err), -EMEDIUMTYPE);
	assert_int_equal(ipk_set_open(seg, "x", "u32", &other, &err), 0);
	ipk_set_close(other);
	assert_int_equal(ipk_set_open(seg, "none", NULL, &other, &err), -ENOENT);
	assert_int_equal(ipk_set_create(seg, "x", "str", 1, &err), -EEXIST);
	assert_int_equal(ipk_set_create(seg, "y", "bytes:2000000", 1, &err), -EMSGSIZE);
	free(large);
	end(s, "x");
	end(v, "v");
}

#define VALUES 2000u

struct model {
	bool there[VALUES];
	u64 count;
	u8 bytes[400];
};

static u32 value_of(struct model *md, u32 k)
{
	u32 len = k % 9 == 0 ? 4 + k % 390 : 4 + k % 12;

	memset(md->bytes, (int)(k % 251), len);
	memcpy(md->bytes, &k, 4);
	return len;
}

struct walk {
	struct model *md;
	u8 seen[VALUES];
	u64 n;
};

static int visit(void *arg, const void *value, size_t len)
{
	struct walk *w = arg;
	u32 k;

	assert_true(len >= 4);
	memcpy(&k, value, 4);
	assert_true(k < VALUES && w->md->there[k] && !w->seen[k]++);
	assert_int_equal(len, value_of(w->md, k));
	assert_memory_equal(value, w->md->bytes, len);
	w->n++;
	return 0;
}

static int visit_item(void *arg, const struct ipk_item *item)
{
	assert_null(item->key);
	return visit(arg, item->data, item->len);
}

static void check_walks(struct model *md, struct ipk_set *s)
{
	struct walk w = {.md = md};
	struct look l;
	uint64_t used, cap;

	assert_int_equal(ipk_set_foreach(s, visit, &w), 0);
	assert_int_equal(w.n, md->count);
	w = (struct walk){.md = md};
	look(&l, "s", "x");
	assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, visit_item, &w), 0);
	assert_int_equal(w.n, md->count);
	assert_int_equal(l.kind->inspect(&l.o, &used, &cap), 0);
	assert_int_equal(used, md->count);
	look_end(&l);
	assert_int_equal(findings_of("s", "x").n, 0);
}

static void random_operations_do_what_a_simple_model_does(void **state)
{
	struct model *md = calloc(1, sizeof(*md));
	struct ipk_set *s = make("x", "bytes", 4);
	u64 seed = 12, empty = info_of("s").used;

	(void)state;
	for (u32 round = 0; round < 10; round++) {
		u32 additions = round % 2 ? 20 : 60;

		for (u32 i = 0; i < 8000; i++) {
			u32 k = seeded(&seed) % VALUES, what = seeded(&seed) % 100;
			u32 len = value_of(md, k);
			int r;

			if (what < additions) {
				r = ipk_set_add(s, md->bytes, len, IPK_FOREVER);
				assert_int_equal(r, !md->there[k]);
				md->there[k] = true;
				md->count += (u64)r;
			} else if (what < 80) {
				r = ipk_set_remove(s, md->bytes, len, IPK_FOREVER);
				assert_int_equal(r, md->there[k]);
				md->there[k] = false;
				md->count -= (u64)r;
			} else {
				assert_int_equal(ipk_set_has(s, md->bytes, len), md->there[k]);
			}
			assert_int_equal(ipk_set_count(s), md->count);
		}
		check_walks(md, s);
	}
	for (u32 k = 0; k < VALUES; k++)
		assert_int_equal(ipk_set_remove(s, md->bytes, value_of(md, k), IPK_FOREVER),
				 md->there[k]);
	assert_int_equal(info_of("s").used, empty);
	free(md);
	end(s, "x");
}

static void who_may_only_read_changes_nothing(void **state)
{
	struct ipk_set *s = make("x", "u64", 4), *r;
	struct ipk_segment *reader;
	uint64_t changes = 0;
	u64 val = 7, other = 8;

	(void)state;
	assert_int_equal(ipk_set_add(s, &val, 8, IPK_NOWAIT), 1);
	assert_int_equal(ipk_segment_open("s", IPK_READ, &reader, NULL), 0);
	assert_int_equal(ipk_set_open(reader, "x", "u64", &r, NULL), 0);
	assert_int_equal(ipk_set_has(r, &val, 8), 1);
	assert_int_equal(ipk_set_has(r, &other, 8), 0);
	assert_int_equal(ipk_set_count(r), 1);
	assert_int_equal(ipk_set_add(r, &other, 8, IPK_NOWAIT), -EACCES);
	assert_int_equal(ipk_set_remove(r, &val, 8, IPK_NOWAIT), -EACCES);
	assert_int_equal(ipk_set_wait(r, &changes, IPK_NOWAIT), -EACCES);
	assert_true(ipk_set_changes(r) > 0);
	ipk_set_close(r);
	ipk_segment_close(reader);
	end(s, "x");
}

static void each_change_is_told_and_nothing_else(void **state)
{
	struct ipk_set *s = make("x", "u64", 4);
	uint64_t changes = 0;
	u64 val = 7;

	(void)state;
	assert_int_equal(ipk_set_wait(s, &changes, IPK_NOWAIT), -EAGAIN);
	ipk_set_add(s, &val, 8, IPK_NOWAIT);
	assert_int_equal(ipk_set_wait(s, &changes, IPK_NOWAIT), 0);
	ipk_set_add(s, &val, 8, IPK_NOWAIT);
	assert_int_equal(ipk_set_wait(s, &changes, IPK_NOWAIT), -EAGAIN);
	ipk_set_remove(s, &val, 8, IPK_NOWAIT);
	assert_int_equal(ipk_set_wait(s, &changes, IPK_NOWAIT), 0);
	ipk_set_remove(s, &val, 8, IPK_NOWAIT);
	assert_int_equal(ipk_set_wait(s, &changes, IPK_NOWAIT), -EAGAIN);
	end(s, "x");
}

/* ---- for tools ------------------------------------------------------------------------------ */

static int count_item(void *arg, const struct ipk_item *item)
{
	assert_null(item->key);
	assert_memory_equal(item->data, "a/b", 3);
	++*(int *)arg;
	return 0;
}

static void a_value_is_found_by_its_text(void **state)
{
	struct ipk_set *s = make("x", "str", 0), *n = make("n", "u32", 0);
	struct look l;
	int found = 0;
	u32 val = 17;

	(void)state;
	ipk_set_add(s, "a/b", 3, IPK_NOWAIT);
	look(&l, "s", "x");
	assert_int_equal(l.kind->item(&l.o, "a/b", 3, count_item, &found), 0);
	assert_int_equal(l.kind->item(&l.o, "a", 1, count_item, &found), -ENOENT);
	assert_int_equal(found, 1);
	look_end(&l);
	ipk_set_add(n, &val, 4, IPK_NOWAIT);
	look(&l, "s", "n");
	assert_int_equal(l.kind->item(&l.o, "18", 2, count_item, &found), -ENOENT);
	assert_int_equal(l.kind->item(&l.o, "x", 1, count_item, &found), -EINVAL);
	look_end(&l);
	end(s, "x");
	end(n, "n");
}

static void a_value_with_something_behind_it_is_found_by_the_check(void **state)
{
	struct ipk_set *s = make("x", "str", 0);
	struct findings f;

	(void)state;
	ipk_set_add(s, "good", 4, IPK_NOWAIT);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_map_put(&s->map, "bad", 3, "v", 1, IPK_FOREVER), 0);
	f = findings_of("s", "x");
	assert_int_equal(f.n, 1);
	assert_non_null(strstr(f.last, "a value of 1 bytes"));
	ipk_set_remove(s, "bad", 3, IPK_NOWAIT);
	end(s, "x");
}

static int run(const char *verb, const char *key, const char *arg, const char *const *words,
	       const char *out)
{
	struct verb v = {0};
	int r = verb_run(&v, seg, "x", "set", verb, key, arg, words);

	if (out)
		assert_string_equal(v.out.data, out);
	verb_end(&v);
	return r;
}

static void verbs_do_what_they_say(void **state)
{
	struct ipk_set *s = make("x", "u16", 0);

	(void)state;
	assert_int_equal(run("add", NULL, NULL, (const char *const[]){"1", "1", NULL}, ""), 0);
	assert_int_equal(ipk_set_count(s), 1);
	assert_int_equal(run("add", "2", NULL, (const char *const[]){"1", NULL}, NULL), -EINVAL);
	assert_int_equal(run("add", NULL, NULL, (const char *const[]){"2", "x", NULL}, NULL),
			 -EINVAL);
	assert_int_equal(ipk_set_count(s), 1);
	assert_int_equal(run("has", NULL, "1", NULL, ""), 0);
	assert_int_equal(run("has", NULL, "2", NULL, ""), 1);
	assert_int_equal(run("has", "1", NULL, NULL, ""), 0);
	assert_int_equal(run("has", NULL, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(run("get", NULL, NULL, NULL, "1\n"), 0);
	assert_int_equal(run("get", "1", NULL, NULL, "1\n"), 0);
	assert_int_equal(run("get", "2", NULL, NULL, ""), -ENOENT);
	assert_int_equal(run("del", "2", NULL, NULL, ""), -ENOENT);
	assert_int_equal(run("del", "1", NULL, NULL, ""), 0);
	assert_int_equal(run("del", NULL, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(ipk_set_count(s), 0);
	end(s, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_value_is_there_once),
		TEST(what_cannot_be_a_value_is_refused),
		TEST(random_operations_do_what_a_simple_model_does),
		TEST(who_may_only_read_changes_nothing),
		TEST(each_change_is_told_and_nothing_else),
		TEST(a_value_is_found_by_its_text),
		TEST(a_value_with_something_behind_it_is_found_by_the_check),
		TEST(verbs_do_what_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
