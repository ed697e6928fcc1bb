/* SPDX-License-Identifier: MIT */
/*
 * The queue of core/kinds/queue*.c: claims, takes, leases that move up, giving back, mending, the end.
 * Sequentially consistent; a process may die before each shared access (CR), a stop is a delay.
 *
 *	N slots   NP producers of KV values each   NC consumers of KC takes each   CRASH deaths
 *	LEASE     a take may be a lease, then acknowledged or given back
 *	SHUT      a process shuts the queue at some time
 *	REUSE     a dead consumer's number is used again once it has been swept
 *	STALE2    two sweepers at once
 *	GIVEUP    a producer may give its position up (no space for a long value)
 *	B         positions that a claim may be for at once; GALLOP a producer may look further than its next one
 *
 * Checked: every acknowledged value is delivered exactly once, each producer's in order unless given
 * back; after the end is reported nothing is acknowledged nor missing; at last nothing is stuck:
 * all is taken and the queue has room for N again.
 *
 * BAD_x plant a mistake each: JUMP a consumer trusts a free slot for a lap too many; MOVE moves items up
 * that were never taken; RDC does not count; CLEAR clears rd without comparing; PEND the sweep does not
 * set rd; ONCE the sweep looks at each word once; SEAL the end without sealing. Of bursts: HEAD publishes the
 * head before the members; FIRST the first member before the last; FREED frees the head before the members;
 * MENDED mends the head before the members; DECIDE mends members without deciding at the head; PASS a
 * producer goes from the head to the first member.
 *
 * Not modelled: weak memory, laps that wrap, waiting (event.pml), values of variable size.
 *
 * Found by this model in what had been built: a sweep that looked at each word once (ONCE) missed a lease
 * of the dead that a producer was just moving up. Spin 6.5, millions of states, memory:
 *
 * run: -DN=2 -DNP=1 -DNC=1 -DKV=3 -DKC=3 -DCRASH=1 -DLEASE
 * run: -DN=2 -DNP=1 -DNC=1 -DKV=2 -DKC=2 -DCRASH=1 -DLEASE -DSHUT
 * run: -DN=2 -DNP=1 -DNC=1 -DKV=3 -DKC=3 -DCRASH=2 -DLEASE
 * run: -DN=2 -DNP=1 -DNC=2 -DKV=3 -DKC=2 -DGIVEUP
 * run: -DN=2 -DNP=1 -DNC=2 -DKV=2 -DKC=2 -DLEASE
 * run: -DN=2 -DNP=1 -DNC=1 -DKV=3 -DKC=3 -DCRASH=1 -DLEASE -DB=2
 * run: -DN=4 -DNP=2 -DNC=1 -DKV=4 -DKC=0 -DB=3 -DGALLOP
 *	0.7, 0.2, 1.0, 2.3, 2.3, 0.9, 0.4; up to 380 MB, seconds
 * long: -DN=3 -DNP=1 -DNC=1 -DKV=4 -DKC=3 -DCRASH=1 -DLEASE -DGIVEUP
 * long: -DN=2 -DNP=1 -DNC=2 -DKV=2 -DKC=2 -DCRASH=1
 * long: -DN=2 -DNP=1 -DNC=2 -DKV=1 -DKC=2 -DCRASH=1 -DLEASE -DSHUT
 * long: -DN=1 -DNP=1 -DNC=2 -DKV=2 -DKC=1 -DCRASH=1 -DLEASE
 * long: -DN=2 -DNP=2 -DNC=1 -DKV=1 -DKC=2 -DCRASH=1 -DLEASE -DSHUT
 * long: -DN=2 -DNP=2 -DNC=1 -DKV=2 -DKC=2 -DCRASH=1
 * long: -DN=1 -DNP=1 -DNC=2 -DKV=1 -DKC=2 -DCRASH=1 -DREUSE -DSTALE2
 * long: -DN=2 -DNP=1 -DNC=2 -DKV=3 -DKC=2 -DB=2
 * long: -DN=2 -DNP=1 -DNC=2 -DKV=2 -DKC=2 -DB=2 -DCRASH=1
 *	5.5, 5.3, 13, 5.2, 4.2, 28, 37, 1.8, 9.5; up to 2.5 GB, two minutes
 * breaks: -DBAD_JUMP -DN=2 -DNP=1 -DNC=2 -DKV=4 -DKC=2 -DGIVEUP
 * breaks: -DBAD_MOVE -DN=3 -DNP=1 -DNC=1 -DKV=4 -DKC=2 -DGIVEUP
 * breaks: -DBAD_RDC -DN=1 -DNP=1 -DNC=2 -DKV=1 -DKC=2 -DCRASH=1 -DREUSE -DSTALE2
 * breaks: -DBAD_CLEAR -DN=2 -DNP=1 -DNC=2 -DKV=2 -DKC=2 -DLEASE
 * breaks: -DBAD_PEND -DN=2 -DNP=1 -DNC=1 -DKV=2 -DKC=2 -DCRASH=1
 * breaks: -DBAD_ONCE -DN=3 -DNP=1 -DNC=1 -DKV=4 -DKC=3 -DCRASH=1 -DLEASE -DGIVEUP
 * breaks: -DBAD_SEAL -DN=2 -DNP=1 -DNC=1 -DKV=1 -DKC=1 -DSHUT
 * breaks: -DBAD_HEAD -DN=3 -DNP=2 -DNC=1 -DKV=2 -DKC=0 -DB=2
 * breaks: -DBAD_FIRST -DN=4 -DNP=2 -DNC=1 -DKV=4 -DKC=0 -DB=3 -DGALLOP
 * breaks: -DBAD_FREED -DN=2 -DNP=1 -DNC=2 -DKV=2 -DKC=2 -DB=2
 * breaks: -DBAD_MENDED -DN=2 -DNP=2 -DNC=1 -DKV=2 -DKC=0 -DB=2 -DCRASH=1
 * breaks: -DBAD_DECIDE -DN=2 -DNP=1 -DNC=1 -DKV=3 -DKC=2 -DB=2 -DCRASH=1
 * breaks: -DBAD_PASS -DN=2 -DNP=2 -DNC=1 -DKV=2 -DKC=0 -DB=2
 */
