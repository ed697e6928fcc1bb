/* SPDX-License-Identifier: MIT */
/* What every kind owes, whatever it is: found by walking the descriptor table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ctype.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fill.h"
#include "private_dir.h"
#include "walk.h"

#define MUTANTS 2000

static struct ipk_segment *new_segment(const char *name)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};

	options.size = 512 << 10;
	options.max = 64 << 20;
	if (ipk_segment_create(name, &options, &seg, &err) != 0)
		fail_msg("%s: %s", name, err.text);
	return seg;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

static void check_args(const char *who, const struct ipk_arg *args)
{
	for (; args && args->type != IPK_ARG_END; args++) {
		struct ipk_error err = {0};
		struct ipk_argval val;

		if (!args->name || !*args->name || !args->help || !*args->help)
			fail_msg("%s: an argument lacks name or help", who);
		if ((args->type == IPK_ARG_WORD) != (args->words && *args->words))
			fail_msg("%s --%s: words are for WORD alone", who, args->name);
		if (args->type == IPK_ARG_U64 && args->max && args->min > args->max)
			fail_msg("%s --%s: an empty range", who, args->name);
		/* The default of a VALUE depends on the object's type. */
		if (args->value &&
		    ipk_arg_parse(args, args->value, strlen(args->value), &val, &err) != 0)
			fail_msg("%s --%s: its default is refused: %s", who, args->name, err.text);
	}
}

static void check_ops(const struct ipk_kind *kind)
{
	assert_non_null(kind->ops);
	for (const struct ipk_op *op = kind->ops; op->name; op++) {
		char start[64], who[64];

		snprintf(who, sizeof(who), "%s %s", kind->name, op->name);
		snprintf(start, sizeof(start), "ipcctl %s S/", op->name);
		if (!op->summary || !*op->summary || isupper((unsigned char)*op->summary) ||
		    op->summary[strlen(op->summary) - 1] == '.' || strchr(op->summary, '\n'))
			fail_msg("%s: the summary is one line, lower case, without a stop", who);
		if (!op->example || !strstr(op->example, start))
			fail_msg("%s: the example does not run it in S", who);
		if (!op->run)
			fail_msg("%s: does nothing", who);
		if (ipk_kind_op(kind, op->name) != op)
			fail_msg("%s: is there twice", who);
		check_args(who, op->args);
	}
	assert_null(ipk_kind_op(kind, "no-such-verb"));
}

static bool takes_values(const struct ipk_kind *kind)
{
	for (const struct ipk_op *op = kind->ops; op->name; op++)
		if (op->flags & IPK_OP_IN && op->flags & IPK_OP_BLOCK)
			return true;
	return false;
}

static void check_functions(const struct ipk_kind *k)
{
	/* The others may be NULL where there is nothing to free, to mend, to wake or to hold. */
	if (!k->size || !k->create || !k->attach || !k->detach || !k->attachable || !k->inspect ||
	    !k->stats_visit || !k->check)
		fail_msg("%s: a function is missing", k->name);
	if ((k->flags & (IPK_KIND_INDEXED | IPK_KIND_KEYED)) && (!k->items || !k->item))
		fail_msg("%s: has items but cannot show them", k->name);
	if (!!(k->flags & IPK_KIND_VALUE) != !!k->value || !!(k->flags & IPK_KIND_RAW) != !!k->raw)
		fail_msg("%s: flags and functions do not agree", k->name);
	if ((k->flags & IPK_KIND_INDEXED) && (k->flags & IPK_KIND_KEYED))
		fail_msg("%s: an index or a key, not both", k->name);
	/* Without a key type the items are their own keys, and nothing but them can be stored. */
	if (k->key && !(k->flags & IPK_KIND_KEYED))
		fail_msg("%s: a default key type but no keys", k->name);
	if ((k->flags & IPK_KIND_KEYED) && !k->key && ipk_kind_op(k, "set"))
		fail_msg("%s: keys without a type", k->name);
	if ((k->flags & IPK_KIND_PUSH) && !takes_values(k))
		fail_msg("%s: a push file needs a verb that takes values", k->name);
}

