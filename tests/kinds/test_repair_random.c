/* SPDX-License-Identifier: MIT */
/*
 * Whatever is written into a segment, a repair comes to an end, keeps what it says, and can be
 * taken back. The same damage each time; IPK_SEED and IPK_ROUNDS for more.
 */
#include "kinds/fixture_repair.h"

static u64 random_state;

static u64 draw(u64 below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

/* Where structure is, more often than where values are. */
static u64 place(void)
{
	const struct ipk_header *h = header_of(good);
	u64 n = h->size / IPK_PAGE, page;

	switch (draw(8)) {
	case 0:
		return offsetof(struct ipk_header, size) + draw(1280 - 64);
	case 1:
		return 1280 + draw(64);
	case 2:
		return h->table * IPK_PAGE + draw(n * sizeof(struct ipk_page));
	case 3:
		return ipk_dir_page(h->dir) * IPK_PAGE + draw(IPK_PAGE);
	case 4:
		return 2 * IPK_PAGE + draw(6 * IPK_PAGE);
	case 5:
	case 6: {
		struct ipk_object *o = object_of(good, ipk_kinds[draw(3)]->name);

		return (u64)((u8 *)o - good) + draw(o->size < 1024 ? o->size : 1024);
	}
	default:
		do
			page = draw(n);
		while (ipk_pg_type(page_of(good, page)->w) == IPK_PG_FREE);
		return page * IPK_PAGE + draw(IPK_PAGE);
	}
}

static void mutate(u8 *bytes)
{
	static const u64 values[] = {0, 1, 2, 0xff, 0xffff, UINT32_MAX, UINT64_MAX, 4096, 1 << 20};
	u64 at = place(), word;

	if (at >= good_len)
		at = good_len - 1;
	if (draw(3) == 0) {
		bytes[at] ^= (u8)(1u << draw(8));
		return;
	}
	at &= ~UINT64_C(7);
	word = draw(2)   ? values[draw(IPK_ARRAY_LEN(values))]
	       : draw(2) ? draw(good_len)
			 : draw(UINT64_MAX);
	memcpy(bytes + at, &word, sizeof(word));
}

/* The constant words say what it is: without them it is nothing. */
static void keep_constants(u8 *bytes)
{
	memcpy(bytes, good, 32);
	memcpy(bytes + 40, good + 40, 24);
}

static void one_round(u64 seed)
{
	u8 *bytes = malloc(good_len);
	struct report report = {.len = 0}, now;
	struct ipk_segment *seg;
	struct ipk_error err = {0};
	int r;

	assert_non_null(bytes);
	memcpy(bytes, good, good_len);
	random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (u64 n = 1 + draw(6); n; n--)
		mutate(bytes);
	keep_constants(bytes);
	undo_forget();
	file_write(bytes, good_len);
	r = ipk_repair(NAME, 0, report_add, report_add, &report, &err);
	if (r == 0 && check_file(&now) != 0)
		fail_msg("seed %llu: said done, but: %s", (unsigned long long)seed, now.text);
	if (r > 0 && check_file(&now) == 0)
		fail_msg("seed %llu: said %s, but nothing is found", (unsigned long long)seed,
			 report.text);
	if (r < 0 && (undo_exists() || !file_is(bytes, good_len)))
		fail_msg("seed %llu: %s, and changed it", (unsigned long long)seed, err.text);
	if (undo_exists()) {
		if (ipk_repair_undo(NAME, 0, &err) != 0 || !file_is(bytes, good_len))
			fail_msg("seed %llu: undo: %s", (unsigned long long)seed, err.text);
		assert_int_equal(ipk_repair(NAME, 0, report_add, report_add, &report, &err), r);
	}
	if (r == 0) {
		if (ipk_segment_open(NAME, IPK_WRITE, &seg, &err) != 0)
			fail_msg("seed %llu: attach: %s", (unsigned long long)seed, err.text);
		for (int i = 0; ipk_kinds[i]; i++)
			(void)ipk_object_remove(seg, ipk_kinds[i]->name, &err);
		ipk_segment_close(seg);
		if (check_file(&now) != 0)
			fail_msg("seed %llu: repaired and used: %s", (unsigned long long)seed,
				 now.text);
	}
	free(bytes);
}

static void whatever_was_written_a_repair_keeps_its_word(void **state)
{
	const char *seed = getenv("IPK_SEED"), *rounds = getenv("IPK_ROUNDS");
	u64 first = seed ? strtoull(seed, NULL, 0) : 1,
	    n = rounds ? strtoull(rounds, NULL, 0) : 100;

	(void)state;
	for (u64 i = 0; i < n; i++)
		one_round(first + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_was_written_a_repair_keeps_its_word),
	};

	return cmocka_run_group_tests(tests, make_good, drop_good);
}