#ifndef N
#define N 2
#endif
#ifndef NP
#define NP 1
#endif
#ifndef NC
#define NC 2
#endif
#ifndef KV
#define KV 2
#endif
#ifndef KC
#define KC 2
#endif
#ifndef B
#define B 1
#endif
#ifndef CRASH
#define CRASH 0
#endif

#define FREE 0
#define WR 1
#define FULL 2
#define TAKEN 3
#define SEAL 7 /* own, in FREE */
#define IDS 6 /* 1, 2 producers; 3, 4, 5 consumers */
#define VALS 8 /* producer p's values are (p-1)*4 .. +3 */

byte lap[N], st[N], own[N], rdc[N], val[N]; bool bu[N]; /* bu: of n = rdc + 1 positions */
byte tail, head, rd; /* rd = 2 * count + pend */
bool shut, ended;
byte crashes = CRASH;
bool dead[IDS]; byte gen[IDS];
byte fin, sweeping;
bool acked[VALS], gone[VALS]; byte last[2];

#define CR if :: skip :: atomic { crashes > 0 -> crashes--; dead[id] = 1; goto died } fi

#define SAME(j) (lap[j] == l && st[j] == s && own[j] == o && rdc[j] == r && bu[j] == b)
#define LOADW(j) d_step { l = lap[j]; s = st[j]; o = own[j]; r = rdc[j]; b = bu[j] }
#define HELD ((s == FULL || s == TAKEN) && o != 0)
#define BACK (s == FULL && o == 0 && r > 0)
#define NOTGIVEN (s == FREE && !b)
#define FREEING (s == FREE && b)
#define SPAN (b -> r + 1 : 1)
#ifdef BAD_MOVE
#define MOVABLE (s == FULL && !b)
#else
#define MOVABLE (s == FULL && !b && (o != 0 || r > 0))
#endif
/* a word of lap l that is x, in no burst and never taken */
#define PLAIN(j, x) (lap[j] == l && st[j] == x && own[j] == 0 && rdc[j] == 0 && !bu[j])
#define ORPHAN (o != 0 && o != SEAL && dead[o])
#ifdef BAD_RDC
#define COUNTED r
#else
#define COUNTED r + 1
#endif
#define PEND rd = (rd / 2 + 1) * 2 + 1

/* The members of burst j, from the last to the first; SAME(j) when it was looked at. */
inline mend_members(j, dies) {
	m = r;
	do
	:: m == 0 -> break
	:: else ->
		if :: dies -> CR :: else fi;
		d_step {
			if
			:: s == FREE && (PLAIN(j + m, FREE) || PLAIN(j + m, FULL)) ->
				st[j + m] = FREE; lap[j + m] = l + 1
			:: s == FULL && PLAIN(j + m, FULL) -> rdc[j + m] = 1
			:: else
			fi;
			m--
		}
	od
}

