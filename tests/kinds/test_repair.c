/* SPDX-License-Identifier: MIT */
/* Damage of each sort is mended, what can be kept is kept, and all of it can be taken back. */
#include "kinds/fixture_repair.h"

#include "kinds/barrier.h"
#include "kinds/channel.h"
#include "kinds/future.h"
#include "kinds/latch.h"
#include "kinds/lazy.h"
#include "kinds/map.h"
#include "kinds/mutex.h"
#include "kinds/once.h"
#include "kinds/pool.h"
#include "kinds/rwlock.h"
#include "kinds/queue.h"
#include "kinds/semaphore.h"
#include "kinds/stream.h"
#include "segment/registry.h"

/* bytes is a copy of the good segment, good_len long; returns what is left of its length. */
typedef u64 damage_fn(u8 *bytes);

struct damage {
	const char *what;
	damage_fn *fn;
	const char *loses; /* the object that may lose something, or NULL */
};

#define DAMAGE(name, code)                                                                         \
	static u64 name(u8 *b)                                                                     \
	{                                                                                          \
		struct ipk_header *h = header_of(b);                                               \
		(void)h;                                                                           \
		code;                                                                              \
		return good_len;                                                                   \
	}

/* ---- the segment's own ---------------------------------------------------------------------- */

DAMAGE(used, h->used += 64)
DAMAGE(objects, h->objects--)
DAMAGE(dir_live, h->dir_live = 1000000)
DAMAGE(dir_tombs, h->dir_tombs++)
DAMAGE(meta_pages, h->meta_pages = 0)
DAMAGE(next_id, h->next_id = 2)
DAMAGE(bin_map, h->bin_map ^= 1u << 20)
DAMAGE(bins, memset(h->bins, 0x11, sizeof(h->bins)))
DAMAGE(partial, h->partial[0] = 3)
DAMAGE(table, h->table -= 2)
DAMAGE(size, h->size -= 4 * IPK_PAGE)
DAMAGE(size_huge, h->size = UINT64_C(1) << 60)
DAMAGE(size_odd, h->size += 17)
DAMAGE(max, h->max = 0)
DAMAGE(nslots, h->nslots = 0)
DAMAGE(reg, h->reg[0] = 0)
DAMAGE(reg_far, h->reg[0] = 12345678)
DAMAGE(reg_page, *(u64 *)(void *)(b + h->reg[0] * IPK_PAGE + 8) = UINT64_MAX)
DAMAGE(first_entry, page_of(b, 0)->w = 0)
DAMAGE(no_entries, memset(page_of(b, 0), 0, h->size / IPK_PAGE * sizeof(struct ipk_page)))
DAMAGE(wild_entries, memset(page_of(b, 0), 0xa5, h->size / IPK_PAGE * sizeof(struct ipk_page)))
DAMAGE(journal_of_nobody, h->journal.n = 3)
DAMAGE(journal_wild, (h->journal.n = 1, h->journal.e[0].off = 7, h->lock |= 5))
DAMAGE(journal_long, h->journal.n = 1u << 30)
DAMAGE(zombies, h->zombies = 4711)
DAMAGE(huge, h->huge_shift = 77)

/* An object's run or page of small blocks is not described any more. */
DAMAGE(map_entry, page_of(b, ipk_dir_off(*dir_entry(b, "map")) / IPK_PAGE)->w = 0)
DAMAGE(slab_map, page_of(b, ipk_dir_off(*dir_entry(b, "mutex")) / IPK_PAGE)->map = 0)
DAMAGE(slab_bit, page_of(b, ipk_dir_off(*dir_entry(b, "mutex")) / IPK_PAGE)->map ^= 1)

static u64 lost_block(u8 *b)
{
	u64 n = header_of(b)->size / IPK_PAGE;

	for (u64 i = 8; i < n; i++) {
		struct ipk_page *p = page_of(b, i);

		if (ipk_pg_type(p->w) == IPK_PG_SLAB &&
		    p->map != ipk_class_full(ipk_pg_class(p->w))) {
			p->map |= ~p->map & (p->map + 1);
			return good_len;
		}
	}
	fail_msg("no block is free");
	return 0;
}

static u64 half_applied(u8 *b)
{
	struct ipk_header *h = header_of(b);

	/* Committed by participant 3, who died before he stored it. */
	h->lock = (h->lock & ~IPK_LOCK_OWNER) | 4;
	h->journal.n = 1;
	h->journal.e[0].off = offsetof(struct ipk_header, used);
	h->journal.e[0].val = h->used;
	h->used = 0;
	h->objects++;
	return good_len;
}