/* Rows name stats of the kind, in their order, and commands that are its verbs or anybody's. */
static void check_next(const struct ipk_kind *k)
{
	const char *const *stat = k->stats;
	const struct ipk_next *row = k->next;
	char verb[24];

	for (;; row++) {
		while (row->stat && *stat && strcmp(*stat, row->stat))
			stat++;
		if (row->stat && !*stat)
			fail_msg("%s: next: no stat %s follows", k->name, row->stat);
		assert_non_null(strstr(row->command, " REF"));
		assert_int_equal(sscanf(row->command, "%23s", verb), 1);
		if (strcmp(verb, "who") && !ipk_kind_op(k, verb))
			fail_msg("%s: next: no verb %s", k->name, verb);
		if (!row->stat)
			break;
	}
}

static void every_descriptor_is_complete(void **state)
{
	unsigned last = 0, n = 0;

	(void)state;
	for (const struct ipk_kind *const *p = ipk_kinds; *p; p++, n++) {
		const struct ipk_kind *k = *p;
		struct ipk_type *type;

		assert_non_null(k->name);
		for (const char *c = k->name; *c; c++)
			assert_true(*c >= 'a' && *c <= 'z');
		if (k->id <= last || k->version == 0)
			fail_msg("%s: ids ascend and are never 0, nor is the version", k->name);
		last = k->id;
		assert_ptr_equal(ipk_kind_by_id(k->id), k);
		assert_ptr_equal(ipk_kind_by_name(k->name), k);
		if (!k->summary || !*k->summary || isupper((unsigned char)*k->summary) ||
		    k->summary[strlen(k->summary) - 1] == '.' || !k->text || strlen(k->text) < 40)
			fail_msg("%s: summary or text is missing", k->name);
		assert_int_equal(ipk_type_parse(k->type, strlen(k->type), &type, NULL), 0);
		ipk_type_free(type);
		if (k->key) {
			assert_int_equal(ipk_type_parse(k->key, strlen(k->key), &type, NULL), 0);
			ipk_type_free(type);
		}
		check_args(k->name, k->params);
		check_ops(k);
		check_functions(k);
		if (k->next)
			check_next(k);
	}
	assert_true(n >= 4);
	assert_null(ipk_kind_by_id(0));
	assert_null(ipk_kind_by_id(UINT16_MAX));
	assert_null(ipk_kind_by_name("quue"));
	assert_null(ipk_kind_by_name(""));
}

/* ---- life ----------------------------------------------------------------------------------- */

static struct ipk_view *view_of(const char *name)
{
	struct ipk_view *view = NULL;
	struct ipk_error err = {0};

	if (ipk_view_open(name, &view, &err) != 0)
		fail_msg("%s: %s", name, err.text);
	return view;
}

static void print_finding(void *arg, const char *where, const char *what)
{
	(void)arg;
	print_error("fsck: %s: %s\n", where, what);
}

static void assert_sound(const char *name)
{
	struct ipk_view *view = view_of(name);
	struct ipk_error err = {0};
	int r = ipk_fsck(view, print_finding, NULL, &err);

	if (r != 0)
		fail_msg("fsck %s: %d %s", name, r, err.text);
	ipk_view_close(view);
}

static u64 used_of(const char *name)
{
	struct ipk_view *view = view_of(name);
	struct ipk_segment_info info;

	assert_int_equal(ipk_view_info(view, &info), 0);
	ipk_view_close(view);
	return info.used;
}

struct names {
	const struct ipk_kind *kind;
	u32 seen;
};

/* stats() visits nothing but what the descriptor lists, in that order; an object may lack some. */
static int see(struct names *n, const char *name)
{
	while (n->kind->stats && n->kind->stats[n->seen]) {
		if (strcmp(n->kind->stats[n->seen++], name) == 0)
			return 0;
	}
	fail_msg("%s: stats() visits %s, which does not follow in stats[]", n->kind->name, name);
	return 0;
}

struct see_visitor {
	struct ipk_visitor v;
	struct names names;
};

static int see_u64(struct ipk_visitor *v, const char *name, uint64_t val)
{
	(void)val;
	return see(&((struct see_visitor *)v)->names, name);
}

static int see_i64(struct ipk_visitor *v, const char *name, int64_t val)
{
	(void)val;
	return see(&((struct see_visitor *)v)->names, name);
}

static int see_boolean(struct ipk_visitor *v, const char *name, bool val)
{
	(void)val;
	return see(&((struct see_visitor *)v)->names, name);
}

static int see_str(struct ipk_visitor *v, const char *name, const char *val)
{
	(void)val;
	return see(&((struct see_visitor *)v)->names, name);
}

