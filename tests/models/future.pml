/* SPDX-License-Identifier: MIT */
/*
 * The future of core/kinds/future*.c on the transactions of core/segment/tx.c: claiming, setting, giving up,
 * resetting, reading and waiting without the lock, continuations, and the sweep. COMMIT is one step, each
 * word of a change another, and who gets the segment's lock stores a dead one's change again. Sequentially
 * consistent; a process may die before each store and while it sleeps, who sweeps as well.
 *
 *	NU users of K calls each, NW waiters, CRASH deaths   GET  a process reads
 *	PART   the users' calls, a sum: 1 claim, 2 set, 4 abandon, 8 reset
 *	THEN   users leave continuations or set, waiters are workers: they take one and end it, again and again
 *	READY  it is set from the beginning, users leave continuations alone
 *	BACK   a worker may give one back   COPY  and end it later all the same, by a copy of what it was given
 *	REUSE  a dead user's number is used again once it has been swept
 *
 * Checked: who has claimed it is the only one to complete, break or reset it while he lives; when he dies without
 * that, it is never set in his place; nobody is told that it is broken who could find it set; a value that is
 * read is whole, and was the value at some moment of the call. Each continuation is in the hands of one worker at
 * a time, the oldest that is free, who is told how often it was taken before, and it is there until it was done.
 * When nothing moves any more nobody waits for a lock; nobody sleeps though it is completed or its claimant is
 * gone, nor a worker though there is something to take; then no word names the dead, and no memory is lost.
 *
 * BAD_x plant a mistake each: FIRST the word is stored before its value; DROP the value is taken away before the
 * word; LOOK a reader does not look at the word again; COUNT words come twice; SETTLE who finds the claimant dead
 * does not ask what lies in the journal; SEEN he does, and goes by the word that he had; NOTX there is no journal;
 * REPLAY nobody stores a dead one's change; OWNER who sets does not ask for the claimant; DEAD he sets it in place of
 * a dead one; MEND the sweep leaves the word; FREE a number is free before what it had is mended; SILENT nobody is
 * told; WATCH waiters do not watch the living; KEEP the sweep leaves what a worker had; TAKE who takes does not ask
 * whether it is taken; OWN who ends one does not compare how often it was taken; HOLD a thread that ends takes what
 * it had from its process; HEAD the last one goes and is still the last.
 *
 * Not modelled: weak memory, failures, which are values, descriptors, for which anybody may set it, time-outs,
 * the lock itself (lock.pml). Spin 6.5:
 *
 * run: -DNU=2 -DNW=1 -DK=1 -DCRASH=1 -DREUSE
 * run: -DNU=1 -DNW=2 -DK=1 -DCRASH=2
 * run: -DNU=1 -DNW=1 -DK=3 -DCRASH=1 -DREUSE
 * run: -DGET -DPART=10 -DNU=2 -DNW=0 -DK=2 -DCRASH=1
 * run: -DTHEN -DNU=2 -DNW=2 -DK=1
 * run: -DTHEN -DBACK -DNU=2 -DNW=1 -DK=1 -DCRASH=1
 * run: -DTHEN -DREADY -DNU=1 -DNW=2 -DK=1 -DCRASH=2
 * run: -DTHEN -DREADY -DCOPY -DNU=1 -DNW=2 -DK=1
 * long: -DTHEN -DREADY -DNU=1 -DNW=2 -DK=2 -DCRASH=1
 *	2.8, 1.9, 0.5, 1.3, 4.0, 1.0, 2.1, 1.3 million states; up to 450 MB, seconds; 12.5 million, half a minute
 * breaks: -DBAD_FIRST -DGET -DPART=2 -DNU=1 -DNW=0 -DK=1
 * breaks: -DBAD_DROP -DGET -DPART=10 -DNU=2 -DNW=0 -DK=2
 * breaks: -DBAD_LOOK -DGET -DPART=10 -DNU=2 -DNW=0 -DK=2
 * breaks: -DBAD_COUNT -DGET -DPART=10 -DNU=2 -DNW=0 -DK=2
 * breaks: -DBAD_SETTLE -DNU=1 -DNW=1 -DK=2 -DCRASH=1
 * breaks: -DBAD_SEEN -DNU=1 -DNW=1 -DK=2 -DCRASH=2
 * breaks: -DBAD_NOTX -DNU=1 -DNW=1 -DK=1 -DCRASH=1
 * breaks: -DBAD_REPLAY -DNU=1 -DNW=1 -DK=1 -DCRASH=1
 * breaks: -DBAD_OWNER -DNU=2 -DNW=1 -DK=1
 * breaks: -DBAD_DEAD -DNU=2 -DNW=1 -DK=1 -DCRASH=1
 * breaks: -DBAD_MEND -DNU=1 -DNW=1 -DK=1 -DCRASH=1
 * breaks: -DBAD_FREE -DREUSE -DNU=1 -DNW=1 -DK=2 -DCRASH=1
 * breaks: -DBAD_SILENT -DNU=1 -DNW=1 -DK=1
 * breaks: -DBAD_WATCH -DNU=1 -DNW=1 -DK=1 -DCRASH=1
 * breaks: -DBAD_KEEP -DTHEN -DNU=2 -DNW=1 -DK=1 -DCRASH=1
 * breaks: -DBAD_TAKE -DTHEN -DNU=2 -DNW=2 -DK=1
 * breaks: -DBAD_OWN -DTHEN -DCOPY -DNU=2 -DNW=1 -DK=1
 * breaks: -DBAD_HOLD -DTHEN -DNU=2 -DNW=2 -DK=1
 * breaks: -DBAD_HEAD -DTHEN -DNU=2 -DNW=1 -DK=2
 */
