/* SPDX-License-Identifier: MIT */
/*
 * The stream of core/kinds/stream*.c: producers under the lock up to their COMMIT, the head that follows it, readers
 * without a lock, the word and the cursor of a name, shutting, waiting, and what the next holder of the lock or a
 * sweep makes of a death. Sequentially consistent; a process may die before each store and while it sleeps, who
 * sweeps as well.
 *
 *	NP producers of KP emits   NR readers without a name, of KR records   NS subscribers under one name, of KS
 *	looks   NW sweepers   CRASH deaths
 *	CAP    records retained; 2 units of data, a record has 1 or 2   MOST 2  an emit has up to two
 *	BLOCK  producers wait for the name; else what is oldest is dropped   STATE  each emit replaces the state
 *	SHUT   a process shuts it   FORGET  a process forgets the name
 *	REUSE  a dead one's number is used again once it has been swept
 *
 * Checked: what is read is a whole record, that of its position; head is never beyond the tail; nothing retained is
 * overwritten, and nothing dropped that fits; with BLOCK nothing that the name has not acknowledged, and it
 * misses none; one has the name at a time, and begins with what was acknowledged last; who is told the end has read
 * all; records and state are there together. When nothing moves any more nobody waits for the lock, nobody
 * sleeps though there is something to read, room, or the end; then what is retained is within bounds, and the
 * name is nobody's who is dead.
 *
 * BAD_x plant a mistake each: TAIL COMMIT comes before the record; HEAD head moves before it; TRIM who takes the lock
 * over does not move head; SPARE there is no room beside what is retained; LOOK a reader does not look at head again;
 * ORDER he looks at the tail before head; FLAG he asks for the end after he looked; LIMIT a producer does not ask for
 * the cursor; STATE it writes over the state that counts; SEQ taking the name does not count; OWNED who takes it
 * does not ask for its owner; USED the name is one before its cursor; ACK the cursor goes on before the copy; SILENT
 * nobody is told of a record, ROOM of an acknowledgement, FORGET of a name that is gone; MEND the sweep leaves
 * the name; ASK it asks for the owner's life before it reads the word; FREE a number is free before that.
 *
 * Not modelled: weak memory, rounding, several names, seeking, removal, derived streams, the lock itself (lock.pml).
 * Spin 6.5:
 *
 * run: -DNP=1 -DKP=3 -DNR=1 -DKR=2 -DCRASH=1
 * run: -DNP=2 -DKP=1 -DNR=1 -DKR=2 -DCRASH=1 -DMOST=2 -DSTATE
 * run: -DNP=2 -DKP=2 -DCRASH=1
 * run: -DSHUT -DNP=1 -DKP=2 -DNR=1 -DKR=2 -DCRASH=1
 * run: -DNP=1 -DKP=2 -DNS=2 -DNW=1 -DCRASH=1
 * run: -DBLOCK -DNP=1 -DKP=3 -DNS=1 -DKS=2 -DNW=1 -DCRASH=1
 * run: -DREUSE -DNP=1 -DKP=1 -DNS=1 -DNW=2 -DCRASH=1
 * run: -DBLOCK -DCAP=1 -DNP=2 -DKP=1 -DNS=1 -DCRASH=1
 * run: -DBLOCK -DSHUT -DCAP=1 -DNP=1 -DKP=2 -DNS=1 -DCRASH=1
 * run: -DBLOCK -DFORGET -DCAP=1 -DNP=1 -DKP=2 -DNS=1 -DNW=1 -DCRASH=1
 * long: -DREUSE -DNP=0 -DKP=0 -DNS=2 -DNW=2 -DCRASH=1
 * long: -DNP=2 -DKP=2 -DNR=1 -DCRASH=1
 *	0.6, 6.0, 0.06, 2.4, 4.0, 2.1, 2.2, 0.3, 0.6, 5.4 million states; up to 530 MB, twenty seconds; 1.0 and 19.8
 *	million, two minutes
 * breaks: -DBAD_TAIL -DNP=1 -DKP=1 -DNR=1
 * breaks: -DBAD_HEAD -DNP=1 -DKP=3
 * breaks: -DBAD_TRIM -DNP=2 -DKP=3 -DCRASH=1
 * breaks: -DBAD_SPARE -DNP=1 -DKP=3
 * breaks: -DBAD_LOOK -DNP=1 -DKP=4 -DNR=1
 * breaks: -DBAD_ORDER -DNP=1 -DKP=3 -DNR=1
 * breaks: -DBAD_FLAG -DSHUT -DNP=1 -DKP=1 -DNR=1
 * breaks: -DBAD_LIMIT -DBLOCK -DNP=1 -DKP=3 -DNS=1
 * breaks: -DBAD_STATE -DSTATE -DNP=2 -DKP=1 -DCRASH=1
 * breaks: -DBAD_SEQ -DREUSE -DNP=1 -DKP=1 -DNS=1 -DNW=2 -DCRASH=1
 * breaks: -DBAD_OWNED -DNP=1 -DKP=1 -DNS=2
 * breaks: -DBAD_USED -DNP=1 -DKP=3 -DNS=2 -DCRASH=1
 * breaks: -DBAD_ACK -DBLOCK -DNP=1 -DKP=3 -DNS=1
 * breaks: -DBAD_SILENT -DNP=1 -DKP=1 -DNR=1
 * breaks: -DBAD_ROOM -DBLOCK -DNP=1 -DKP=3 -DNS=1
 * breaks: -DBAD_FORGET -DBLOCK -DFORGET -DNP=1 -DKP=3 -DNS=1
 * breaks: -DBAD_MEND -DREUSE -DNP=1 -DKP=1 -DNS=1 -DNW=1 -DCRASH=1
 * breaks: -DBAD_ASK -DREUSE -DNP=1 -DKP=1 -DNS=2 -DNW=2 -DCRASH=1
 * breaks: -DBAD_FREE -DREUSE -DNP=1 -DKP=1 -DNS=2 -DNW=1 -DCRASH=1
 */
