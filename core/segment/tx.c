/* SPDX-License-Identifier: MIT */
/*
 * Transactions: collect, COMMIT by one store, apply, forget. See format.h for the reasoning.
 *
 *	killed before journal.n is stored       nothing has happened
 *	killed after it                         whoever takes the lock next stores the values again
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "segment/heap.h"

/* Each round grows the segment; what does not fit then is not going to. */
#define ROUNDS_MAX 64

u64 ipk_tx_get(struct ipk_tx *tx, const u64 *p)
{
	u64 off = ipk_off(tx->seg, p);
	u32 i;

	for (i = tx->n; i-- > 0;) {
		if (tx->e[i].off == off)
			return tx->e[i].val;
	}
	return ipk_ld((u64 *)p,
		      relaxed); /* nobody else changes it: the lock's acquire came before */
}

void ipk_tx_set(struct ipk_tx *tx, u64 *p, u64 val)
{
	u64 off = ipk_off(tx->seg, p);
	u32 i;

	for (i = tx->n; i-- > 0;) {
		if (tx->e[i].off == off) {
			tx->e[i].val = val;
			return;
		}
	}
	if (tx->n == IPK_JOURNAL_MAX) {
		ipk_tx_fail(tx, -EOVERFLOW);
		return;
	}
	tx->e[tx->n].off = off;
	tx->e[tx->n++].val = val;
}

void ipk_tx_fail(struct ipk_tx *tx, int error)
{
	if (!tx->error)
		tx->error = error;
}

int ipk_tx_begin(struct ipk_tx *tx, struct ipk_self *me)
{
	struct ipk_segment *seg = me->seg;
	struct ipk_header *h = ipk_header(seg);
	u64 size = ipk_ld(&h->size, relaxed), table = ipk_ld(&h->table, relaxed);
	u64 npages = size / IPK_PAGE;

	tx->me = me;
	tx->seg = seg;
	tx->need = 0;
	tx->error = 0;
	tx->n = tx->nfrees = tx->npunch = 0;
	tx->direct = tx->fs_full = false;
	if (size != ipk_ld(&seg->size, relaxed) && ipk_refresh_size(seg) != 0)
		return -EBADMSG;
	if (table > npages || ipk_table_pages(npages) != npages - table)
		return -EBADMSG;
	tx->npages = npages;
	tx->table = ipk_at(seg, table * IPK_PAGE, npages * sizeof(struct ipk_page), IPK_PAGE);
	return tx->table ? 0 : -EBADMSG;
}

static void apply(struct ipk_segment *seg, const struct ipk_journal_entry *e, u64 n)
{
	u64 i;

	for (i = 0; i < n; i++)
		/* Release: who sees one of them sees those before it, for what they mean together
		 * (the directory names a block: it is in use). Pairs with look-ups' acquire. */
		ipk_st((u64 *)(void *)(seg->base + e[i].off), e[i].val, release);
}

int ipk_tx_commit(struct ipk_tx *tx)
{
	struct ipk_journal *j = &ipk_header(tx->seg)->journal;
	u32 i;

	if (tx->error)
		return tx->error;
	if (tx->n == 0)
		return 0;
	if (!IPK_PROTECTED) {
		apply(tx->seg, tx->e, tx->n);
		return 0;
	}
	/* The last change's n = 0 before this one's entries: pairs with the acquire in replay. */
	ipk_fence(release);
	if (IPK_BUG(tx_commit_first))
		ipk_st(&j->n, tx->n, release);
	for (i = 0; i < tx->n; i++) {
		ipk_st(&j->e[i].off, tx->e[i].off, relaxed);
		ipk_st(&j->e[i].val, tx->e[i].val, relaxed);
	}
	/* COMMIT. Pairs with the acquire in ipk_journal_replay(): the entries come before n. */
	ipk_st(&j->n, tx->n, release);
	/*
	 * What follows must not become visible before n, or a death would leave half of it for
	 * ever. Pairs also with the acquire of whoever reads one of the words without the lock: the
	 * blocks that they name were filled before.
	 */
	ipk_fence(release);
	apply(tx->seg, tx->e, tx->n);
	ipk_st(&j->n, 0, release); /* pairs as above: all values come before it */
	return 0;
}