#ifndef CRASH
#define CRASH 0
#endif
#ifndef K
#define K 1
#endif
#ifndef PART
#define PART 15
#endif
#define IDS (NU + NW + 2)
#define NI (NU * K)

/* {count, state, owner} */
#define PENDING 0
#define SET 1
#define BROKEN 2
#define STATE(w) (((w) >> 4) & 3)
#define OWNER(w) ((w) & 15)
#define COUNT(w) ((w) >> 6)
#ifdef BAD_COUNT
#define NEXT(w, s, o) ((s) << 4 | (o))
#else
#define NEXT(w, s, o) ((COUNT(w) + 1) << 6 | (s) << 4 | (o))
#endif

/* the segment: words, of which all are changed by transactions */
#define WORD 0
#define VALUE 1 /* a block, or 0 */
#define LEN 2
#define USED 2 /* + block 1, 2: the allocator's */
#define FIRST 5
#define LAST 6
#define THENS 7
#define LASTID 8
#define NODE(i) (5 + 4 * (i)) /* 1..NN */
#define LINK 0 /* in a node */
#define ID 1
#define OWN 2 /* {times:, owner:4} */
#define NUSED 3
#define NN 2
#ifdef THEN
#define WORDS 17
#else
#define WORDS 5
#endif
short m[WORDS];
byte h0[3], h1[3]; /* contents of blocks */

/* the journal, and while n is 0 what its next change collects */
#define JM 8
byte jn, n, jo[JM];
short jv[JM];
byte sl; /* the segment's lock */

/* the event word, and who sleeps */
byte evseq;
bool evW, asleep[IDS];
byte watch[IDS];

byte dead;  /* bit x: the live word of x says so, or its number is free */
byte swept; /* bit x: its number is free */
byte regev; /* reg_ev: somebody joined */

/* ghost */
byte crashes = CRASH, fin;
byte claimant;      /* who has claimed it and lives */
bool owes;          /* its claimant died in debt */
int told, kept;     /* bit c: told broken, set by the claimant, of the claim with that count */
byte cur;           /* the value, 0: none */
byte seen;          /* bit v: it was v while the get ran */
bool reading;
byte vals;          /* values given out */
byte nleft;         /* continuations left: their COMMITs */
byte hands[NI + 1]; /* of continuation i: who has it and lives */
byte takings[NI + 1];
bool inlist[NI + 1], ended[NI + 1];

#define B(x) (1 << (x))
#define GONE(x) (dead & B(x))
/* A store, before which its process may die. */
#define ST(...) atomic { if :: skip :: crashes > 0 -> crashes--; goto died fi; __VA_ARGS__ }

