/* SPDX-License-Identifier: MIT */
/* Arrays: what the functions, the verbs and the views say, in one process. */
#include "fixture_kind.h"

#include <float.h>
#include <math.h>

#include "ipk/array.h"
#include "kinds/array.h"

static struct ipk_segment *seg;

static int setup(void **state)
{
	if (dir_setup(state) != 0)
		return -1;
	create_segment("s");
	seg = open_segment("s");
	return seg ? 0 : -1;
}

static int teardown(void **state)
{
	ipk_segment_close(seg);
	return dir_teardown(state);
}

static struct ipk_array *make(const char *name, const char *type, u64 cap)
{
	struct ipk_error err = { 0 };
	struct ipk_array *a = NULL;

	if (ipk_array_create(seg, name, type, cap, &err) < 0 ||
	    ipk_array_open(seg, name, type, &a, &err) < 0)
		fail_msg("array %s of %s: %s", name, type, err.text);
	return a;
}

static const char *const all_types[] = {
	"i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "bool",
	"str:4", "str:5", "bytes:3", "str:100", "bytes:2000", "str:5000", "bytes:70001",
	"f32[2]", "f32[3]", "u8[7]", "f64[1000]", "{u32 id; f64 px; str:8 sym}", "{u16 a; u16 b}",
};

static void an_element_is_what_was_set(void **state)
{
	(void)state;
	for (size_t t = 0; t < IPK_ARRAY_LEN(all_types); t++) {
		struct ipk_array *a = make("x", all_types[t], 5);
		u32 size = ipk_array_size(a);
		u8 *val = malloc(5 * size), *got = calloc(5, size);

		for (u32 i = 0; i < 5 * size; i++)
			val[i] = (u8)(i * 7 + i / 251 + 1);
		for (u64 i = 0; i < 5; i++)
			assert_int_equal(ipk_array_set(a, i, val + i * size, IPK_FOREVER), 0);
		for (u64 i = 0; i < 5; i++)
			assert_int_equal(ipk_array_get(a, i, got + i * size), 0);
		assert_memory_equal(got, val, 5 * size);
		memset(got, 0, 5 * size);
		assert_int_equal(ipk_array_slice(a, 0, 5, got), 0);
		assert_memory_equal(got, val, 5 * size);
		assert_memory_equal(ipk_array_view(a), val, 5 * size);
		free(val);
		free(got);
		ipk_array_close(a);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	}
}

static void elements_are_zero_at_first_and_1024_by_default(void **state)
{
	struct ipk_error err = { 0 };
	struct ipk_array *a;
	double d[1024];

	(void)state;
	assert_int_equal(ipk_array_create(seg, "a", NULL, 0, &err), 0);
	assert_int_equal(ipk_array_open(seg, "a", "f64", &a, &err), 0);
	assert_int_equal(ipk_array_count(a), 1024);
	assert_int_equal(ipk_array_slice(a, 0, 1024, d), 0);
	for (int i = 0; i < 1024; i++)
		assert_true(d[i] == 0.0);
	ipk_array_close(a);
}

static void the_view_is_a_plain_array_at_a_multiple_of_64(void **state)
{
	struct ipk_array *a = make("a", "u32", 100), *w = make("w", "f32[3]", 9);
	u32 *p = ipk_array_view(a), v = 0;

	(void)state;
	assert_int_equal((uintptr_t)p % 64, 0);
	assert_int_equal((uintptr_t)ipk_array_view(w) % 64, 0);
	for (u32 i = 0; i < 100; i++)
		p[i] = i * i;
	for (u32 i = 0; i < 100; i++) {
		assert_int_equal(ipk_array_get(a, i, &v), 0);
		assert_int_equal(v, i * i);
	}
	ipk_array_close(a);
	ipk_array_close(w);
}

static void variable_types_are_refused_by_name(void **state)
{
	struct ipk_error err = { 0 };

	(void)state;
	assert_int_equal(ipk_array_create(seg, "a", "str", 4, &err), -EMEDIUMTYPE);
	assert_non_null(strstr(err.text, "str:N"));
	assert_int_equal(ipk_array_create(seg, "a", "bytes", 4, &err), -EMEDIUMTYPE);
	assert_non_null(strstr(err.text, "bytes:N"));
	assert_int_equal(ipk_array_create(seg, "a", "json", 4, &err), -EMEDIUMTYPE);
	assert_int_equal(ipk_array_create(seg, "a", "f65", 4, &err), -EINVAL);
}

