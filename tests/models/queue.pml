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
 *
 * Checked: every acknowledged value is delivered exactly once, each producer's in order unless given
 * back; after the end is reported nothing is acknowledged nor missing; at last nothing is stuck:
 * all is taken and the queue has room for N again.
 *
 * BAD_x plant a mistake each: JUMP a consumer trusts a free slot for a lap too many; MOVE moves items up
 * that were never taken; RDC does not count; CLEAR clears rd without comparing; PEND the sweep does not
 * set rd; ONCE the sweep looks at each word once; SEAL the end without sealing.
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
 *	0.7, 0.2, 1.0, 2.3, 2.3; up to 380 MB, seconds
 * long: -DN=3 -DNP=1 -DNC=1 -DKV=4 -DKC=3 -DCRASH=1 -DLEASE -DGIVEUP
 * long: -DN=2 -DNP=1 -DNC=2 -DKV=2 -DKC=2 -DCRASH=1
 * long: -DN=2 -DNP=1 -DNC=2 -DKV=1 -DKC=2 -DCRASH=1 -DLEASE -DSHUT
 * long: -DN=1 -DNP=1 -DNC=2 -DKV=2 -DKC=1 -DCRASH=1 -DLEASE
 * long: -DN=2 -DNP=2 -DNC=1 -DKV=1 -DKC=2 -DCRASH=1 -DLEASE -DSHUT
 * long: -DN=2 -DNP=2 -DNC=1 -DKV=2 -DKC=2 -DCRASH=1
 * long: -DN=1 -DNP=1 -DNC=2 -DKV=1 -DKC=2 -DCRASH=1 -DREUSE -DSTALE2
 *	5.5, 5.3, 13, 5.2, 4.2, 28, 37; up to 2.5 GB, two minutes
 * breaks: -DBAD_JUMP -DN=2 -DNP=1 -DNC=2 -DKV=4 -DKC=2 -DGIVEUP
 * breaks: -DBAD_MOVE -DN=3 -DNP=1 -DNC=1 -DKV=4 -DKC=2 -DGIVEUP
 * breaks: -DBAD_RDC -DN=1 -DNP=1 -DNC=2 -DKV=1 -DKC=2 -DCRASH=1 -DREUSE -DSTALE2
 * breaks: -DBAD_CLEAR -DN=2 -DNP=1 -DNC=2 -DKV=2 -DKC=2 -DLEASE
 * breaks: -DBAD_PEND -DN=2 -DNP=1 -DNC=1 -DKV=2 -DKC=2 -DCRASH=1
 * breaks: -DBAD_ONCE -DN=3 -DNP=1 -DNC=1 -DKV=4 -DKC=3 -DCRASH=1 -DLEASE -DGIVEUP
 * breaks: -DBAD_SEAL -DN=2 -DNP=1 -DNC=1 -DKV=1 -DKC=1 -DSHUT
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

byte lap[N], st[N], own[N], rdc[N], val[N];
byte tail, head, rd; /* rd = 2 * count + pend */
bool shut, ended;
byte crashes = CRASH;
bool dead[IDS]; byte gen[IDS];
byte fin, sweeping;
bool acked[VALS], gone[VALS]; byte last[2];

#define CR if :: skip :: atomic { crashes > 0 -> crashes--; dead[id] = 1; goto died } fi

#define SAME(j) (lap[j] == l && st[j] == s && own[j] == o && rdc[j] == r)
#define LOADW(j) d_step { l = lap[j]; s = st[j]; o = own[j]; r = rdc[j] }
#define HELD ((s == FULL || s == TAKEN) && o != 0)
#define BACK (s == FULL && o == 0 && r > 0)
#ifdef BAD_MOVE
#define MOVABLE (s == FULL)
#else
#define MOVABLE (s == FULL && (o != 0 || r > 0))
#endif
#define ORPHAN (o != 0 && o != SEAL && dead[o])
#ifdef BAD_RDC
#define COUNTED r
#else
#define COUNTED r + 1
#endif
#define PEND rd = (rd / 2 + 1) * 2 + 1