#ifndef CRASH
#define CRASH 0
#endif
#ifndef NR
#define NR 0
#endif
#ifndef NS
#define NS 0
#endif
#ifndef NW
#define NW 0
#endif
#ifndef KR
#define KR 1
#endif
#ifndef KS
#define KS 1
#endif
#ifndef CAP
#define CAP 2
#endif
#ifndef MOST
#define MOST 1
#endif
#define BYTES 2 /* a unit is a multiple of 8 */
#ifdef BAD_SPARE
#define SPARE 1
#define RING BYTES
#else
#define SPARE 2
#define RING (BYTES + SPARE)
#endif
#define BATCH 2
#define ENTRIES (CAP + BATCH)
#define POSITIONS (NP * KP * MOST + 1)

/* producers, readers, subscribers with a name, sweepers, and: */
#define SHUTTER (NP + NR + NS + NW + 1)
#define FORGETTER (NP + NR + NS + NW + 2)
#define LAST (NP + NR + NS + NW + 3) /* who looks when nothing moves any more */
#define IDS (LAST + 1)

/* shared */
byte lk;                                 /* the robust lock */
byte tail, which, head;                  /* word is tail and which: one step */
byte eat[ENTRIES], elen[ENTRIES], data[RING]; /* data: position + 1 */
byte state0[2], state1[2];               /* two halves of each */
bool shut;
bool used;
byte owner, taking, cursor;              /* of the one name; owner is {taking, owner}: one step */

/* event words: 0 records and shut, 1 room */
byte evseq[2];
bool evW[2], asleep[IDS];
byte sleeps[IDS]; /* on which */
short watch[IDS]; /* and on whose live words */
byte regev;       /* somebody joined */

short dead, swept; /* bit x: x is dead, its number is free */

/* ghost */
byte crashes = CRASH, fin;
byte glen[POSITIONS], gstate, gcursor;
byte has;          /* who has the name and lives */
byte want[IDS];    /* the length or position that a sleeper waits with */
bool ended;        /* somebody was told the end */
bool told[POSITIONS]; /* the emit of that position has returned */

#define B(x) (1 << (x))
#define GONE(x) (dead & B(x))
#define MAY_DIE if :: skip :: crashes > 0 -> crashes--; goto died fi
/* A store, before which its process may die. */
#define ST(...) atomic { MAY_DIE; __VA_ARGS__ }
#define SLEEPER(x) (asleep[x] && (watch[x] & B(id)))

inline die()
{
	atomic {
		dead = dead | B(id);
		if :: has == id -> has = 0 :: else fi;
		watch[id] = 0; asleep[id] = 0;
		/* The kernel wakes one of those who sleep on its live word. */
		if
		:: SLEEPER(1) -> asleep[1] = 0
		:: SLEEPER(2) -> asleep[2] = 0
		:: SLEEPER(3) -> asleep[3] = 0
		:: else
		fi
	}
}