static void inspect_new(const char *segment, const struct ipk_kind *kind)
{
	struct see_visitor see_all = {.v = {see_u64, see_i64, see_boolean, see_str},
				      .names = {.kind = kind}};
	struct ipk_view *view = view_of(segment);
	struct ipk_object_view o;
	struct ipk_error err = {0};
	uint64_t used = UINT64_MAX, cap = UINT64_MAX;
	char health[64];

	if (ipk_view_object(view, kind->name, &o, &err) != 0)
		fail_msg("%s: %s", kind->name, err.text);
	assert_int_equal(o.kind, kind->id);
	assert_int_equal(o.version, kind->version);
	assert_string_equal(o.type, kind->type);
	assert_true(!o.key_type == !kind->key);
	if (kind->key)
		assert_string_equal(o.key_type, kind->key);
	assert_int_equal(kind->inspect(&o, &used, &cap), 0);
	assert_true(used <= cap && cap > 0);
	assert_string_equal(ipk_object_health(&o, health, sizeof(health)), "ok");
	assert_int_equal(kind->stats_visit(&o, &see_all.v), 0);
	assert_true(see_all.names.seen > 0);
	ipk_object_view_free(&o);
	ipk_view_close(view);
}

static void each_kind_is_created_attached_and_removed_without_a_trace(void **state)
{
	struct ipk_segment *seg = new_segment("life");
	u64 before = used_of("life");

	(void)state;
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++) {
		struct ipk_error err = {0};
		void *handle = NULL;

		for (int round = 0; round < 3; round++) {
			if (ipk_object_new(seg, (*k)->name, (*k)->name, NULL, 0, &err) != 0)
				fail_msg("%s: %s", (*k)->name, err.text);
			assert_int_equal(ipk_object_new(seg, (*k)->name, (*k)->name, NULL, 0, &err),
					 -EEXIST);
			assert_true(used_of("life") > before);
			inspect_new("life", *k);
			assert_sound("life");
			if ((*k)->attach(seg, (*k)->name, &handle, &err) != 0)
				fail_msg("%s: %s", (*k)->name, err.text);
			(*k)->detach(handle);
			assert_int_equal((*k)->attach(seg, "other", &handle, &err), -ENOENT);
			assert_int_equal(ipk_object_remove(seg, (*k)->name, &err), 0);
			assert_int_equal(used_of("life"), before);
			assert_sound("life");
		}
	}
	ipk_segment_close(seg);
}

static void another_kinds_object_is_refused(void **state)
{
	struct ipk_segment *seg = new_segment("other");
	void *handle;

	(void)state;
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++)
		assert_int_equal(ipk_object_new(seg, (*k)->name, (*k)->name, NULL, 0, NULL), 0);
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++) {
		for (const struct ipk_kind *const *o = ipk_kinds; *o; o++) {
			struct ipk_error err = {0};

			if (o != k)
				assert_int_equal((*k)->attach(seg, (*o)->name, &handle, &err),
						 -EMEDIUMTYPE);
		}
	}
	ipk_segment_close(seg);
}

static void a_wrong_option_is_named(void **state)
{
	struct ipk_segment *seg = new_segment("options");
	u64 before = used_of("options");

	(void)state;
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++) {
		const struct ipk_param bad[] = {{"colour", "blue"}};
		const struct ipk_param bad_type[] = {{"type", "u9"}};
		const struct ipk_param key[] = {{"key", "str"}};
		struct ipk_error err = {0};

		assert_int_equal(ipk_object_new(seg, "x", (*k)->name, bad, 1, &err), -EINVAL);
		assert_non_null(strstr(err.text, "--colour"));
		assert_int_equal(ipk_object_new(seg, "x", (*k)->name, bad_type, 1, &err), -EINVAL);
		assert_non_null(strstr(err.text, "--type"));
		if (!(*k)->key) {
			assert_int_equal(ipk_object_new(seg, "x", (*k)->name, key, 1, &err),
					 -EINVAL);
			assert_non_null(strstr(err.text, "--key"));
		}
		assert_int_equal(ipk_object_new(seg, "info", (*k)->name, NULL, 0, &err), -EINVAL);
		assert_int_equal(ipk_object_new(seg, "", (*k)->name, NULL, 0, &err), -EINVAL);
		for (const struct ipk_arg *a = (*k)->params; a && a->type != IPK_ARG_END; a++) {
			static const char *const absurd[] = {"18446744073709551615",
							     "9223372036854775808",
							     "18446744073709551616", "-1", "x"};

			/* No number is so absurd that more than an error comes of it. */
			for (size_t i = 0; a->type == IPK_ARG_U64 && i < IPK_ARRAY_LEN(absurd);
			     i++) {
				const struct ipk_param p[] = {{a->name, absurd[i]}};
				int r = ipk_object_new(seg, "x", (*k)->name, p, 1, &err);

				if (r == 0)
					assert_int_equal(ipk_object_remove(seg, "x", &err), 0);
				else
					assert_true(err.text[0] != '\0');
			}
		}
	}
	assert_int_equal(ipk_object_new(seg, "x", "quue", NULL, 0, NULL), -EINVAL);
	assert_int_equal(used_of("options"), before);
	assert_sound("options");
	ipk_segment_close(seg);
}