inline mend(j) {
	if
	:: s == WR ->
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
	byte t, u, i, n, l, s, o, r, k, tries;

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
		:: l == t / N && s == FREE && o == 0 ->
			CR;
			if
			:: atomic { SAME(i) -> st[i] = WR; own[i] = id };
				CR;
				tail = t + 1;
				CR;
				val[i] = (id - 1) * 4 + k;
				CR;
				if
				:: d_step { assert(st[i] == WR && own[i] == id && lap[i] == l && !ended);
					st[i] = FULL; own[i] = 0; acked[(id - 1) * 4 + k] = 1; k++ }
#ifdef GIVEUP
				:: d_step { st[i] = FREE; own[i] = 0; lap[i] = l + 1; k++ }
#endif
				fi
			:: atomic { !SAME(i) -> skip }; goto again
			fi
		:: l == t / N && s == FREE && o == SEAL -> break
		:: l == t / N && s != FREE -> t++; goto again
		:: l > t / N ->
			u = (l - (s == FREE -> 1 : 0)) * N + i;
			t = (u > t -> u : t) + 1;
			u = 0;
			goto again
		:: l < t / N ->
			assert(l + 1 == t / N && s != FREE);
			n = 0; u = t;
			do
			:: n == N -> goto occupied
			:: else ->
				CR;
				LOADW(u % N);
				if
				:: l == u / N && s == FREE && o == 0 -> break
				:: l > u / N || (l == u / N && (s != FREE || o != 0)) -> goto again
				:: l < u / N && ORPHAN -> CR; mend(u % N); goto again
				:: l < u / N && !ORPHAN && s == TAKEN -> goto occupied
				:: l < u / N && !ORPHAN && MOVABLE -> n++; u++
				:: l < u / N && !ORPHAN && s != TAKEN && !MOVABLE -> goto occupied
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
died:	atomic { fin++; t = 0; u = 0; i = 0; n = 0; l = 0; s = 0; o = 0; r = 0; k = 0; tries = 0 }
}

proctype Cons(byte id) {
	byte h, i, l, s, o, r, k, q, v, u; bool lease, wait; bool reborn;

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
			CR;
			if
			:: atomic { SAME(i) -> own[i] = id; st[i] = (lease -> FULL : TAKEN);
				if
				:: r == 0 -> assert(last[val[i] / 4] <= val[i] % 4); last[val[i] / 4] = val[i] % 4 + 1
				:: else
				fi };
				CR;
				head = h + 1;
				goto got
			:: atomic { !SAME(i) -> skip }; goto again
			fi
		:: l > h / N ->
			/* last position of this slot that must have been passed, if it is beyond h */
#ifdef BAD_JUMP
			u = 1;
#else
			u = (s == FREE -> 2 : 1);
#endif
			h = (l >= u && (l - u) * N + i > h -> (l - u) * N + i : h) + 1;
			goto again
		:: l < h / N ->
			assert(l + 1 == h / N && (BACK || HELD));
			if
			:: BACK -> CR; PEND; goto look
			:: HELD && dead[o] -> CR; mend(i); goto look
			:: HELD && !dead[o] -> k++ /* empty */
			fi
		:: l == h / N && ORPHAN -> CR; mend(i); goto look
		:: l == h / N && s == WR && !ORPHAN -> k++
		:: l == h / N && HELD && !ORPHAN -> h++; goto again
		:: l == h / N && s == FREE && o == 0 ->
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
		:: l == h / N && s == FREE && o == SEAL ->
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
		d_step { v = 0; l = 0; s = 0; o = 0; r = 0; i = 0; u = 0; q = 0; h = 0; wait = 0; lease = 0 }
	od;
	goto out;
died:	skip;
	d_step { v = 0; l = 0; s = 0; o = 0; r = 0; i = 0; u = 0; q = 0; h = 0; wait = 0; lease = 0 };
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
	byte id, x, g, i, l, s, o, r;

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
		:: o == x && s == WR && dead[x] ->
			if
			:: atomic { SAME(i) -> st[i] = FREE; own[i] = 0; lap[i] = l + 1 }
			:: atomic { !SAME(i) -> skip }
			fi
		:: o == x && s != WR && s != FREE && dead[x] ->
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
		sweeping--; x = 0; g = 0; i = 0; l = 0; s = 0; o = 0; r = 0
	};
	goto end
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