static int new_cap(const char *type, const char *cap)
{
	struct ipk_param params[] = { { "type", type }, { "cap", cap } };
	struct ipk_error err = { 0 };
	int r = ipk_object_new(seg, "a", "array", params, 2, &err);

	if (r < 0)
		assert_true(err.text[0]);
	return r;
}

static void absurd_sizes_are_refused(void **state)
{
	struct ipk_segment_info info = info_of("s");

	(void)state;
	assert_true(new_cap("u8", "0") < 0);
	assert_true(new_cap("u8", "-1") < 0);
	assert_true(new_cap("u8", "x") < 0);
	assert_true(new_cap("u8", "9223372036854775808") < 0);
	assert_true(new_cap("u8", "18446744073709551615") < 0);
	assert_true(new_cap("u64", "2305843009213693953") < 0); /* times 8: 8 */
	assert_true(new_cap("bytes:16777216", "1099511627776") < 0);
	assert_int_equal(new_cap("f64", "1TiB"), -ENOSPC);
	assert_int_equal(new_cap("f64", "64MiB"), -ENOSPC);
	assert_true(ipk_array_create(seg, "a", "u8", UINT64_MAX, NULL) < 0);
	assert_int_equal(info_of("s").used, info.used);
	assert_int_equal(info_of("s").objects, info.objects);
}

static void out_of_bounds_is_told(void **state)
{
	struct ipk_array *a = make("a", "u64", 10), *w = make("w", "u64[2]", 10);
	u64 v[24] = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct ipk_array *x = i ? w : a;

		assert_int_equal(ipk_array_get(x, 10, v), -ERANGE);
		assert_int_equal(ipk_array_get(x, UINT64_MAX, v), -ERANGE);
		assert_int_equal(ipk_array_set(x, 10, v, IPK_FOREVER), -ERANGE);
		assert_int_equal(ipk_array_slice(x, 3, 8, v), -ERANGE);
		assert_int_equal(ipk_array_slice(x, 11, 0, v), -ERANGE);
		assert_int_equal(ipk_array_slice(x, 3, UINT64_MAX - 1, v), -ERANGE);
		assert_int_equal(ipk_array_set_slice(x, 9, 2, v, IPK_FOREVER), -ERANGE);
		assert_int_equal(ipk_array_fill(x, 0, 11, v, IPK_FOREVER), -ERANGE);
		assert_int_equal(ipk_array_cas(x, 10, v, v, IPK_FOREVER), -ERANGE);
		assert_int_equal(ipk_array_slice(x, 10, 0, v), 0);
		assert_int_equal(ipk_array_slice(x, 0, 10, v), 0);
	}
	assert_int_equal(ipk_array_add(a, 10, v, v), -ERANGE);
	ipk_array_close(a);
	ipk_array_close(w);
}

static void another_type_than_claimed_is_refused_by_name(void **state)
{
	struct ipk_error err = { 0 };
	struct ipk_array *a = make("a", "{u32 id; f64 px}", 3), *b = NULL;

	(void)state;
	ipk_array_close(a);
	assert_int_equal(ipk_array_open(seg, "a", "f64", &b, &err), -EMEDIUMTYPE);
	assert_non_null(strstr(err.text, "{u32 id; f64 px}"));
	assert_null(b);
	assert_int_equal(ipk_array_open(seg, "a", "{u32 id ;f64 px;}", &b, &err), 0);
	ipk_array_close(b);
	assert_int_equal(ipk_array_open(seg, "nothing", NULL, &b, &err), -ENOENT);
}