inline mend_burst(j, dies) {
#ifdef BAD_DECIDE
	if :: s == WR -> s = FREE :: s == TAKEN -> s = FULL :: else fi;
	mend_members(j, dies);
	if
	:: atomic { lap[j] == l && bu[j] && own[j] == o -> bu[j] = 0; own[j] = 0;
		if :: s == FREE -> st[j] = FREE; rdc[j] = 0; lap[j] = l + 1 :: else -> st[j] = FULL; rdc[j] = 1 fi }
	:: atomic { !(lap[j] == l && bu[j] && own[j] == o) -> skip }
	fi;
	if :: s == FULL -> PEND :: else fi;
#else
	if
	:: atomic { SAME(j) && s == WR -> st[j] = FREE; s = FREE }
	:: atomic { SAME(j) && s == TAKEN -> st[j] = FULL; s = FULL }
	:: SAME(j) && (s == FREE || s == FULL) -> skip
	:: atomic { !SAME(j) -> m = 1 }
	fi;
	if
	:: m -> m = 0
	:: else ->
#ifndef BAD_MENDED
		mend_members(j, dies);
#endif
		if :: dies -> CR :: else fi;
		if
		:: atomic { SAME(j) -> bu[j] = 0; own[j] = 0;
			if :: s == FREE -> st[j] = FREE; rdc[j] = 0; lap[j] = l + 1 :: else -> st[j] = FULL; rdc[j] = 1 fi };
#ifdef BAD_MENDED
			mend_members(j, dies);
#endif
			if :: dies -> CR :: else fi;
			if :: s == FULL -> PEND :: else fi
		:: atomic { !SAME(j) -> skip }
		fi
	fi;
#endif
	m = 0
}

inline mend(j) {
	if
	:: b -> mend_burst(j, 1)
	:: s == WR && !b ->
		if
		:: atomic { SAME(j) -> st[j] = FREE; own[j] = 0; lap[j] = l + 1 }
		:: atomic { !SAME(j) -> skip }
		fi
	:: else ->
		if
		:: atomic { SAME(j) -> st[j] = FULL; own[j] = 0; rdc[j] = COUNTED };
			CR; PEND
		:: atomic { !SAME(j) -> skip }
		fi
	fi
}