int ipk_journal_replay(struct ipk_segment *seg)
{
	struct ipk_journal *j = &ipk_header(seg)->journal;
	u64 n = ipk_ld(&j->n, acquire), i; /* pairs with COMMIT */
	struct ipk_journal_entry e[IPK_JOURNAL_MAX];

	if (ipk_likely(n == 0) || !IPK_PROTECTED)
		return 0;
	if (n > IPK_JOURNAL_MAX)
		return -EBADMSG;
	for (i = 0; i < n; i++) {
		e[i].off = ipk_ld(&j->e[i].off, relaxed);
		e[i].val = ipk_ld(&j->e[i].val, relaxed);
		if (!ipk_at(seg, e[i].off, 8, 8) || e[i].off < offsetof(struct ipk_header, size) ||
		    (e[i].off >= offsetof(struct ipk_header, journal) &&
		     e[i].off < sizeof(struct ipk_header)))
			return -EBADMSG;
	}
	ipk_fence(release); /* as in ipk_tx_commit(): n is seen before the values */
	if (!IPK_BUG(tx_no_replay))
		apply(seg, e, n);
	ipk_st(&j->n, 0, release);
	return 0;
}

/* Gives the memory of freed runs back. They are marked as holes since the commit, so a death
 * between the two costs nothing but memory that stays reserved. */
static void punch(struct ipk_tx *tx)
{
	u32 i;

	for (i = 0; i < tx->npunch; i++)
		(void)fallocate(tx->seg->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)(tx->punch[i].page * IPK_PAGE),
				(off_t)(tx->punch[i].len * IPK_PAGE));
}

static int explain(struct ipk_segment *seg, const struct ipk_tx *tx, int r, struct ipk_error *err)
{
	if (r == -ENOSPC && tx->fs_full)
		return ipk_error_set(err, r, "segment %s: the file system is full", seg->name);
	if (r == -EBADMSG)
		return ipk_error_set(err, r, "segment %s is damaged; see ipcctl fsck", seg->name);
	return ipk_error_set(err, r, "segment %s: %s", seg->name, ipk_strerror(r));
}

static int run_locked(struct ipk_self *me, int (*fn)(struct ipk_tx *tx, void *arg), void *arg,
		      struct ipk_error *err)
{
	struct ipk_tx tx = {.fs_full = false};
	int r, round;

	r = ipk_journal_replay(me->seg);
	for (round = 0; r == 0 && round < ROUNDS_MAX; round++) {
		r = ipk_tx_begin(&tx, me);
		if (r < 0)
			break;
		r = fn(&tx, arg);
		if (r >= 0 && tx.error)
			r = tx.error;
		if (r >= 0) {
			int r2 = ipk_tx_settle(&tx);

			if (r2 == 0)
				r2 = ipk_tx_commit(&tx);
			if (r2 == 0)
				punch(&tx);
			else
				r = r2;
			break;
		}
		if (!tx.need)
			break;
		r = ipk_grow_locked(me, ipk_align_up(tx.need, IPK_PAGE) / IPK_PAGE, 0, err);
	}
	/* What fn or the growth explained is more to the point. */
	if (r < 0 && r != -EXFULL && err && !err->code)
		explain(me->seg, &tx, r, err);
	return r;
}

int ipk_tx_run(struct ipk_self *me, int (*fn)(struct ipk_tx *tx, void *arg), void *arg,
	       i64 deadline, struct ipk_error *err)
{
	u64 *lock = &ipk_header(me->seg)->lock;
	int r = ipk_lock(me, lock, deadline);

	if (err)
		err->code = 0;
	if (r < 0)
		return ipk_error_set(err, r, "segment %s: its lock: %s", me->seg->name,
				     ipk_strerror(r));
	r = run_locked(me, fn, arg, err);
	ipk_unlock(me, lock);
	return r;
}

int ipk_tx_repeat(struct ipk_segment *seg, int (*fn)(struct ipk_tx *tx, void *arg), void *arg)
{
	struct ipk_self *me;
	int r;

	me = ipk_self(seg, &r);
	if (!me)
		return r;
	do
		r = ipk_tx_run(me, fn, arg, IPK_FOREVER, NULL);
	while (r > 0);
	return r;
}