static void a_fill_reaches_its_range_and_no_further(void **state)
{
	struct ipk_array *a = make("a", "u16", 10), *w = make("w", "str:9", 10);
	const u16 v = 77;
	u16 got[10];
	char text[10][9];

	(void)state;
	assert_int_equal(ipk_array_fill(a, 2, 5, &v, IPK_FOREVER), 0);
	assert_int_equal(ipk_array_slice(a, 0, 10, got), 0);
	assert_int_equal(ipk_array_fill(w, 2, 5, "abcdefgh", IPK_FOREVER), 0);
	assert_int_equal(ipk_array_slice(w, 0, 10, text), 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(got[i], i >= 2 && i < 7 ? 77 : 0);
		assert_string_equal(text[i], i >= 2 && i < 7 ? "abcdefgh" : "");
	}
	ipk_array_close(a);
	ipk_array_close(w);
}

static void integers_wrap_around(void **state)
{
	struct ipk_array *a = make("a", "u8", 1), *b = make("b", "i64", 1), *c = make("c", "i16", 1);
	u8 d8 = 200, n8 = 0;
	i64 d64 = INT64_MAX, n64 = 0;
	int16_t d16 = -1, n16 = 0;
	u32 d32 = UINT32_MAX, n32 = 0;
	struct ipk_array *d = make("d", "u32", 1);

	(void)state;
	assert_int_equal(ipk_array_add(a, 0, &d8, NULL), 0);
	assert_int_equal(ipk_array_add(a, 0, &d8, &n8), 0);
	assert_int_equal(n8, 144);
	assert_int_equal(ipk_array_add(b, 0, &d64, NULL), 0);
	assert_int_equal(ipk_array_add(b, 0, &d64, &n64), 0);
	assert_int_equal(n64, -2);
	assert_int_equal(ipk_array_add(c, 0, &d16, &n16), 0);
	assert_int_equal(n16, -1);
	assert_int_equal(ipk_array_add(d, 0, &d32, &n32), 0);
	assert_int_equal(ipk_array_add(d, 0, &d32, &n32), 0);
	assert_int_equal(n32, UINT32_MAX - 1);
	ipk_array_close(a);
	ipk_array_close(b);
	ipk_array_close(c);
	ipk_array_close(d);
}

static void floats_can_be_added_to_and_others_cannot(void **state)
{
	static const char *const refused[] = { "bool", "str:8", "f64[1]", "{u64 a}", "u32[2]" };
	struct ipk_array *a = make("a", "f64", 1), *b = make("b", "f32", 1);
	double d = 0.1, sum = 0;
	float f = 1.5f, fsum = 0;
	u64 v = 1;

	(void)state;
	assert_int_equal(ipk_array_add(a, 0, &d, &sum), 0);
	assert_int_equal(ipk_array_add(a, 0, &d, &sum), 0);
	assert_true(sum == 0.1 + 0.1);
	assert_int_equal(ipk_array_add(b, 0, &f, &fsum), 0);
	assert_true(fsum == 1.5f);
	ipk_array_close(a);
	ipk_array_close(b);
	for (size_t i = 0; i < IPK_ARRAY_LEN(refused); i++) {
		struct ipk_array *x = make("x", refused[i], 1);

		assert_int_equal(ipk_array_add(x, 0, &v, NULL), -EMEDIUMTYPE);
		ipk_array_close(x);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	}
}

static void a_compare_exchange_tells_what_was_there(void **state)
{
	static const char *const types[] = { "u8", "u16", "u32", "u64", "bytes:3", "bytes:1000" };

	(void)state;
	for (size_t t = 0; t < IPK_ARRAY_LEN(types); t++) {
		struct ipk_array *a = make("x", types[t], 4);
		u8 zero[1000] = { 0 }, val[1000], got[1000] = { 0 };
		u32 size = ipk_array_size(a);

		memset(val, 0x5a, sizeof(val));
		assert_int_equal(ipk_array_cas(a, 2, zero, val, IPK_FOREVER), 0);
		assert_int_equal(ipk_array_get(a, 2, got), 0);
		assert_memory_equal(got, val, size);
		memset(zero, 0, sizeof(zero));
		assert_int_equal(ipk_array_cas(a, 2, zero, got, IPK_FOREVER), -EEXIST);
		assert_memory_equal(zero, val, size);
		memset(zero, 0, sizeof(zero));
		assert_int_equal(ipk_array_get(a, 1, got), 0);
		assert_memory_equal(got, zero, size);
		ipk_array_close(a);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	}
}