inline wake(set)
{
	d_step {
		i = 1;
		do
		:: i < IDS -> if :: set -> asleep[i] = 0 :: else fi; i++
		:: else -> break
		od;
		i = 0
	}
}

inline notify(w)
{
	do
	:: true ->
		d_step { q = evseq[w]; f = evW[w] };
		if
		:: !f -> break
		:: else
		fi;
		ST(d_step { if :: evseq[w] == q && evW[w] -> evseq[w]++; evW[w] = 0; f = 0 :: else fi });
		if
		:: !f -> ST(wake(asleep[i] && sleeps[i] == w)); break
		:: else
		fi
	od;
	q = 0; f = 0
}

/* ---- the lock's holder ------------------------------------------------------------------------- */

#define LENGTH(p) elen[(p) % ENTRIES]
#define AT(p) eat[(p) % ENTRIES]
#define END (tail == 0 -> 0 : AT(tail - 1) + LENGTH(tail - 1))
#define TOO_MUCH(h, next, a) ((next) - (h) > CAP || (a) - AT(h) > BYTES)

/* Nobody drops what fits, nor, where it is waited for, what a name has not acknowledged. */
inline store_head(h)
{
	d_step {
		if
		:: h != head ->
			assert(h > head && TOO_MUCH(h - 1, tail, END));
#ifdef BLOCK
			assert(!used || h <= cursor);
#endif
			head = h
		:: else
		fi
	}
}

/* Leaves where head is in h. */
inline trim()
{
	d_step {
		h = head;
		do
		:: h + 1 < tail && TOO_MUCH(h, tail, END) -> h++
		:: else -> break
		od
	};
	if
	:: h != head -> ST(store_head(h))
	:: else
	fi
}

/* died: its holder was dead, and may not have come to store head. */
inline lock()
{
	atomic {
		lk == 0 || GONE(lk) || lk == id;
		MAY_DIE;
		f = (lk != 0);
		lk = id
	};
}

inline unlock()
{
	ST(lk = 0)
}

/* ipk_stream_lock() */
inline lock_and_trim()
{
	lock();
#ifndef BAD_TRIM
	if
	:: f -> trim()
	:: else
	fi;
#endif
	f = 0; h = 0
}

/* ---- after a death ----------------------------------------------------------------------------- */

inline recover()
{
	if
	:: lk == s -> lock_and_trim(); unlock()
	:: else
	fi;
#ifndef BAD_MEND
	/* The word before the liveness of its owner. */
#ifdef BAD_ASK
	f = (owner && GONE(owner));
	d_step { h = (f -> owner : 0); q = taking };
#else
	d_step { h = owner; q = taking };
	f = (h && GONE(h));
#endif
	if
	:: f ->
		ST(d_step {
			if
			:: owner == h && taking == q -> assert(has == 0); owner = 0
			:: else
			fi
		})
	:: else
	fi;
	d_step { f = 0; q = 0; h = 0 }
#endif
}

/* ipk_sweep() */
inline sweep()
{
	s = 1;
	do
	:: s < IDS ->
		if
		:: GONE(s) && !(swept & B(s)) ->
#ifdef BAD_FREE
			ST(swept = swept | B(s));
#endif
			recover();
			ST(wake(true));
			ST(d_step { if :: GONE(s) -> swept = swept | B(s) :: else fi })
		:: else
		fi;
		s++
	:: else -> break
	od;
	s = 0
}

/* ---- waiting ----------------------------------------------------------------------------------- */

#define NOBODY_DIED !(dead & lived)

/* ipk_event_arm() on event w */
inline arm(w)
{
	d_step { r = regev; lived = (B(IDS) - 2) & ~B(id) & ~dead; some = (dead & ~swept) != 0 };
	ST(d_step { evW[w] = 1; e = evseq[w] })
}

/* ipk_event_sleep() */
inline sleep(w)
{
	if
	:: some -> sweep()
	:: else ->
		atomic {
			MAY_DIE;
			if
			:: evseq[w] == e && evW[w] && regev == r && NOBODY_DIED ->
				asleep[id] = 1; sleeps[id] = w; watch[id] = lived
			:: else
			fi
		};
end_sleep:	if
		:: !asleep[id]
		:: atomic { asleep[id] && crashes > 0 -> crashes--; goto died }
		fi;
		watch[id] = 0;
		if
		:: NOBODY_DIED
		:: else -> ST(wake(watch[i] & dead & lived)); sweep()
		fi
	fi;
	d_step { r = 0; e = 0; lived = 0; some = 0; want[id] = 0 }
}