proctype Prod(byte id) {
	byte t, u, i, n, l, s, o, r, k, tries, m; bool b;

	do
	:: k >= KV -> break
	:: else ->
		CR;
		if :: shut -> break :: else fi;
		CR;
		t = tail; tries = 0;
again:		i = t % N;
		CR;
		LOADW(i);
		if
		:: l == t / N && NOTGIVEN && o == 0 ->
			n = 1;
#if B > 1
			do
			:: n < B && k + n < KV && i + n < N && PLAIN(i + n, FREE) -> n++
			:: break
			od;
#endif
			CR;
			if
			:: atomic { SAME(i) -> st[i] = WR; own[i] = id; bu[i] = n > 1; rdc[i] = n - 1 };
				CR;
				tail = t + n;
#if B > 1
#ifdef BAD_FIRST
#define NEXT (n - m)
#else
#define NEXT m
#endif
#ifdef BAD_HEAD
				CR;
				d_step { m = 0;
					val[i] = (id - 1) * 4 + k;
					do :: m == n -> break :: else -> acked[(id - 1) * 4 + k + m] = 1; m++ od;
					st[i] = FULL; own[i] = 0; rdc[i] = 0; bu[i] = 0 };
#endif
				m = n - 1;
				do
				:: m == 0 -> break
				:: else ->
					CR;
					d_step { assert(PLAIN(i + NEXT, FREE));
						val[i + NEXT] = (id - 1) * 4 + k + NEXT; st[i + NEXT] = FULL; m-- }
				od;
#endif
				CR;
				val[i] = (id - 1) * 4 + k;
				CR;
				if
#ifdef BAD_HEAD
				:: d_step { k = k + n; n = 0; m = 0 }
#else
				:: d_step { assert(st[i] == WR && own[i] == id && lap[i] == l && !ended);
					m = 0;
					do :: m == n -> break :: else -> acked[(id - 1) * 4 + k + m] = 1; m++ od;
					st[i] = FULL; own[i] = 0; rdc[i] = 0; bu[i] = 0; k = k + n; n = 0; m = 0 }
#endif
#ifdef GIVEUP
				:: d_step { n == 1 -> st[i] = FREE; own[i] = 0; lap[i] = l + 1; k++; n = 0 }
#endif
				fi
			:: atomic { !SAME(i) -> n = 0 }; goto again
			fi
		:: l == t / N && NOTGIVEN && o == SEAL -> break
		:: l == t / N && !NOTGIVEN ->
#ifdef BAD_PASS
			t++;
#else
			t = t + SPAN;
#endif
#ifdef GALLOP
			if
			:: skip
			:: u = t + 1; /* t itself has not been looked at */
				LOADW(u % N);
				if
				:: l > u / N -> t = u + 1
				:: l == u / N && !NOTGIVEN -> t = u + SPAN
				:: else
				fi;
				u = 0
			fi;
#endif
			goto again
		:: l > t / N ->
			u = (l - (NOTGIVEN -> 1 : 0)) * N + i;
			t = (u > t -> u + SPAN : t + 1);
			u = 0;
			goto again
		:: l < t / N ->
			assert(l + 1 == t / N && !NOTGIVEN);
			n = 0; u = t;
			do
			:: n == N -> goto occupied
			:: else ->
				CR;
				LOADW(u % N);
				if
				:: l == u / N && NOTGIVEN && o == 0 -> break
				:: l > u / N || (l == u / N && (!NOTGIVEN || o != 0)) -> n = 0; goto again
				:: l < u / N && ORPHAN -> CR; mend(u % N); n = 0; goto again
				:: l < u / N && !ORPHAN && MOVABLE -> n++; u++
				:: l < u / N && !ORPHAN && !MOVABLE -> goto occupied
				fi
			od;
			/* the n items from t on move up */
			u = t;
			do
			:: n == 0 -> break
			:: else ->
				CR;
				LOADW(u % N);
				if
				:: l + 1 == u / N && MOVABLE ->
					CR;
					if
					:: atomic { SAME(u % N) -> lap[u % N] = l + 1 }; n--; u++
					:: atomic { !SAME(u % N) -> skip }; break
					fi
				:: else -> break
				fi
			od;
			n = 0; u = 0;
			goto again;
occupied:			n = 0; u = 0; tries++;
			if :: tries < 2 -> goto again :: else -> break fi
		fi
	od;
died:	atomic { fin++; t = 0; u = 0; i = 0; n = 0; l = 0; s = 0; o = 0; r = 0; k = 0; tries = 0; m = 0; b = 0 }
}