static void who_may_only_read_reads_and_changes_nothing(void **state)
{
	struct ipk_array *a = make("a", "u64", 4), *w = make("w", "u64[3]", 4), *ra, *rw;
	u64 v[3] = { 1, 2, 3 }, got[3];
	struct ipk_segment *ro;

	(void)state;
	assert_int_equal(ipk_array_set(a, 1, v, IPK_FOREVER), 0);
	assert_int_equal(ipk_array_set(w, 1, v, IPK_FOREVER), 0);
	assert_int_equal(ipk_segment_open("s", IPK_READ, &ro, NULL), 0);
	assert_int_equal(ipk_array_open(ro, "a", NULL, &ra, NULL), 0);
	assert_int_equal(ipk_array_open(ro, "w", NULL, &rw, NULL), 0);
	assert_int_equal(ipk_array_get(ra, 1, got), 0);
	assert_int_equal(got[0], 1);
	assert_int_equal(ipk_array_get(rw, 1, got), 0);
	assert_int_equal(got[2], 3);
	assert_int_equal(ipk_array_set(ra, 1, v, IPK_FOREVER), -EACCES);
	assert_int_equal(ipk_array_set(rw, 1, v, IPK_FOREVER), -EACCES);
	assert_int_equal(ipk_array_add(ra, 1, v, NULL), -EACCES);
	assert_int_equal(ipk_array_cas(ra, 1, got, v, IPK_FOREVER), -EACCES);
	assert_int_equal(ipk_array_cas(rw, 1, got, v, IPK_FOREVER), -EACCES);
	ipk_array_close(a);
	ipk_array_close(w);
	assert_int_equal(ipk_object_remove(seg, "a", NULL), 0);
	assert_int_equal(ipk_array_get(ra, 1, got), -ESTALE);
	ipk_array_close(ra);
	ipk_array_close(rw);
	ipk_segment_close(ro);
}

static void read_when_told(void *arg)
{
	struct ipk_array *a = ((void **)arg)[0];
	u32 *told = ((void **)arg)[1];
	u64 got = 0;

	nap_until(told);
	must(ipk_array_get(a, 1, &got) == -ESTALE);
}

/* Neither who may only read nor a child that has not written keeps a removed array's memory. */
static void what_was_removed_is_not_taken_for_what_came_after(void **state)
{
	struct ipk_array *a = make("a", "u64", 4), *ra, *b;
	u32 *told = shared(4096);
	void *arg[2] = { a, told };
	struct ipk_segment *ro;
	u64 v = 7, got = 0, off = a->obj.off;
	pid_t pid;

	(void)state;
	assert_int_equal(ipk_segment_open("s", IPK_READ, &ro, NULL), 0);
	assert_int_equal(ipk_array_open(ro, "a", NULL, &ra, NULL), 0);
	pid = spawn(read_when_told, arg);
	ipk_array_close(a);
	assert_int_equal(ipk_object_remove(seg, "a", NULL), 0);
	b = make("b", "u64", 4);
	assert_int_equal(b->obj.off, off);
	assert_int_equal(ipk_array_set(b, 1, &v, IPK_FOREVER), 0);
	assert_int_equal(ipk_array_get(ra, 1, &got), -ESTALE);
	ipk_st(told, 1u, release);
	assert_ended_well(join_child(pid));
	munmap(told, 4096);
	ipk_array_close(ra);
	ipk_array_close(b);
	ipk_segment_close(ro);
}

/* ---- views ------------------------------------------------------------------------------------- */

struct seen {
	u64 n, first, last;
	u64 sum;
};

static int see(void *arg, const struct ipk_item *item)
{
	struct seen *s = arg;
	u32 v;

	memcpy(&v, item->data, 4);
	if (s->n++ == 0)
		s->first = item->pos;
	s->last = item->pos;
	s->sum += v;
	return 0;
}

static struct seen items(struct look *l, u64 from, u64 to)
{
	struct seen s = { 0 };

	assert_int_equal(l->kind->items(&l->o, from, to, see, &s), 0);
	return s;
}

static int by_key(struct look *l, const char *key, struct seen *ret)
{
	*ret = (struct seen){ 0 };
	return l->kind->item(&l->o, key, strlen(key), see, ret);
}