static u64 cut_short(u8 *b)
{
	return header_of(b)->table * IPK_PAGE;
}

/* ---- the directory -------------------------------------------------------------------------- */

DAMAGE(dir_word, h->dir = 0)
DAMAGE(dir_far, h->dir |= UINT64_C(0xff) << 30)
DAMAGE(unnamed, *dir_entry(b, "queue") = IPK_DIR_TOMB)
DAMAGE(gap, *dir_entry(b, "map") = 0)
DAMAGE(fingerprint, *dir_entry(b, "map") ^= UINT64_C(1) << 60)
DAMAGE(magic, object_of(b, "queue")->magic = 0)
DAMAGE(name, object_of(b, "queue")->name[1] = '/')
DAMAGE(name_legal, object_of(b, "queue")->name[1] = 'x')
DAMAGE(name_padding, object_of(b, "queue")->name[40] = 'x')
DAMAGE(hash, object_of(b, "array")->hash ^= 1)
DAMAGE(id, object_of(b, "array")->id = UINT64_MAX)
DAMAGE(body, object_of(b, "map")->body += 64)
DAMAGE(type, object_of(b, "map")->type = 7)
DAMAGE(type_len, object_of(b, "map")->type_len = 60000)
DAMAGE(state, object_of(b, "map")->state = 9)
DAMAGE(object_size, object_of(b, "map")->size = UINT64_MAX)

static u64 named_twice(u8 *b)
{
	u64 n, *slots = dir_of(b, &n), entry = *dir_entry(b, "map");

	for (u64 i = 0; i < n; i++)
		if (!slots[i]) {
			slots[i] = entry;
			return good_len;
		}
	return 0;
}

static u64 to_nowhere(u8 *b)
{
	u64 n, *slots = dir_of(b, &n);

	for (u64 i = 0; i < n; i++)
		if (!slots[i]) {
			slots[i] = ipk_dir_entry(UINT64_MAX, 64 * 4097);
			return good_len;
		}
	return 0;
}

/* ---- kinds ---------------------------------------------------------------------------------- */

static struct ipk_queue_slot *q_at(u8 *b, u64 i)
{
	struct ipk_queue_body *q = body_in(b, "queue");

	return (struct ipk_queue_slot *)(void *)((u8 *)(q + 1) + i * q->stride);
}

DAMAGE(queue_cap, ((struct ipk_queue_body *)body_in(b, "queue"))->cap = 65)
DAMAGE(queue_stride, ((struct ipk_queue_body *)body_in(b, "queue"))->stride = 8)
DAMAGE(queue_head, ((struct ipk_queue_body *)body_in(b, "queue"))->head = 1000)
DAMAGE(queue_hidden, ((struct ipk_queue_body *)body_in(b, "queue"))->head = 3)
DAMAGE(queue_tail, ((struct ipk_queue_body *)body_in(b, "queue"))->tail = 1u << 30)
DAMAGE(queue_word, q_at(b, 5)->w = UINT64_MAX)
DAMAGE(queue_lap, q_at(b, 5)->w += 7 * QW_LAP)
DAMAGE(queue_free_lap, q_at(b, 63)->w += 9 * QW_LAP)
DAMAGE(queue_all_words, {
	for (u64 i = 0; i < 64; i++)
		q_at(b, i)->w = UINT64_MAX - i;
})
DAMAGE(queue_buffer, q_at(b, 2)->var.buf += 8)
DAMAGE(queue_far, q_at(b, 2)->var.buf = UINT64_C(1) << 40)
DAMAGE(queue_shared, q_at(b, 2)->var.buf = q_at(b, 3)->var.buf)
/*
 * Its block would outlive the queue: who destroys that stops at the first slot that was never used.
 */
DAMAGE(queue_unused, {
	struct ipk_queue_body *q = body_in(b, "queue");

	q->tail--;
	q_at(b, q->tail)->w = 0;
})
DAMAGE(queue_len, q_at(b, 2)->var.len = UINT64_MAX)

static u64 *m_slot(u8 *b, u64 nth)
{
	struct ipk_map_body *m = body_in(b, "map");
	u64 *slots = (u64 *)(void *)(b + ipk_map_table_off(m->table)), i = 0;

	for (;; i++)
		if (slots[i] > IPK_MAP_TOMB && nth-- == 0)
			return &slots[i];
}