proctype Cons(byte id) {
	byte h, i, l, s, o, r, k, q, v, u, n, m; bool lease, wait, b; bool reborn;

start:	k = 0;
	do
	:: k >= KC || ended -> break
	:: else ->
look:		lease = 0;
#ifdef LEASE
		if :: lease = 1 :: skip fi;
#endif
		CR;
		q = rd;
		if
		:: q & 1 ->
			i = 0;
			do
			:: i >= N -> break
			:: else ->
				CR;
				LOADW(i);
				if
				:: BACK ->
					CR;
					if
					:: atomic { SAME(i) -> own[i] = id; st[i] = (lease -> FULL : TAKEN) };
						goto got
					:: atomic { !SAME(i) -> skip }
					fi
				:: else -> i++
				fi
			od;
			CR;
#ifdef BAD_CLEAR
			rd = 0
#else
			if :: atomic { rd == q -> rd = q - 1 } :: atomic { rd != q -> skip } fi
#endif
		:: else
		fi;
		CR;
		h = head;
again:		i = h % N;
		CR;
		LOADW(i);
		if
		:: l == h / N && s == FULL && o == 0 ->
			n = 1;
#if B > 1
			do
			:: n < B && !lease && r == 0 && i + n < N && PLAIN(i + n, FULL) -> n++
			:: break
			od;
#endif
			CR;
			if
			:: atomic { SAME(i) -> own[i] = id; st[i] = (lease -> FULL : TAKEN);
				m = 0;
				do
				:: m < n && r == 0 ->
					v = val[i + m];
					assert(last[v / 4] <= v % 4); last[v / 4] = v % 4 + 1; m++
				:: else -> break
				od;
				if :: n > 1 -> bu[i] = 1; rdc[i] = n - 1 :: else fi;
				v = 0; m = 0 };
				CR;
				head = h + n;
#if B > 1
				if :: n > 1 -> goto burst :: else fi;
#endif
				goto got
			:: atomic { !SAME(i) -> n = 0 }; goto again
			fi
		:: l > h / N ->
			/* last position of this slot that must have been passed, if it is beyond h */
#ifdef BAD_JUMP
			u = 1;
#else
			u = (NOTGIVEN -> 2 : 1);
#endif
			h = (l >= u && (l - u) * N + i > h -> (l - u) * N + i : h) + 1;
			goto again
		:: l < h / N ->
			assert(l + 1 == h / N && (BACK || HELD || FREEING));
			if
			:: BACK -> CR; PEND; goto look
			:: !BACK && dead[o] -> CR; mend(i); goto look
			:: !BACK && !dead[o] -> k++ /* empty */
			fi
		:: l == h / N && ORPHAN -> CR; mend(i); goto look
		:: l == h / N && s == WR && !ORPHAN -> k++
		:: l == h / N && (HELD || FREEING) && !ORPHAN -> h = h + SPAN; goto again
		:: l == h / N && NOTGIVEN && o == 0 ->
			CR;
			if
			:: !shut -> k++
			:: shut ->
#ifdef BAD_SEAL
				ended = 1;
#else
				CR;
				if
				:: atomic { SAME(i) -> own[i] = SEAL }
				:: atomic { !SAME(i) -> skip }
				fi;
				goto look
#endif
			fi
		:: l == h / N && NOTGIVEN && o == SEAL ->
			i = 0; wait = 0;
			do
			:: i >= N -> break
			:: else ->
				CR;
				LOADW(i);
				if
				:: BACK -> CR; PEND; goto look
				:: HELD && dead[o] -> CR; mend(i); goto look
				:: HELD && !dead[o] -> wait = 1; i++
				:: !BACK && !HELD -> i++
				fi
			od;
			if
			:: wait -> k++
			:: else -> d_step {
				ended = 1; v = 0;
				do :: v >= VALS -> break :: else -> assert(!acked[v] || gone[v]); v++ od;
				v = 0; k++ }
			fi
		fi;
		goto next;
#if B > 1
burst:		CR;
		d_step { m = 0;
			do
			:: m == n -> break
			:: else -> v = val[i + m]; assert(acked[v] && !gone[v]); gone[v] = 1; m++
			od;
			assert(st[i] == TAKEN && own[i] == id && bu[i] && rdc[i] == n - 1 && lap[i] == l);
			st[i] = FREE; v = 0; m = 0 };
#ifdef BAD_FREED
		CR;
		d_step { st[i] = FREE; own[i] = 0; rdc[i] = 0; bu[i] = 0; lap[i] = l + 1 };
#endif
		m = n - 1;
		do
		:: m == 0 -> break
		:: else -> CR; d_step { assert(PLAIN(i + m, FULL)); st[i + m] = FREE; lap[i + m] = l + 1; m-- }
		od;
#ifndef BAD_FREED
		CR;
		d_step { assert(st[i] == FREE && own[i] == id && bu[i]);
			own[i] = 0; rdc[i] = 0; bu[i] = 0; lap[i] = l + 1 };
#endif
		k++;
		goto next;
#endif
got:		CR;
		v = val[i];
		l = lap[i]; /* as it was taken; a lease may move up meanwhile */
		if
		:: !lease ->
			CR;
			d_step { assert(st[i] == TAKEN && own[i] == id);
				st[i] = FREE; own[i] = 0; rdc[i] = 0; lap[i]++;
				assert(acked[v] && !gone[v]); gone[v] = 1 }
		:: lease ->
			/* compare-exchange until the word has not moved in between: one step here */
			CR;
			d_step { assert(st[i] == FULL && own[i] == id && lap[i] >= l);
				st[i] = FREE; own[i] = 0; rdc[i] = 0; lap[i]++;
				assert(acked[v] && !gone[v]); gone[v] = 1 }
		:: lease ->
			CR;
			d_step { assert(st[i] == FULL && own[i] == id); own[i] = 0; rdc[i]++ };
			CR;
			PEND
		fi;
		k++;
next:		skip;
		d_step { v = 0; l = 0; s = 0; o = 0; r = 0; i = 0; u = 0; q = 0; h = 0; wait = 0; lease = 0; n = 0; m = 0; b = 0 }
	od;
	goto out;
died:	skip;
	d_step { v = 0; l = 0; s = 0; o = 0; r = 0; i = 0; u = 0; q = 0; h = 0; wait = 0; lease = 0; n = 0; m = 0; b = 0 };
#ifdef REUSE
	if
	:: atomic { !reborn && !dead[id] -> reborn = 1 }; goto start
	:: reborn
	fi;
#endif
out:	atomic { fin++; k = 0 }
}