static void check_views(const char *name, u64 cap)
{
	struct seen s;
	struct look l;
	u64 used, got;

	look(&l, "s", name);
	assert_int_equal(l.kind->inspect(&l.o, &used, &got), 0);
	assert_int_equal(used, cap);
	assert_int_equal(got, cap);
	s = items(&l, 0, UINT64_MAX);
	assert_int_equal(s.n, cap);
	assert_int_equal(s.last, cap - 1);
	assert_int_equal(s.sum, cap * (cap - 1) / 2);
	s = items(&l, 10, 13);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.first, 10);
	assert_int_equal(s.sum, 33);
	assert_int_equal(by_key(&l, "7", &s), 0);
	assert_int_equal(s.sum, 7);
	assert_int_equal(by_key(&l, "..5", &s), 0);
	assert_int_equal(s.sum, 10);
	assert_int_equal(by_key(&l, "3..5", &s), 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(by_key(&l, "5..5", &s), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(by_key(&l, "0..", &s), 0);
	assert_int_equal(s.n, cap);
	assert_int_equal(by_key(&l, "99999999", &s), -ERANGE);
	assert_int_equal(by_key(&l, "0..99999999", &s), -ERANGE);
	assert_int_equal(by_key(&l, "x", &s), -EINVAL);
	assert_int_equal(by_key(&l, "", &s), -EINVAL);
	look_end(&l);
}

static void views_show_every_element_where_it_is(void **state)
{
	const u64 cap = 50000; /* more than is read at once */
	struct ipk_array *a = make("a", "u32", cap), *w = make("w", "u32[3]", cap);
	struct ipk_buf raw = { 0 };
	struct look l;
	u32 v[3] = { 0 };

	(void)state;
	for (v[0] = 0; v[0] < cap; v[0]++) {
		assert_int_equal(ipk_array_set(a, v[0], v, IPK_FOREVER), 0);
		assert_int_equal(ipk_array_set(w, v[0], v, IPK_FOREVER), 0);
	}
	check_views("a", cap);
	check_views("w", cap);
	for (int i = 0; i < 2; i++) {
		struct ipk_array *x = i ? w : a;

		look(&l, "s", i ? "w" : "a");
		assert_int_equal(l.kind->raw(&l.o, &raw), 0);
		assert_int_equal(raw.len, cap * ipk_array_size(x));
		assert_memory_equal(raw.data, ipk_array_view(x), raw.len);
		raw.len = 0;
		look_end(&l);
	}
	ipk_buf_free(&raw);
	assert_int_equal(findings_of("s", "a").n, 0);
	assert_int_equal(findings_of("s", "w").n, 0);
	ipk_array_close(a);
	ipk_array_close(w);
}

/* A body whose numbers do not fit together is refused by all who look, and found by the check. */
static void a_damaged_array_is_refused_and_found(void **state)
{
	struct ipk_array *a = make("a", "u32[3]", 100), *b;
	struct ipk_array_body good, *body = a->body;
	struct seen s = { 0 };
	struct look l;
	u64 n;

	(void)state;
	memcpy(&good, body, sizeof(good));
	for (int i = 0; i < 7; i++) {
		switch (i) {
		case 0: body->cap = UINT64_MAX; break;
		case 1: body->cap = 0; break;
		case 2: body->cap = UINT64_MAX / 12 + 2; break;
		case 3: body->size = 8; body->slots = 0; body->log = 0; body->data = 128; break;
		case 4: body->slots = 1000000; break;
		case 5: body->data = UINT64_MAX - 63; break;
		case 6: body->log = 64; break;
		}
		look(&l, "s", "a");
		assert_int_equal(l.kind->inspect(&l.o, &n, &n), -EBADMSG);
		assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, see, &s), -EBADMSG);
		look_end(&l);
		assert_int_equal(findings_of("s", "a").n, 1);
		assert_int_equal(ipk_array_open(seg, "a", NULL, &b, NULL), -EBADMSG);
		memcpy(body, &good, sizeof(good));
	}
	assert_int_equal(findings_of("s", "a").n, 0);
	/* A staged write that names no element. */
	*(u64 *)(void *)((u8 *)body + body->log) = 100;
	body->seq = 1;
	assert_int_equal(findings_of("s", "a").n, 1);
	assert_int_equal(ipk_array_set(a, 0, "............", IPK_FOREVER), -EBADMSG);
	body->seq = 0;
	ipk_array_close(a);
}