/* ---- producers --------------------------------------------------------------------------------- */

#define AGAIN 0
#define OK 1
#define PIPE 2

#ifdef BLOCK
#define LIMIT (used && cursor < tail -> cursor : tail)
#else
#define LIMIT tail
#endif
#ifdef BAD_LIMIT
#define HELD_UP false
#else
#define HELD_UP (g > h && g > limit)
#endif

/* plan_add(): one more record, of length l, behind the n of which first is where they begin and end. */
inline plan_add(l)
{
	if
	:: (n && (n == CAP || n == BATCH || end + l - first > SPARE)) -> f = 1
	:: else ->
		g = h;
		do
		:: g < tail && TOO_MUCH(g, tail + n + 1, end + l) -> g++
		:: else -> break
		od;
		if
		:: HELD_UP -> f = 1
		:: else ->
			if :: n == 0 -> first = end :: else fi;
			h = g;
			end = end + l;
			n++
		fi;
		g = 0
	fi
}

/* Is unit u of a retained record? What v there says may be of one that was not committed. */
#define RETAINED(v, u) ((v) && (v) - 1 >= head && (v) - 1 < tail && ((u) - AT((v) - 1)) % RING < LENGTH((v) - 1))

/* write_records() of record pos at unit end, of length l */
inline write_record(l)
{
	q = 0;
	do
	:: q < l ->
		ST(d_step {
			assert(!RETAINED(data[(end + q) % RING], end + q));
			data[(end + q) % RING] = pos + 1
		});
		q++
	:: else -> break
	od;
	q = 0;
	ST(AT(pos) = end);
	ST(LENGTH(pos) = l);
	end = end + l;
	pos++
}

#ifdef BAD_STATE
#define OTHER which
#else
#define OTHER (1 - which)
#endif

#define COMMIT ST(d_step { \
		assert(!ended && !shut); \
		glen[tail] = l0; \
		if :: n > 1 -> glen[tail + 1] = l1 :: else fi; \
		gstate = tail + n; \
		which = g; \
		tail = tail + n })

/* try_emit(): o; n is how many went in. */
inline try_emit()
{
	lock();
	f = 0;
#ifdef BAD_TRIM
	h = head;
#else
	trim();
#endif
	d_step {
		n = 0;
		if
		:: shut -> o = PIPE
		:: else ->
			end = END;
			limit = LIMIT;
			plan_add(l0);
			if :: !f && l1 -> plan_add(l1) :: else fi;
			f = 0; limit = 0;
			o = (n -> OK : AGAIN);
			pos = tail;
			end = first;
			g = OTHER
		fi
	};
	if
	:: o == OK ->
#ifdef BAD_TAIL
		COMMIT;
#endif
#ifdef BAD_HEAD
		ST(d_step { if :: h > head -> assert(TOO_MUCH(h - 1, tail, END)); head = h :: else fi });
#endif
		write_record(l0);
		if
		:: n > 1 -> write_record(l1)
		:: else
		fi;
#ifdef STATE
		ST(state0[g] = pos);
		ST(state1[g] = pos);
#endif
#ifndef BAD_TAIL
		COMMIT;
#endif
		ST(store_head(h))
	:: else
	fi;
	d_step { g = 0; h = 0; first = 0; end = 0; pos = 0 };
	unlock()
}

proctype producer(byte id)
{
	byte k, i, q, s, g, h, pos, n, l0, l1, first, end, limit, o, e, r;
	short lived;
	bool f, some, reborn;

start:	do
	:: k < KP ->
		k++;
		if :: l0 = 1 :: l0 = SPARE fi;
#if MOST > 1
		if :: l1 = 0 :: l1 = 1 fi;
#endif
		do
		:: true ->
			try_emit();
#ifdef BLOCK
			if
			:: o != AGAIN -> break
			:: else
			fi;
			arm(1);
			try_emit();
			if
			:: o != AGAIN -> break
			:: else -> want[id] = l0; sleep(1)
			fi
#else
			break
#endif
		od;
#ifndef BAD_SILENT
		if
		:: o == OK -> notify(0)
		:: else
		fi;
#endif
		skip;
		d_step { r = 0; e = 0; lived = 0; some = 0; o = 0; n = 0; l0 = 0; l1 = 0 }
	:: else -> break
	od;
	goto out;
died:	die();
	d_step {
		q = 0; s = 0; g = 0; h = 0; pos = 0; n = 0; l0 = 0; l1 = 0; first = 0; end = 0; limit = 0; o = 0;
		e = 0; r = 0; lived = 0; f = 0; some = 0
	};
#ifdef REUSE
	if
	:: atomic { !reborn && (swept & B(id)) ->
			reborn = 1; dead = dead & ~B(id); swept = swept & ~B(id); regev++; wake(true) };
		goto start
	:: true
	fi;
#endif
out:	skip;
	fin++
}