static struct ipk_map_entry *m_entry(u8 *b, u64 nth)
{
	return (struct ipk_map_entry *)(void *)(b + ipk_map_off(*m_slot(b, nth)));
}

DAMAGE(map_count, ((struct ipk_map_body *)body_in(b, "map"))->count = 0)
DAMAGE(map_tombs, ((struct ipk_map_body *)body_in(b, "map"))->tombs = 9)
DAMAGE(map_min, ((struct ipk_map_body *)body_in(b, "map"))->min_log2 = 60)
DAMAGE(map_seed, ((struct ipk_map_body *)body_in(b, "map"))->seed++)
DAMAGE(map_print, *m_slot(b, 3) ^= UINT64_C(1) << 50)
DAMAGE(map_nowhere, *m_slot(b, 3) = UINT64_MAX)
DAMAGE(map_len, m_entry(b, 3)->lens = UINT64_MAX)
DAMAGE(map_key, m_entry(b, 3)->data[0] ^= 1)
DAMAGE(map_twice, *m_slot(b, 3) = *m_slot(b, 4))
DAMAGE(set_count, ((struct ipk_map_body *)body_in(b, "set"))->count = 1)
DAMAGE(set_size, ((struct ipk_map_body *)body_in(b, "set"))->value_size = 8)
DAMAGE(map_building, ((struct ipk_map_body *)body_in(b, "map"))->building[1] = 64 * 5000)

DAMAGE(sem_cell, ((u64 *)body_in(b, "semaphore"))[16] |= 77)
DAMAGE(sem_cap, ((struct ipk_semaphore_body *)body_in(b, "semaphore"))->cap = 1u << 20)
DAMAGE(mutex_owner, ((struct ipk_mutex_body *)body_in(b, "mutex"))->word |= 99)
DAMAGE(mutex_flag, ((struct ipk_mutex_body *)body_in(b, "mutex"))->recursive = 5)
DAMAGE(latch_left, ((struct ipk_latch_body *)body_in(b, "latch"))->word |= 0xffffff)
DAMAGE(barrier_place, ((u64 *)body_in(b, "barrier"))[17] |= 99)
DAMAGE(barrier_parties, ((struct ipk_barrier_body *)body_in(b, "barrier"))->parties = 0)
DAMAGE(array_cap, *(u64 *)body_in(b, "array") = 1u << 30)

/* The owner in words of a participant who is dead, and used nothing: his sweep would mend nothing. */
static u64 used_nothing(u8 *b)
{
	struct ipk_participant *p = (struct ipk_participant *)(void *)(b + 4 * IPK_PAGE);

	p->claim = IPK_CLAIM(7, IPK_CLAIM_DEAD);
	p->nuses = p->overflow = 0;
	return 3;
}

DAMAGE(mutex_no_user, ((struct ipk_mutex_body *)body_in(b, "mutex"))->word |= used_nothing(b))
DAMAGE(sem_no_user, ((u64 *)body_in(b, "semaphore"))[16] |= used_nothing(b))
DAMAGE(once_no_user, *(u64 *)body_in(b, "once") = used_nothing(b))
DAMAGE(barrier_no_user, ((u64 *)body_in(b, "barrier"))[17] = used_nothing(b))

static struct ipk_rwlock_body *rw_body(u8 *b)
{
	return (struct ipk_rwlock_body *)body_in(b, "rwlock");
}

DAMAGE(rw_writer, rw_body(b)->word |= 99)
DAMAGE(rw_cap, rw_body(b)->cap = 0)
DAMAGE(rw_high, rw_body(b)->high = UINT32_MAX)
DAMAGE(rw_place, *(u64 *)(void *)(rw_body(b) + 1) |= 99)

DAMAGE(once_both, *(u64 *)body_in(b, "once") = IPK_ONCE_DONE | IPK_ONCE_DIED)
DAMAGE(once_runner, *(u64 *)body_in(b, "once") |= 99)

static struct ipk_lazy_body *lazy_body(u8 *b)
{
	return (struct ipk_lazy_body *)body_in(b, "lazy");
}