/* ---- verbs -------------------------------------------------------------------------------------- */

#define WORDS(...) (const char *const[]){ __VA_ARGS__, NULL }

static int run(const char *object, const char *verb, const char *key, const char *arg,
	       const char *const *words, const char *out)
{
	struct verb v = { 0 };
	int r = verb_run(&v, seg, object, "array", verb, key, arg, words);

	if (r < 0 && !v.call.err.text[0] && r != -ERANGE)
		fail_msg("%s gives %d and no reason", verb, r);
	if (out)
		assert_string_equal(v.out.data, out);
	verb_end(&v);
	return r;
}

static void set_wants_as_many_values_as_the_range_has(void **state)
{
	(void)state;
	ipk_array_close(make("a", "i32", 8));
	assert_int_equal(run("a", "set", "0..3", NULL, WORDS("1", "2", "3"), NULL), 0);
	assert_int_equal(run("a", "set", "7", NULL, WORDS("-9"), NULL), 0);
	assert_int_equal(run("a", "get", NULL, NULL, NULL, "1\n2\n3\n0\n0\n0\n0\n-9\n"), 0);
	assert_int_equal(run("a", "set", "0..3", NULL, WORDS("4", "5"), NULL), -EINVAL);
	assert_int_equal(run("a", "set", "0..3", NULL, WORDS("4", "5", "6", "7"), NULL), -EINVAL);
	assert_int_equal(run("a", "set", "0", NULL, WORDS("4", "5"), NULL), -EINVAL);
	assert_int_equal(run("a", "set", "8", NULL, WORDS("4"), NULL), -ERANGE);
	assert_int_equal(run("a", "set", "7..9", NULL, WORDS("4", "5"), NULL), -ERANGE);
	assert_int_equal(run("a", "set", "3..1", NULL, WORDS("4", "5"), NULL), -EINVAL);
	assert_int_equal(run("a", "get", "..3", NULL, NULL, "1\n2\n3\n"), 0);
	assert_int_equal(run("a", "get", "8", NULL, NULL, ""), -ERANGE);
	assert_int_equal(run("a", "load", NULL, NULL, WORDS("5", "6"), NULL), 0);
	assert_int_equal(run("a", "get", "..3", NULL, NULL, "5\n6\n3\n"), 0);
}

static void set_if_equal_compares_values(void **state)
{
	(void)state;
	ipk_array_close(make("a", "f64", 4));
	ipk_array_close(make("w", "{u32 id; str:6 s}", 4));
	assert_int_equal(run("a", "set", "1", "0", WORDS("2.5"), NULL), 0);
	assert_int_equal(run("a", "set", "1", "2.50", WORDS("-0"), NULL), 0);
	assert_int_equal(run("a", "set", "1", "2.5", WORDS("3"), NULL), -EEXIST);
	assert_int_equal(run("a", "set", "1", "0", WORDS("7"), NULL), 0);
	assert_int_equal(run("a", "get", "1", NULL, NULL, "7\n"), 0);
	assert_int_equal(run("a", "set", "0..2", "0", WORDS("7", "8"), NULL), -EINVAL);
	assert_int_equal(run("w", "set", "3", "{\"id\":0,\"s\":\"\"}",
			     WORDS("{\"s\":\"abc\",\"id\":9}"), NULL), 0);
	assert_int_equal(run("w", "set", "3", "{\"id\":0,\"s\":\"\"}",
			     WORDS("{\"s\":\"x\",\"id\":1}"), NULL), -EEXIST);
	assert_int_equal(run("w", "get", "3", NULL, NULL, "{\"id\":9,\"s\":\"abc\"}\n"), 0);
}