#define SLEEPER(x) (asleep[x] && (watch[x] & B(id)))

inline die()
{
	atomic {
		dead = dead | B(id);
		if :: claimant == id -> claimant = 0; owes = 1 :: else fi;
		i = 0;
		do
		:: i <= NI -> if :: hands[i] == id -> hands[i] = 0 :: else fi; i++
		:: else -> break
		od;
		watch[id] = 0;
		asleep[id] = 0;
		/* The kernel wakes one of those who sleep on its live word. */
		i = 0;
		if
		:: SLEEPER(NU + 1) -> asleep[NU + 1] = 0
#if NW > 1
		:: SLEEPER(NU + 2) -> asleep[NU + 2] = 0
#endif
		:: else
		fi
	}
}

/* ---- transactions ------------------------------------------------------------------------------ */

#define PUT(o, v) jo[n] = o; jv[n] = v; n++
#define TOLD assert(!(told & kept))

inline apply()
{
	i = 0;
	do
	:: i < n ->
		ST(d_step {
			m[jo[i]] = jv[i];
			if
			:: jo[i] == WORD ->
				cur = (STATE(jv[i]) == SET -> vals : 0);
				if :: reading -> seen = seen | B(cur) :: else fi
			:: else
			fi;
			i++
		})
	:: else -> break
	od;
	i = 0;
	ST(d_step {
		jn = 0;
		do
		:: n > 0 -> n--; jo[n] = 0; jv[n] = 0
		:: else -> break
		od
	})
}

inline begin()
{
	atomic {
		sl == 0 || GONE(sl) || sl == id;
		if :: skip :: crashes > 0 -> crashes--; goto died fi;
		sl = id
	};
#ifndef BAD_REPLAY
	if
	:: jn -> apply()
	:: else
	fi;
#endif
	d_step {
		jn = 0;
		do
		:: n > 0 -> n--; jo[n] = 0; jv[n] = 0
		:: else -> break
		od
	}
}

/* From here on it happens; what is in do is noted at this very step. */
#ifdef BAD_NOTX
#define COMMIT(...) ST(d_step { __VA_ARGS__; jn = 0 }); apply()
#else
#define COMMIT(...) ST(d_step { __VA_ARGS__; jn = 1 }); apply()
#endif

inline unlock()
{
	ST(sl = 0)
}

/* ---- events ------------------------------------------------------------------------------------ */

inline wake_all()
{
	d_step {
		i = 0;
		do
		:: i < IDS -> asleep[i] = 0; i++
		:: else -> break
		od;
		i = 0
	}
}

inline notify()
{
#ifndef BAD_SILENT
	do
	:: true ->
		d_step { q = evseq; f = evW };
		if
		:: !f -> break
		:: else
		fi;
		ST(d_step { if :: evseq == q && evW -> evseq++; evW = 0; f = 0 :: else fi });
		if
		:: !f -> ST(wake_all()); break
		:: else
		fi
	od;
	q = 0; f = 0
#else
	skip
#endif
}

/* ---- after a death ----------------------------------------------------------------------------- */

/* ipk_future_recover() */
inline recover()
{
	begin();
	d_step {
		w = m[WORD];
#ifndef BAD_MEND
		if
		:: OWNER(w) && GONE(OWNER(w)) -> PUT(WORD, NEXT(w, BROKEN, 0))
		:: else
		fi;
#endif
#if defined(THEN) && !defined(BAD_KEEP)
		b = m[FIRST];
		do
		:: b ->
			x = m[NODE(b) + OWN];
			if
			:: OWNER(x) && GONE(OWNER(x)) -> PUT(NODE(b) + OWN, x & ~15)
			:: else
			fi;
			b = m[NODE(b) + LINK]
		:: else -> break
		od;
		b = 0; x = 0
#endif
	};
	if
	:: n ->
		COMMIT(
			if
			:: jo[0] == WORD ->
				assert(claimant == 0 && owes && !(kept & B(COUNT(w))));
				owes = 0
			:: else
			fi);
		unlock();
		notify()
	:: else -> unlock()
	fi;
	w = 0
}