DAMAGE(lazy_size, lazy_body(b)->size = 8)
DAMAGE(lazy_thunk, lazy_body(b)->thunk = 99)
DAMAGE(lazy_text, lazy_body(b)->text_len = UINT64_MAX)
DAMAGE(lazy_state, lazy_body(b)->v.word |= UINT64_C(7) << IPK_WORD_STATE_SHIFT)
DAMAGE(lazy_both, lazy_body(b)->v.word |= 99)
DAMAGE(lazy_runner, lazy_body(b)->v = (struct ipk_word_value){.word = IPK_WORD_ONE | 99})
DAMAGE(lazy_no_user, lazy_body(b)->v = (struct ipk_word_value){.word = IPK_WORD_ONE | used_nothing(b)})
DAMAGE(lazy_nowhere, lazy_body(b)->v.value = UINT64_C(1) << 40)
DAMAGE(lazy_no_block, lazy_body(b)->v.value = 0)
DAMAGE(lazy_taken, lazy_body(b)->v.value = ipk_dir_off(*dir_entry(b, "array")))

DAMAGE(pool_cap, ((struct ipk_pool_body *)body_in(b, "pool"))->cap = 1u << 20)
DAMAGE(pool_size, ((struct ipk_pool_body *)body_in(b, "pool"))->size = 0)
/* Of an object that is free: values are kept. */
DAMAGE(pool_owner, ((u64 *)body_in(b, "pool"))[16 + 60] |= 77)

static struct ipk_future_body *fut_body(u8 *b)
{
	return (struct ipk_future_body *)body_in(b, "future");
}

DAMAGE(future_size, fut_body(b)->size = 8)
DAMAGE(future_state, fut_body(b)->v.word |= UINT64_C(7) << IPK_WORD_STATE_SHIFT)
DAMAGE(future_claimed, fut_body(b)->v.word |= 99)
DAMAGE(future_no_user, fut_body(b)->v = (struct ipk_word_value){.word = IPK_WORD_ONE | used_nothing(b)})
DAMAGE(future_no_block, fut_body(b)->v.value = 0)
DAMAGE(future_taken, fut_body(b)->v.value = ipk_dir_off(*dir_entry(b, "array")))
DAMAGE(future_list, fut_body(b)->first = 64 * 4097)
DAMAGE(future_count, fut_body(b)->thens = 3)

static struct ipk_channel_body *chan_body(u8 *b)
{
	return (struct ipk_channel_body *)body_in(b, "channel");
}

static struct ipk_channel_message *chan_msg(u8 *b, u32 nth)
{
	u64 off = chan_body(b)->first;

	while (nth--)
		off = ((struct ipk_channel_message *)(void *)(b + off))->next;
	return (struct ipk_channel_message *)(void *)(b + off);
}

DAMAGE(channel_cap, chan_body(b)->cap = UINT64_MAX)
DAMAGE(channel_size, chan_body(b)->size = 8)
DAMAGE(channel_first, chan_body(b)->first += 8)
DAMAGE(channel_last, chan_body(b)->last = 64)
DAMAGE(channel_count, chan_body(b)->count = 1000000)
DAMAGE(channel_sent, chan_body(b)->sent = 1)
DAMAGE(channel_received, chan_body(b)->received = UINT64_MAX)
DAMAGE(channel_closed, chan_body(b)->closed = 77)
DAMAGE(channel_offers, chan_body(b)->first_offer = 64 * 4099)
DAMAGE(channel_pos, chan_msg(b, 7)->pos = 3)
DAMAGE(channel_pos_far, chan_msg(b, 7)->pos = UINT64_MAX)
DAMAGE(channel_circle, chan_msg(b, 7)->next = chan_body(b)->first)
DAMAGE(channel_len, chan_msg(b, 7)->len = UINT64_MAX)
DAMAGE(channel_nowhere, chan_msg(b, 7)->next = UINT64_C(1) << 40)

static struct ipk_stream_body *stream_body(u8 *b)
{
	return (struct ipk_stream_body *)body_in(b, "stream");
}

static struct ipk_stream_entry *stream_entry(u8 *b, u64 pos)
{
	struct ipk_stream_shape s;

	assert_int_equal(ipk_stream_measure(stream_body(b), UINT64_MAX, &s), 0);
	return (struct ipk_stream_entry *)(void *)((u8 *)stream_body(b) + s.entries) + pos;
}

DAMAGE(stream_cap, stream_body(b)->cap = 0)
DAMAGE(stream_subs, stream_body(b)->subs = 1000000)
DAMAGE(stream_size, stream_body(b)->size = 8)
DAMAGE(stream_head, stream_body(b)->head = 1000)
DAMAGE(stream_tail, stream_body(b)->word = UINT64_MAX)
DAMAGE(stream_both, stream_body(b)->head = stream_body(b)->word = UINT64_MAX / 4)
DAMAGE(stream_at, stream_entry(b, 9)->at += 8)
DAMAGE(stream_len, stream_entry(b, 9)->len = UINT64_MAX)
DAMAGE(stream_subscriber,
       ipk_stream_name_at(stream_body(b),
			  &(struct ipk_stream_shape){.names = sizeof(struct ipk_stream_body)}, 3)
	       ->used = 7)