#ifdef SHUT
proctype Shut() { shut = 1 }
#endif

/* Any number of sweepers may be at the same death; the last step frees the number. */
proctype Sweep() {
	byte id, x, g, i, l, s, o, r, m; bool b;

end:	do
	:: atomic { dead[1] -> x = 1; g = gen[x]; sweeping++ }; goto sweep
	:: atomic { dead[2] -> x = 2; g = gen[x]; sweeping++ }; goto sweep
	:: atomic { dead[3] -> x = 3; g = gen[x]; sweeping++ }; goto sweep
	:: atomic { dead[4] -> x = 4; g = gen[x]; sweeping++ }; goto sweep
	od;
sweep:	i = 0;
	do
	:: i >= N -> break
	:: else ->
		LOADW(i);
		if
		:: o == x && b && dead[x] -> mend_burst(i, 0)
		:: o == x && !b && s == WR && dead[x] ->
			if
			:: atomic { SAME(i) -> st[i] = FREE; own[i] = 0; lap[i] = l + 1 }
			:: atomic { !SAME(i) -> skip }
			fi
		:: o == x && !b && s != WR && s != FREE && dead[x] ->
			if
			:: atomic { SAME(i) -> st[i] = FULL; own[i] = 0; rdc[i] = COUNTED }
			:: atomic { !SAME(i) -> skip }
			fi
#ifdef BAD_ONCE
		:: else
		fi;
		i++
#else
		:: else -> i++
		fi
#endif
	od;
#ifndef BAD_PEND
	PEND;
#endif
	skip;
	d_step {
		if :: dead[x] && gen[x] == g -> dead[x] = 0; gen[x]++ :: else fi;
		sweeping--; x = 0; g = 0; i = 0; l = 0; s = 0; o = 0; r = 0; b = 0; m = 0
	};
	goto end;
died:	skip
}

/* When all have ended and been swept: takes the rest as a consumer would, then fills the queue. */
proctype Drain() {
	byte h, i, v, n, u;

	(fin == NP + NC && !sweeping && !dead[1] && !dead[2] && !dead[3] && !dead[4]);
	d_step {
		i = 0;
		do
		:: i >= N -> break
		:: (rd & 1) && i < N ->
			if
			:: st[i] == FULL && own[i] == 0 && rdc[i] > 0 ->
				v = val[i]; st[i] = FREE; rdc[i] = 0; lap[i]++;
				assert(acked[v] && !gone[v]); gone[v] = 1
			:: else
			fi;
			i++
		:: !(rd & 1) && i < N -> i = N
		od;
		i = 0;
		do :: i >= N -> break :: else -> assert(!bu[i]); i++ od;
		h = head;
		do
		:: lap[h % N] == h / N && st[h % N] == FULL ->
			i = h % N; v = val[i]; st[i] = FREE; rdc[i] = 0; lap[i]++;
			assert(acked[v] && !gone[v]); gone[v] = 1; h++
		:: lap[h % N] > h / N ->
			u = (st[h % N] == FREE -> 2 : 1);
			h = (lap[h % N] >= u && (lap[h % N] - u) * N + h % N > h ->
			     (lap[h % N] - u) * N + h % N : h) + 1
		:: lap[h % N] == h / N && st[h % N] == FREE -> break
		:: else -> assert(0)
		od;
		v = 0;
		do :: v >= VALS -> break :: else -> assert(!acked[v] || gone[v]); v++ od;
		/* room for N, from the tail hint */
		h = tail; n = 0;
		do
		:: n == N || own[h % N] == SEAL -> break
		:: n < N && lap[h % N] == h / N && st[h % N] == FREE && own[h % N] == 0 -> n++; h++
		:: lap[h % N] > h / N || (lap[h % N] == h / N && st[h % N] != FREE) -> assert(n == 0); h++
		:: lap[h % N] < h / N -> assert(0)
		od;
		n = 0
	}
}

init {
	atomic {
		run Prod(1);
#if NP > 1
		run Prod(2);
#endif
		run Cons(3);
#if NC > 1
		run Cons(4);
#endif
#ifdef SHUT
		run Shut();
#endif
#if CRASH > 0
		run Sweep();
#ifdef STALE2
		run Sweep();
#endif
#endif
		run Drain()
	}
}