/* ipk_sweep() */
inline sweep()
{
	s = 0;
	do
	:: s < IDS ->
		if
		:: GONE(s) && !(swept & B(s)) ->
#ifdef BAD_FREE
			ST(swept = swept | B(s));
#endif
			if
			:: sl == s -> begin(); unlock()
			:: else
			fi;
			recover();
			ST(wake_all());
			ST(d_step { if :: GONE(s) -> swept = swept | B(s) :: else fi })
		:: else
		fi;
		s++
	:: else -> break
	od;
	s = 0
}

/* ---- reading ----------------------------------------------------------------------------------- */

/* outcome() of the word in w: o is PENDING, SET or BROKEN. */
inline outcome()
{
	do
	:: true ->
		o = STATE(w);
		if
		:: o != PENDING || OWNER(w) == 0 -> break
		:: !GONE(OWNER(w)) -> break
		:: else
		fi;
		/* claimant_died(), settle_journal() */
#ifndef BAD_SETTLE
		if
		:: jn ->
			x = sl;
			if
			:: x && !GONE(x) -> break
			:: else -> v = w; recover(); w = v; v = 0
			fi
		:: else
		fi;
#endif
		x = 0;
#ifndef BAD_SEEN
		if
		:: m[WORD] != w -> w = m[WORD]
		:: else ->
#endif
			d_step { o = BROKEN; told = told | B(COUNT(w)); TOLD };
			break
#ifndef BAD_SEEN
		fi
#endif
	od;
	w = 0; x = 0
}

/* ---- changing ---------------------------------------------------------------------------------- */

inline claim()
{
	begin();
	d_step {
		w = m[WORD];
		if
		:: STATE(w) == PENDING && OWNER(w) == 0 -> mine = NEXT(w, PENDING, id); PUT(WORD, mine)
		:: STATE(w) == PENDING && OWNER(w) && GONE(OWNER(w)) -> PUT(WORD, NEXT(w, BROKEN, 0))
		:: else
		fi
	};
	if
	:: n ->
		COMMIT(
			assert(claimant == 0 && owes == (OWNER(w) != 0));
			claimant = (OWNER(w) -> 0 : id);
			owes = 0)
	:: else
	fi;
	w = 0;
	unlock();
	notify()
}

#ifdef BAD_OWNER
#define PERMITTED true
#elif defined(BAD_DEAD)
#define PERMITTED (OWNER(w) == 0 || (OWNER(w) == id && w == v) || GONE(OWNER(w)))
#else
#define PERMITTED (OWNER(w) == 0 || (OWNER(w) == id && w == v))
#endif

/* ipk_future_complete(): b is the value's block, o: another has claimed it. */
inline set()
{
	do
	:: true ->
		v = m[WORD];
		begin();
		d_step {
			w = m[WORD];
			if
			:: STATE(w) == PENDING && PERMITTED -> b = (m[USED + 1] -> 2 : 1); assert(!m[USED + b])
			:: STATE(w) == PENDING && !PERMITTED && GONE(OWNER(w)) -> PUT(WORD, NEXT(w, BROKEN, 0))
			:: STATE(w) == PENDING && !PERMITTED && !GONE(OWNER(w)) -> o = 1
			:: else
			fi
		};
		if
		:: b ->
			/* It goes to a free block before COMMIT. */
			ST(h0[b] = vals + 1);
			ST(h1[b] = vals + 1);
			d_step {
				PUT(USED + b, 1);
#ifdef BAD_FIRST
				PUT(WORD, NEXT(w, SET, 0));
#endif
				PUT(VALUE, b);
				PUT(LEN, vals + 1);
#ifndef BAD_FIRST
				PUT(WORD, NEXT(w, SET, 0));
#endif
				b = 0; mine = 0
			}
		:: else
		fi;
		if
		:: n ->
			COMMIT(
				if
				:: n == 1 -> assert(claimant == 0 && owes); owes = 0
				:: else ->
					assert((claimant == 0 || claimant == id) && !owes);
					if :: OWNER(w) -> kept = kept | B(COUNT(w)); TOLD :: else fi;
					claimant = 0;
					vals++
				fi)
		:: else
		fi;
		if
		:: o && w != v -> o = 0; unlock() /* claimed just now */
		:: else -> break
		fi
	od;
	o = 0; w = 0; v = 0;
	unlock();
	notify()
}