/* ---- subscribers ------------------------------------------------------------------------------- */

/* try_next(): o; OK with the record at next, which was read. lost is counted. */
inline try_next()
{
	do
	:: true ->
#ifndef BAD_FLAG
		f = shut;
#endif
#ifdef BAD_ORDER
		t = tail;
		h = head;
#else
		h = head;
		t = tail;
#endif
#ifdef BAD_FLAG
		f = shut;
#endif
		assert(h <= t); /* or it would be told to be damaged */
		d_step { if :: next < h -> lost = lost + h - next; next = h :: else fi };
		if
		:: next >= t -> o = (f -> PIPE : AGAIN); break
		:: else
		fi;
		/* copy_record() */
		a = AT(next);
		n = LENGTH(next);
		if
		:: n <= SPARE ->
			x = data[a % RING];
			y = x;
			if
			:: n > 1 -> y = data[(a + 1) % RING]
			:: else
			fi
		:: else
		fi;
#ifdef BAD_LOOK
		if
		:: true ->
#else
		if
		:: head <= next ->
#endif
			assert(n == glen[next] && x == next + 1 && y == next + 1);
			o = OK;
			break
		:: else
		fi
	od;
	skip;
	d_step { f = 0; h = 0; t = 0; a = 0; n = 0; x = 0; y = 0 }
}

inline tell_end()
{
	d_step {
		assert(shut && next == tail);
		ended = 1
	}
}

/* Without a name. */
proctype reader(byte id)
{
	byte k, i, q, s, h, t, a, n, x, y, next, lost, o, e, r;
	short lived;
	bool f, some;

	do
	:: k < KR ->
		k++;
		do
		:: true ->
			try_next();
			if
			:: o != AGAIN -> break
			:: else
			fi;
			arm(0);
			try_next();
			if
			:: o != AGAIN -> break
			:: else -> want[id] = next; sleep(0)
			fi
		od;
		skip;
		d_step { r = 0; e = 0; lived = 0; some = 0 };
		if
		:: o == PIPE -> tell_end(); break
		:: else -> d_step { next++; lost = 0; o = 0 }
		fi
	:: else -> break
	od;
	goto out;
died:	die();
out:	skip;
	d_step {
		q = 0; s = 0; h = 0; t = 0; a = 0; n = 0; x = 0; y = 0; next = 0; lost = 0; o = 0; e = 0; r = 0;
		lived = 0; f = 0; some = 0; k = 0
	}
}

#ifdef BAD_OWNED
#define IS_OWNED false
#else
#define IS_OWNED (owner && !GONE(owner))
#endif
#ifdef BAD_SEQ
#define COUNTED taking
#else
#define COUNTED taking + 1
#endif

/* take_name(): o is OK where it is ours, mine the word. */
inline subscribe()
{
	lock_and_trim();
	if
	:: used && IS_OWNED -> o = AGAIN
	:: else ->
		f = !used;
#ifdef BAD_USED
		if
		:: f -> ST(d_step { used = 1; gcursor = head })
		:: else
		fi;
#endif
		if
		:: f -> ST(cursor = head) /* as from the start */
		:: else
		fi;
		ST(d_step {
			q = COUNTED;
			taking = q; owner = id;
			if :: used -> assert(has == 0); has = id :: else fi
		});
		ST(d_step {
			if :: !used -> assert(has == 0); used = 1; gcursor = head; has = id :: else fi
		});
		/* The last place that was acknowledged. */
		d_step { mine = q; next = cursor; assert(next == gcursor); q = 0; f = 0; o = OK }
	fi;
	unlock()
}

inline acknowledge()
{
	ST(d_step { assert(has == id && owner == id); cursor = next; gcursor = next });
#if defined(BLOCK) && !defined(BAD_ROOM)
	notify(1)
#endif
}

inline unsubscribe()
{
	ST(d_step {
		assert(has == id && owner == id && taking == mine);
		owner = 0; has = 0
	});
	mine = 0
}