/* ---- mutants -------------------------------------------------------------------------------- */

static u64 rng = 88172645463325252u;

static u64 rnd(u64 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 16) % n;
}

/* The places of an image that hold something: what is zero is rarely read. */
static u64 place(const u8 *image, u64 size)
{
	u64 at = 0;

	for (int i = 0; i < 64; i++) {
		at = rnd(size / 8) * 8;
		if (memcmp(image + at, "\0\0\0\0\0\0\0", 8) != 0)
			break;
	}
	return at;
}

static void mutate(u8 *image, u64 size)
{
	for (u64 n = 1 + rnd(12); n > 0; n--) {
		u64 at = place(image, size), val;

		/* Not the magic, version and layout: they would end it at the door. */
		if (at < 24 && rnd(50))
			continue;
		memcpy(&val, image + at, 8);
		switch (rnd(8)) {
		case 0:
			val = rng;
			break;
		case 1:
			val ^= UINT64_C(1) << rnd(64);
			break;
		case 2:
			val = UINT64_MAX;
			break;
		case 3:
			val = 0;
			break;
		case 4:
			val += rnd(2) ? 1 : UINT64_MAX;
			break;
		case 5:
			val = rnd(size);
			break;
		case 6:
			memcpy(&val, image + place(image, size), 8);
			break;
		default:
			val = rnd(2) ? INT64_MAX : UINT64_C(0xffffffff);
		}
		memcpy(image + at, &val, 8);
	}
}

static u8 *read_file(const char *segment, u64 *ret_size)
{
	struct ipk_view *view = view_of(segment);
	u64 size = ipk_view_size(view);
	u8 *image = malloc(size);

	assert_non_null(image);
	assert_int_equal(ipk_view_read(view, 0, image, size), 0);
	ipk_view_close(view);
	*ret_size = size;
	return image;
}

static void no_mutation_crashes_who_reads(void **state)
{
	const char *names[64] = {0};
	struct ipk_segment *seg = new_segment("mutants");
	u8 *image, *copy;
	int fd, found = 0, n = 0;
	struct ipk_error err = {0};
	u64 size;

	(void)state;
	if (fill_segment(seg, &err) != 0)
		fail_msg("%s", err.text);
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++)
		names[n++] = (*k)->name;
	assert_sound("mutants");
	ipk_segment_close(seg);
	image = read_file("mutants", &size);
	copy = malloc(size);
	assert_non_null(copy);
	fd = memfd_create("mutant", MFD_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < MUTANTS; i++) {
		memcpy(copy, image, size);
		if (i)
			mutate(copy, size);
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, copy, size, 0), size);
		/* Now and then cut short. */
		if (i && rnd(50) == 0)
			assert_int_equal(ftruncate(fd, (off_t)rnd(size)), 0);
		if (i == 0)
			assert_int_equal(walk_segment(fd, names), 0);
		else
			found += walk_segment(fd, names) != 0;
	}
	/* Most hit what nobody reads twice (values, spare bytes), but not all of them. */
	assert_true(found > MUTANTS / 4);
	close(fd);
	free(copy);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_descriptor_is_complete),
		cmocka_unit_test(each_kind_is_created_attached_and_removed_without_a_trace),
		cmocka_unit_test(another_kinds_object_is_refused),
		cmocka_unit_test(a_wrong_option_is_named),
		cmocka_unit_test(no_mutation_crashes_who_reads),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
