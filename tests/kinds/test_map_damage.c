/* SPDX-License-Identifier: MIT */
/*
 * Maps in memory that somebody has damaged: what a check finds, and that nobody crashes or hangs.
 */
#include "fixture_map_one.h"

/* ---- damage --------------------------------------------------------------------------------- */

static struct ipk_map *map_of_twenty(void)
{
	struct ipk_map *m;

	m = make("m", "u64", "u64", 30); /* 64 slots */
	for (u64 k = 0; k < 20; k++)
		assert_int_equal(ipk_map_put(m, &k, 8, &k, 8, IPK_FOREVER), 0);
	assert_int_equal(findings_of("s", "m").n, 0);
	return m;
}

static u64 *slots_of(struct ipk_map *m)
{
	return (u64 *)(void *)(seg->base + ipk_map_table_off(m->b->table));
}

static u64 first_slot(struct ipk_map *m)
{
	u64 i = 0;

	while (slots_of(m)[i] <= IPK_MAP_TOMB)
		i++;
	return i;
}

static struct ipk_map_entry *entry_of(u64 slot)
{
	return (void *)(seg->base + ipk_map_off(slot));
}

struct search {
	struct ipk_checker checker;
	const char *text;
	bool found;
};

static void __attribute__((format(printf, 2, 3)))
look_at_finding(struct ipk_checker *c, const char *fmt, ...)
{
	struct search *s = (struct search *)(void *)c;
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	s->found = s->found || strstr(line, s->text);
}

static void expect_finding(const char *text)
{
	struct search s = {.checker = {.finding = look_at_finding, .block = no_block},
			   .text = text};
	struct look l;

	look(&l, "s", "m");
	assert_int_equal(l.kind->check(&l.o, &s.checker), 0);
	look_end(&l);
	if (!s.found)
		fail_msg("no finding says \"%s\"", text);
}

/* Damages one word, expects a finding that has text in it, and mends the word. */
static void check_finds(u64 *word, u64 val, const char *text)
{
	u64 was = *word;

	*word = val;
	expect_finding(text);
	*word = was;
	assert_int_equal(findings_of("s", "m").n, 0);
}

static void a_check_finds_what_is_wrong(void **state)
{
	struct ipk_map *m = map_of_twenty();
	u64 i = first_slot(m), *slots = slots_of(m), slot = slots[i], empty = i;
	struct ipk_map_entry *e = entry_of(slot);

	(void)state;
	while (slots[empty] != IPK_MAP_EMPTY)
		empty = (empty + 1) % 64;
	check_finds(&m->b->count, 21, "21 entries");
	check_finds(&m->b->tombs, 3, "3 tombstones");
	check_finds(&m->b->table, m->b->table | 63, "outside");
	check_finds(&slots[i], slot | UINT64_C(0xffffffff), "names no entry");
	check_finds(&slots[i], slot ^ UINT64_C(1) << 63, "fingerprint");
	check_finds(&e->hash, e->hash ^ 1, "hash");
	check_finds(&e->lens, e->lens + (UINT64_C(1) << 32), "not of their types");
	check_finds(&e->lens, UINT64_MAX, "names no entry");
	check_finds(&e->data[0], 99, "hash");
	check_finds(&slots[empty], slot, "entries"); /* twice, and not where it is looked for */
	ipk_map_close(m);
}

static void an_entry_behind_an_empty_slot_is_found_by_a_check(void **state)
{
	struct ipk_map *m = map_of_twenty();
	u64 i = first_slot(m), *slots = slots_of(m), slot = slots[i], far = (i + 30) % 64;

	(void)state;
	while (slots[far] != IPK_MAP_EMPTY)
		far = (far + 1) % 64;
	slots[i] = IPK_MAP_TOMB;
	m->b->tombs++;
	slots[far] = slot;
	expect_finding("cannot be found");
	slots[(far + 1) % 64] = slot;
	m->b->count++;
	expect_finding("same key");
	ipk_map_close(m);
}

static int swallow(void *arg, const struct ipk_item *item)
{
	volatile u8 sum = 0;

	(void)arg;
	for (u64 i = 0; i < item->len; i++)
		sum = (u8)(sum + ((const u8 *)item->data)[i]);
	return 0;
}

static int swallow_mapped(void *arg, const struct ipk_map_item *item)
{
	struct ipk_item copy = {.data = item->value, .len = item->vlen};

	return swallow(arg, &copy);
}