proctype named(byte id)
{
	byte k, i, q, s, h, t, a, n, x, y, next, lost, o, mine;
	bool f, reborn;

start:	subscribe();
	if
	:: o == OK ->
		o = 0;
		do
		:: k < KS ->
			k++;
#ifdef BAD_ACK
			next++;
			acknowledge();
			next--;
#endif
			try_next();
			if
			:: o == OK ->
#ifdef BLOCK
				assert(lost == 0); /* none is missed */
#endif
				next++; lost = 0; o = 0;
#ifndef BAD_ACK
				if
				:: true -> acknowledge()
				:: true
				fi
#endif
			:: o == PIPE -> tell_end(); o = 0
			:: o == AGAIN
			fi
		:: else -> break
		od;
		unsubscribe()
	:: else
	fi;
	goto out;
died:	die();
	d_step {
		q = 0; s = 0; h = 0; t = 0; a = 0; n = 0; x = 0; y = 0; next = 0; lost = 0; o = 0; mine = 0; f = 0
	};
#ifdef REUSE
	if
	:: atomic { !reborn && (swept & B(id)) ->
			reborn = 1; dead = dead & ~B(id); swept = swept & ~B(id); regev++; wake(true) };
		goto start
	:: true
	fi;
#endif
out:	skip;
	d_step { k = 0; next = 0; lost = 0; reborn = 0; fin++ }
}

#ifdef FORGET
proctype forgetter(byte id)
{
	byte i, q, h;
	bool f;

	lock_and_trim();
	if
	:: used && !(owner && !GONE(owner)) ->
		ST(d_step { assert(has == 0); owner = 0 });
		ST(used = 0);
		unlock();
#ifndef BAD_FORGET
		notify(1)
#endif
	:: else -> unlock()
	fi;
	goto out;
died:	die();
out:	skip;
	fin++
}
#endif

#ifdef SHUT
proctype shutter(byte id)
{
	byte i, q, h;
	bool f;

	lock_and_trim();
	ST(shut = 1);
	unlock();
	notify(0);
	notify(1);
	goto out;
died:	die();
out:	skip;
	fin++
}
#endif

/* Somebody who waits for something else. */
proctype sweeper(byte id)
{
	byte i, q, h, s;
	bool f;

end:	do
	:: dead & ~swept -> sweep()
	od;
died:	die()
}

/* Would a record of length l go in? */
inline fits(l)
{
	n = 0; f = 0; h = head; end = END; limit = LIMIT;
	plan_add(l);
	n = 0; end = 0; h = 0; limit = 0; first = 0
}

#ifdef FORGET
#define F 1
#else
#define F 0
#endif
#ifdef SHUT
#define S 1
#else
#define S 0
#endif

/* When nothing moves any more. */
proctype Check()
{
	byte id = LAST, i, q, s, g, h, n, end, limit, first;
	bool f;

	timeout;
	crashes = 0;
	d_step {
		i = 1;
		do
		:: i <= NP + NR ->
			if
			:: asleep[i] && sleeps[i] == 0 -> assert(!shut && want[i] >= tail)
			:: asleep[i] && sleeps[i] == 1 -> q++; fits(want[i]); assert(!shut && f); f = 0
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		assert(fin + q == NP + NS + F + S);
		q = 0
	};
	sweep();
	lock_and_trim();
	d_step {
		assert(head <= tail && tail - head <= CAP && (head == tail || END - AT(head) <= BYTES));
		assert(owner == 0 || !GONE(owner));
		assert(!used || cursor == gcursor);
#ifdef STATE
		assert(state0[which] == gstate && state1[which] == gstate && gstate == tail);
#endif
		i = head;
		do
		:: i < tail ->
			assert(LENGTH(i) == glen[i] && data[AT(i) % RING] == i + 1 &&
			       data[(AT(i) + LENGTH(i) - 1) % RING] == i + 1);
			i++
		:: else -> break
		od
	};
died:	skip
}

init
{
	byte i;

	atomic {
		do
		:: i < NP -> i++; run producer(i)
		:: else -> break
		od;
		i = 0;
		do
		:: i < NR -> i++; run reader(NP + i)
		:: else -> break
		od;
		i = 0;
		do
		:: i < NS -> i++; run named(NP + NR + i)
		:: else -> break
		od;
		i = 0;
		do
		:: i < NW -> i++; run sweeper(NP + NR + NS + i)
		:: else -> break
		od;
#ifdef SHUT
		run shutter(SHUTTER);
#endif
#ifdef FORGET
		run forgetter(FORGETTER);
#endif
		run Check()
	}
}