static void incr_prints_the_sum_and_takes_negative_numbers(void **state)
{
	(void)state;
	ipk_array_close(make("u", "u16", 3));
	ipk_array_close(make("f", "f32", 3));
	ipk_array_close(make("s", "str:3", 3));
	ipk_array_close(make("q", "u64", 3));
	assert_int_equal(run("u", "incr", "2", NULL, NULL, "1\n"), 0);
	assert_int_equal(run("u", "incr", "2", "41", NULL, "42\n"), 0);
	assert_int_equal(run("u", "incr", "2", "-43", NULL, "65535\n"), 0);
	assert_int_equal(run("u", "incr", "0..2", "5", NULL, "5\n5\n"), 0);
	assert_int_equal(run("u", "incr", "2", "1.5", NULL, ""), -EINVAL);
	assert_int_equal(run("f", "incr", "0", "1.5", NULL, "1.5\n"), 0);
	assert_int_equal(run("f", "incr", "0", "-2", NULL, "-0.5\n"), 0);
	assert_int_equal(run("s", "incr", "0", NULL, NULL, ""), -EMEDIUMTYPE);
	assert_int_equal(run("q", "incr", "0", "18446744073709551615", NULL, "18446744073709551615\n"), 0);
	assert_int_equal(run("q", "incr", "0", "18446744073709551616", NULL, ""), -ERANGE);
}

static void fill_takes_one_value(void **state)
{
	(void)state;
	ipk_array_close(make("a", "u8", 4));
	assert_int_equal(run("a", "fill", NULL, NULL, WORDS("7"), NULL), 0);
	assert_int_equal(run("a", "fill", "1..3", NULL, WORDS("9"), NULL), 0);
	assert_int_equal(run("a", "get", NULL, NULL, NULL, "7\n9\n9\n7\n"), 0);
	assert_int_equal(run("a", "fill", NULL, NULL, WORDS("1", "2"), NULL), -EINVAL);
	assert_int_equal(run("a", "fill", NULL, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(run("a", "fill", "2..9", NULL, WORDS("1"), NULL), -ERANGE);
	assert_int_equal(run("a", "get", NULL, NULL, NULL, "7\n9\n9\n7\n"), 0);
}

/* What does not fit the room for counting is stored as it comes, and what is missing is told. */
static void long_input_is_stored_as_it_comes(void **state)
{
	const u64 cap = 300000; /* of 8 bytes: more than may wait to be counted */
	struct ipk_array *a = make("a", "u64", cap);
	const char **words = calloc(cap + 2, sizeof(*words));
	struct verb v = { .most = 33 };
	u64 got;

	(void)state;
	for (u64 i = 0; i < cap; i++)
		words[i] = i % 2 ? "1" : "2";
	assert_int_equal(verb_run(&v, seg, "a", "array", "set", "0..", NULL, words), 0);
	assert_int_equal(v.call.done, cap);
	verb_end(&v);
	assert_int_equal(ipk_array_get(a, cap - 1, &got), 0);
	assert_int_equal(got, 1);
	words[cap] = "1";
	assert_int_equal(verb_run(&v, seg, "a", "array", "set", "0..", NULL, words), -EINVAL);
	verb_end(&v);
	words[cap - 1] = NULL;
	assert_int_equal(verb_run(&v, seg, "a", "array", "set", "0..", NULL, words), -EINVAL);
	assert_true(v.call.done > 0 && v.call.done < cap);
	verb_end(&v);
	free(words);
	ipk_array_close(a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_element_is_what_was_set),
		TEST(elements_are_zero_at_first_and_1024_by_default),
		TEST(the_view_is_a_plain_array_at_a_multiple_of_64),
		TEST(variable_types_are_refused_by_name),
		TEST(absurd_sizes_are_refused),
		TEST(out_of_bounds_is_told),
		TEST(another_type_than_claimed_is_refused_by_name),
		TEST(a_fill_reaches_its_range_and_no_further),
		TEST(integers_wrap_around),
		TEST(floats_can_be_added_to_and_others_cannot),
		TEST(a_compare_exchange_tells_what_was_there),
		TEST(who_may_only_read_reads_and_changes_nothing),
		TEST(what_was_removed_is_not_taken_for_what_came_after),
		TEST(views_show_every_element_where_it_is),
		TEST(a_damaged_array_is_refused_and_found),
		TEST(set_wants_as_many_values_as_the_range_has),
		TEST(set_if_equal_compares_values),
		TEST(incr_prints_the_sum_and_takes_negative_numbers),
		TEST(fill_takes_one_value),
		TEST(long_input_is_stored_as_it_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