/* Whatever is in the memory, everybody comes back, with an answer or an error. */
static void use_all(struct ipk_map *m, u64 key)
{
	struct findings f = {.checker = {.finding = finding, .block = no_block}};
	struct look l;
	char text[24];
	u64 val = 1;
	uint64_t used, cap;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)key);
	(void)ipk_map_get(m, &key, 8, &val, 8, NULL);
	(void)ipk_map_foreach(m, swallow_mapped, NULL);
	look(&l, "s", "m");
	(void)l.kind->inspect(&l.o, &used, &cap);
	(void)l.kind->items(&l.o, 0, UINT64_MAX, swallow, NULL);
	(void)l.kind->item(&l.o, text, strlen(text), swallow, NULL);
	(void)l.kind->check(&l.o, &f.checker);
	look_end(&l);
	(void)ipk_map_put(m, &key, 8, &val, 8, ipk_deadline(1000000));
	(void)ipk_map_add(m, &key, 8, &val, &val, ipk_deadline(1000000));
	(void)ipk_map_del(m, &key, 8, ipk_deadline(1000000));
}

/* A word that may stand anywhere: zero, all ones, near misses, offsets of other things. */
static u64 odd_word(u64 was, u64 *seed)
{
	switch (seeded(seed) % 8) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return was ^ UINT64_C(1) << seeded(seed) % 64;
	case 3:
		return was + 1;
	case 4:
		return was - 64;
	case 5:
		return (u64)seeded(seed) << 32 | seeded(seed);
	case 6:
		return was << 8;
	default:
		return seg->size - 16;
	}
}

static void nobody_crashes_or_hangs_on_a_damaged_map(void **state)
{
	struct ipk_map *m = map_of_twenty();
	u64 seed = 12345, len = 64 * 8, image = info_of("s").size;
	u8 *copy = malloc(image);

	(void)state;
	memcpy(copy, seg->base, image);
	for (u32 round = 0; round < 3000; round++) {
		u64 *word, key = seeded(&seed) % 21, i = seeded(&seed) % 64;

		switch (seeded(&seed) % 3) {
		case 0:
			word = (u64 *)(void *)m->b + seeded(&seed) % (sizeof(*m->b) / 8);
			break;
		case 1:
			word = slots_of(m) + seeded(&seed) % (len / 8);
			break;
		default:
			while (slots_of(m)[i % 64] <= IPK_MAP_TOMB)
				i++;
			word = (u64 *)(void *)entry_of(slots_of(m)[i % 64]) + seeded(&seed) % 5;
		}
		*word = odd_word(*word, &seed);
		use_all(m, key);
		/* All as before, also what writers did in their ignorance. The file never shrinks.
		 */
		memcpy(seg->base + IPK_PAGE * 8, copy + IPK_PAGE * 8, image - IPK_PAGE * 8);
		memcpy(seg->base, copy, sizeof(struct ipk_header));
	}
	free(copy);
	ipk_map_close(m);
}

/*
 * The bytes of a table are computed from it: shifted by too much they were few, and its slots were
 * written behind its end.
 */
static void a_damaged_smallest_table_is_no_size_of_the_next_one(void **state)
{
	static const u32 odd[] = {0, 7, 60, 64, 783356040, UINT32_MAX};
	struct ipk_map *m = map_of_twenty();
	u64 key = 100, old = 3;

	(void)state;
	for (size_t i = 0; i < IPK_ARRAY_LEN(odd); i++) {
		m->b->min_log2 = odd[i];
		m->b->tombs = 40; /* it is full, with these */
		assert_int_equal(ipk_map_put(m, &key, 8, &key, 8, IPK_FOREVER), -EBADMSG);
		m->b->tombs = 0;
		m->b->count = 2; /* it is nearly empty */
		assert_int_equal(ipk_map_del(m, &old, 8, IPK_FOREVER), -EBADMSG);
		m->b->count = 20;
	}
	m->b->min_log2 = 6;
	assert_int_equal(findings_of("s", "m").n, 0);
	assert_int_equal(ipk_map_put(m, &key, 8, &key, 8, IPK_FOREVER), 0);
	ipk_map_close(m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_check_finds_what_is_wrong),
		TEST(an_entry_behind_an_empty_slot_is_found_by_a_check),
		TEST(nobody_crashes_or_hangs_on_a_damaged_map),
		TEST(a_damaged_smallest_table_is_no_size_of_the_next_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