inline abandon()
{
	begin();
	d_step {
		w = m[WORD];
		if :: w == mine -> PUT(WORD, NEXT(w, BROKEN, 0)) :: else fi;
		mine = 0; w = 0
	};
	if
	:: n -> COMMIT(assert(claimant == id); claimant = 0)
	:: else
	fi;
	unlock();
	notify()
}

inline reset()
{
	begin();
	d_step {
		w = m[WORD];
		if
		:: OWNER(w) && !GONE(OWNER(w)) -> skip
		:: else ->
#ifndef BAD_DROP
			PUT(WORD, NEXT(w, PENDING, 0));
#endif
			PUT(VALUE, 0);
			PUT(LEN, 0);
			if :: m[VALUE] -> PUT(USED + m[VALUE], 0) :: else fi;
#ifdef BAD_DROP
			PUT(WORD, NEXT(w, PENDING, 0))
#endif
		fi;
	};
	if
	:: n -> COMMIT(assert(claimant == 0 && owes == (OWNER(w) != 0)); owes = 0)
	:: else
	fi;
	w = 0;
	unlock();
	notify()
}

/* ---- continuations ----------------------------------------------------------------------------- */

#ifdef THEN
inline then()
{
	begin();
	d_step {
		b = (!m[NODE(1) + NUSED] -> 1 : (!m[NODE(2) + NUSED] -> 2 : 0));
		x = m[LASTID] + 1
	};
	if
	:: !b -> goto no_room
	:: else
	fi;
	ST(d_step { m[NODE(b) + LINK] = 0; m[NODE(b) + ID] = x; m[NODE(b) + OWN] = 0 });
	d_step {
		PUT(NODE(b) + NUSED, 1);
		if
		:: m[LAST] -> PUT(NODE(m[LAST]) + LINK, b)
		:: else -> PUT(FIRST, b)
		fi;
		PUT(LAST, b);
		PUT(THENS, m[THENS] + 1);
		PUT(LASTID, x)
	};
	COMMIT(nleft++; inlist[x] = 1);
no_room:
	b = 0; x = 0;
	unlock();
	notify()
}

#ifdef BAD_TAKE
#define FREE(own) true
#else
#define FREE(own) (OWNER(own) == 0 || GONE(OWNER(own)))
#endif

/* try_take(): o is 1 with what was taken in have, own. */
inline take()
{
	o = 0;
	if
	:: m[THENS] ->
		w = m[WORD];
		if
		:: STATE(w) == PENDING ->
			if
			:: OWNER(w) && GONE(OWNER(w)) -> recover(); w = m[WORD]
			:: else
			fi
		:: else
		fi;
		if
		:: STATE(w) != PENDING -> o = 1
		:: else
		fi
	:: else
	fi;
	w = 0;
	if
	:: o ->
		begin();
		d_step {
			o = 0;
			b = (STATE(m[WORD]) == PENDING -> 0 : m[FIRST]);
			do
			:: b && !FREE(m[NODE(b) + OWN]) -> b = m[NODE(b) + LINK]
			:: else -> break
			od;
			if
			:: b ->
				i = 1;
				do
				:: i < m[NODE(b) + ID] -> assert(!inlist[i] || hands[i]); i++
				:: else -> break
				od;
				i = 0;
				x = (m[NODE(b) + OWN] & ~15) + 16 + id;
				PUT(NODE(b) + OWN, x);
				o = 1
			:: else
			fi
		};
		if
		:: o ->
			COMMIT(
				have = m[NODE(b) + ID];
				assert(inlist[have] && hands[have] == 0 && takings[have] == m[NODE(b) + OWN] >> 4);
				hands[have] = id;
				takings[have]++);
			own = x
		:: else
		fi;
		b = 0; x = 0;
		unlock()
	:: else
	fi
}