#define D(name)                                                                                    \
	{                                                                                          \
#name, name, NULL                                                                  \
	}
static const struct damage damages[] = {
	D(used),
	D(objects),
	D(dir_live),
	D(dir_tombs),
	D(meta_pages),
	D(next_id),
	D(bin_map),
	D(bins),
	D(partial),
	D(table),
	D(size),
	D(size_huge),
	D(size_odd),
	D(max),
	D(nslots),
	D(reg),
	D(reg_far),
	D(reg_page),
	D(first_entry),
	D(no_entries),
	D(wild_entries),
	D(journal_of_nobody),
	D(journal_wild),
	D(journal_long),
	D(zombies),
	D(huge),
	D(map_entry),
	D(slab_map),
	D(slab_bit),
	D(lost_block),
	D(half_applied),
	D(cut_short),
	D(dir_word),
	D(dir_far),
	D(unnamed),
	D(gap),
	D(fingerprint),
	D(magic),
	D(name),
	D(name_legal),
	D(name_padding),
	D(hash),
	D(id),
	D(body),
	D(type),
	D(type_len),
	D(state),
	D(object_size),
	D(named_twice),
	D(to_nowhere),
	D(queue_cap),
	D(queue_stride),
	D(queue_head),
	D(queue_hidden),
	D(queue_tail),
	{"queue_word", queue_word, "queue"},
	D(queue_lap),
	D(queue_free_lap),
	{"queue_all_words", queue_all_words, "queue"},
	{"queue_buffer", queue_buffer, "queue"},
	{"queue_far", queue_far, "queue"},
	{"queue_shared", queue_shared, "queue"},
	{"queue_unused", queue_unused, "queue"},
	{"queue_len", queue_len, "queue"},
	D(map_count),
	D(map_tombs),
	D(map_min),
	D(map_seed),
	D(map_print),
	{"map_nowhere", map_nowhere, "map"},
	{"map_len", map_len, "map"},
	{"map_key", map_key, "map"},
	{"map_twice", map_twice, "map"},
	D(set_count),
	D(set_size),
	D(map_building),
	D(sem_cell),
	D(sem_cap),
	{"mutex_owner", mutex_owner, "mutex"},
	D(mutex_flag),
	{"rw_writer", rw_writer, "rwlock"},
	D(rw_cap),
	D(rw_high),
	D(rw_place),
	D(once_both),
	D(lazy_size),
	D(lazy_thunk),
	D(lazy_text),
	{"lazy_state", lazy_state, "lazy"},
	{"lazy_both", lazy_both, "lazy"},
	{"lazy_runner", lazy_runner, "lazy"},
	{"lazy_nowhere", lazy_nowhere, "lazy"},
	{"lazy_no_block", lazy_no_block, "lazy"},
	{"lazy_taken", lazy_taken, "lazy"},
	D(pool_cap),
	D(pool_size),
	D(pool_owner),
	D(future_size),
	{"future_state", future_state, "future"},
	D(future_claimed),
	{"future_no_block", future_no_block, "future"},
	{"future_taken", future_taken, "future"},
	D(future_list),
	D(future_count),
	D(channel_cap),
	D(channel_size),
	{"channel_first", channel_first, "channel"},
	D(channel_last),
	D(channel_count),
	D(channel_sent),
	D(channel_received),
	D(channel_closed),
	D(channel_offers),
	D(channel_pos),
	D(channel_pos_far),
	{"channel_circle", channel_circle, "channel"},
	{"channel_len", channel_len, "channel"},
	{"channel_nowhere", channel_nowhere, "channel"},
	D(stream_cap),
	D(stream_subs),
	D(stream_size),
	D(stream_head),
	D(stream_tail),
	{"stream_both", stream_both, "stream"},
	{"stream_at", stream_at, "stream"},
	{"stream_len", stream_len, "stream"},
	D(stream_subscriber),
	{"once_runner", once_runner, "once"},
	{"latch_left", latch_left, "latch"},
	{"barrier_place", barrier_place, "barrier"},
	D(barrier_parties),
	D(array_cap),
	{"mutex_no_user", mutex_no_user, "mutex"},
	{"once_no_user", once_no_user, "once"},
	{"barrier_no_user", barrier_no_user, "barrier"},
	{"lazy_no_user", lazy_no_user, "lazy"},
	{"future_no_user", future_no_user, "future"},
	D(sem_no_user),
};