/* ipk_future_done() and ipk_future_again() of have, own */
inline end(how)
{
	begin();
	d_step {
		o = 0; x = FIRST; v = 0; b = m[FIRST];
		do
		:: b && m[NODE(b) + ID] != have -> v = b; x = NODE(b) + LINK; b = m[x]
		:: else -> break
		od;
#ifdef BAD_OWN
		if :: b && OWNER(m[NODE(b) + OWN]) == OWNER(own) -> o = 1 :: else fi;
#else
		if :: b && m[NODE(b) + OWN] == own -> o = 1 :: else fi;
#endif
		if
		:: o && how ->
			PUT(x, m[NODE(b) + LINK]);
#ifndef BAD_HEAD
			if :: m[NODE(b) + LINK] == 0 -> PUT(LAST, v) :: else fi;
#endif
			PUT(THENS, m[THENS] - 1);
			PUT(NODE(b) + NUSED, 0)
		:: o && !how -> PUT(NODE(b) + OWN, own & ~15)
		:: else
		fi;
		x = 0; v = 0; b = 0
	};
	if
	:: o ->
		COMMIT(
			assert(hands[have] == id && takings[have] == own >> 4);
			hands[have] = 0;
			if :: how -> inlist[have] = 0; ended[have] = 1 :: else fi)
	:: else
	fi;
	unlock();
	notify();
	o = 0
}
#endif

/* ---- processes --------------------------------------------------------------------------------- */

proctype user(byte id)
{
	byte i, k, q, b;
	short w, v, x, mine;
	bool f, o, reborn;

start:	do
	:: k < K ->
		k++;
		if
#ifdef THEN
		:: then()
#ifndef READY
		:: set()
#endif
#else
		:: (PART & 1) -> claim()
		:: (PART & 2) -> set()
		:: (PART & 4) && mine -> abandon()
		:: (PART & 8) -> reset()
#endif
		fi
	:: else -> break
	od;
	/* ipk_future_close() */
	if
	:: mine -> abandon()
	:: else
	fi;
	goto out;
died:	die();
	d_step { q = 0; b = 0; w = 0; v = 0; x = 0; mine = 0; f = 0; o = 0 };
#ifdef REUSE
	if
	:: atomic { !reborn && (swept & B(id)) ->
			reborn = 1; dead = dead & ~B(id); swept = swept & ~B(id); regev++; wake_all() };
		goto start
	:: true
	fi;
#endif
out:	skip;
	d_step { k = 0; reborn = 0; fin++ }
}

/* Both leave at got when there is what was waited for. */
#ifdef THEN
#define TRY take(); if :: o -> goto got :: else fi
#define TAKEABLE (STATE(m[WORD]) != PENDING && ((m[FIRST] && FREE(m[NODE(m[FIRST]) + OWN])) || \
	(m[FIRST] && m[NODE(m[FIRST]) + LINK] && FREE(m[NODE(m[NODE(m[FIRST]) + LINK]) + OWN]))))
#else
#define TRY w = m[WORD]; outcome(); if :: o -> goto got :: else fi
#define TAKEABLE (STATE(m[WORD]) != PENDING || OWNER(m[WORD]))
#endif