/* What the good segment holds, by kind. */
static struct ipk_buf held[64];

static void remember(void)
{
	file_write(good, good_len);
	for (int i = 0; ipk_kinds[i]; i++)
		held[i] = contents(ipk_kinds[i]->name);
}

static void all_kept(const struct damage *d)
{
	for (int i = 0; ipk_kinds[i]; i++) {
		const char *name = ipk_kinds[i]->name;
		struct ipk_buf now = contents(name);

		if (!(d->loses && strcmp(d->loses, name) == 0) &&
		    (now.len != held[i].len ||
		     (now.len && memcmp(now.data, held[i].data, now.len))))
			fail_msg("%s: %s does not hold what it did (%zu bytes, %zu before)",
				 d->what, name, now.len, held[i].len);
		ipk_buf_free(&now);
	}
}

/* It goes on working: the library accepts it, and leaves it sound. */
static void usable(const struct damage *d)
{
	struct ipk_segment *seg;
	struct ipk_error err = {0};
	struct report report;

	if (ipk_segment_open(NAME, IPK_WRITE, &seg, &err) != 0)
		fail_msg("%s: %s", d->what, err.text);
	for (int i = 0; ipk_kinds[i]; i++) {
		void *handle;

		if (ipk_kinds[i]->attach(seg, ipk_kinds[i]->name, &handle, &err) != 0)
			fail_msg("%s: %s", d->what, err.text);
		ipk_kinds[i]->detach(handle);
		if (ipk_object_remove(seg, ipk_kinds[i]->name, &err) != 0)
			fail_msg("%s: %s", d->what, err.text);
	}
	if (fill_segment(seg, &err) != 0)
		fail_msg("%s: %s", d->what, err.text);
	ipk_segment_close(seg);
	if (check_file(&report) != 0)
		fail_msg("%s, repaired and used: %s", d->what, report.text);
}

static void one_damage(const struct damage *d)
{
	u8 *bytes = malloc(good_len);
	struct report report = {.len = 0}, left = {.len = 0}, now;
	struct ipk_error err = {0};
	u64 len;
	int r;

	assert_non_null(bytes);
	memcpy(bytes, good, good_len);
	len = d->fn(bytes);
	file_write(bytes, len);
	undo_forget();
	if (check_file(&now) == 0)
		fail_msg("%s goes unnoticed", d->what);
	r = ipk_repair(NAME, IPK_REPAIR_DRY, report_add, report_add, &report, &err);
	if (r != 0 || !file_is(bytes, len) || undo_exists())
		fail_msg("%s: dry run: %d %s %s", d->what, r, err.text, report.text);
	report.len = 0;
	r = ipk_repair(NAME, 0, report_add, report_add, &left, &err);
	if (r != 0)
		fail_msg("%s: %d left, %s: %s", d->what, r, err.text, left.text);
	if (check_file(&now) != 0)
		fail_msg("%s: after repair: %s; done: %s", d->what, now.text, left.text);
	if (!left.len)
		fail_msg("%s: nothing was said", d->what);
	all_kept(d);
	r = ipk_repair_undo(NAME, 0, &err);
	if (r != 0 || !file_is(bytes, len) || undo_exists())
		fail_msg("%s is not taken back: %d %s", d->what, r, err.text);
	assert_int_equal(ipk_repair(NAME, 0, report_add, report_add, &left, &err), 0);
	usable(d);
	free(bytes);
}

static void damage_is_mended_and_can_be_taken_back(void **state)
{
	one_damage(*state);
}

static int setup(void **state)
{
	int r = make_good(state);

	if (r == 0)
		remember();
	return r;
}

static int teardown(void **state)
{
	for (int i = 0; ipk_kinds[i]; i++)
		ipk_buf_free(&held[i]);
	return drop_good(state);
}

int main(void)
{
	struct CMUnitTest tests[IPK_ARRAY_LEN(damages)];

	for (size_t i = 0; i < IPK_ARRAY_LEN(damages); i++)
		tests[i] = (struct CMUnitTest){
			.name = damages[i].what,
			.test_func = damage_is_mended_and_can_be_taken_back,
			.initial_state = (void *)&damages[i],
		};
	return _cmocka_run_group_tests("damage", tests, IPK_ARRAY_LEN(tests), setup, teardown);
}