/* ipk_await() */
proctype waiter(byte id)
{
	byte i, q, s, b, o, e, r, lived, have, copy;
	short w, v, x, own, was;
	bool f, some, backed;

again:	TRY;
	/* ipk_event_arm(): whom to watch, W, and another look */
	d_step {
		r = regev;
#ifndef BAD_WATCH
		lived = (B(NU + NW + 1) - 2) & ~B(id) & ~dead;
		some = (dead & ~swept) != 0
#endif
	};
	ST(d_step { evW = 1; e = evseq });
	TRY;
	if
	:: some -> sweep(); goto slept
	:: else
	fi;
	atomic {
		if :: skip :: crashes > 0 -> crashes--; goto died fi;
		if
		:: evseq == e && evW && regev == r && !(dead & lived) -> asleep[id] = 1; watch[id] = lived
		:: else
		fi
	};
end_:	if
	:: !asleep[id]
	:: atomic { asleep[id] && crashes > 0 -> crashes--; goto died }
	fi;
	watch[id] = 0;
	if
	:: dead & lived ->
		ST(d_step {
			i = 0;
			do
			:: i < IDS -> if :: watch[i] & dead & lived -> asleep[i] = 0 :: else fi; i++
			:: else -> break
			od;
			i = 0
		});
		sweep()
	:: else
	fi;
slept:	skip;
	d_step { r = 0; e = 0; lived = 0; some = 0 };
	goto again;
got:	skip;
	d_step { r = 0; e = 0; lived = 0; some = 0 };
#ifdef THEN
	o = 0;
#ifdef COPY
	/* A copy of what was given back does not end what was taken since. */
	if
	:: copy ->
		d_step { v = own; own = was; was = v; b = have; have = copy; copy = b; v = 0; b = 0 };
		end(1);
		d_step { own = was; was = 0; have = copy; copy = 0 }
	:: else
	fi;
#endif
#ifdef BAD_HOLD
	/* The thread ends in order: its number is free, and its process still at work. */
	if
	:: true
	:: atomic { true -> dead = dead | B(id); swept = swept | B(id); goto out }
	fi;
#endif
#if defined(BACK) || defined(COPY)
	if
	:: end(1)
	:: !backed ->
		backed = 1;
#ifdef COPY
		d_step { copy = have; was = own };
#endif
		end(0)
	fi;
#else
	end(1);
#endif
	have = 0; own = 0;
	goto again;
#else
	goto out;
#endif
died:	die();
out:	skip;
	d_step { o = 0; w = 0; v = 0; x = 0; own = 0; have = 0; copy = 0; was = 0; b = 0; q = 0; s = 0; f = 0 }
}

#ifdef GET
/* ipk_future_get() */
proctype getter()
{
	short w;
	byte l, b, a, c;

	d_step { seen = B(cur); reading = 1 };
	do
	:: true ->
		w = m[WORD];
		if
		:: STATE(w) != SET -> l = 0; break
		:: else
		fi;
		l = m[LEN];
		b = m[VALUE];
		a = h0[b];
		c = h1[b];
#ifndef BAD_LOOK
		if
		:: m[WORD] == w ->
#endif
			assert(b && a == l && c == l);
			break
#ifndef BAD_LOOK
		:: else
		fi
#endif
	od;
	skip;
	d_step { assert(seen & B(l)); reading = 0; seen = 0; l = 0; b = 0; a = 0; c = 0; w = 0 }
}
#endif

/* When nothing moves any more. */
proctype Check()
{
	byte id = NU + NW + 1, i, q, s, b, o;
	short w, v, x;
	bool f;

	timeout;
	crashes = 0;
	assert(fin == NU);
	i = 1;
	do
	:: i < IDS -> assert(!asleep[i] || (!jn && !TAKEABLE)); i++
	:: else -> break
	od;
	sweep();
	begin();
	d_step {
		w = m[WORD];
		assert(OWNER(w) == 0 && !owes);
		assert((m[VALUE] != 0) == (STATE(w) == SET) && (m[LEN] != 0) == (STATE(w) == SET));
		assert(m[USED + 1] == (m[VALUE] == 1) && m[USED + 2] == (m[VALUE] == 2));
#ifdef THEN
		b = m[FIRST]; q = 0; v = 0; x = 0;
		do
		:: b ->
			q++;
			v = b;
			assert(m[NODE(b) + ID] > x && m[NODE(b) + NUSED]);
			x = m[NODE(b) + ID];
			assert(inlist[x] && !ended[x] && OWNER(m[NODE(b) + OWN]) == hands[x]);
			b = m[NODE(b) + LINK]
		:: else -> break
		od;
		assert(q == m[THENS] && v == m[LAST] && q == m[NODE(1) + NUSED] + m[NODE(2) + NUSED]);
		i = 1;
		do
		:: i <= nleft -> assert(inlist[i] != ended[i]); i++
		:: else -> break
		od
#endif
	};
died:	skip
}

init
{
	byte i;

	atomic {
#ifdef READY
		vals = 1; cur = 1; h0[1] = 1; h1[1] = 1;
		m[WORD] = NEXT(0, SET, 0); m[VALUE] = 1; m[LEN] = 1; m[USED + 1] = 1;
#endif
		do
		:: i < NU -> i++; run user(i)
		:: else -> break
		od;
		i = 0;
		do
		:: i < NW -> i++; run waiter(NU + i)
		:: else -> break
		od;
#ifdef GET
		run getter();
#endif
		run Check()
	}
}
