/* SPDX-License-Identifier: MIT */
/*
 * The ring of core/kinds/ring*.c: roles that pass on, pushing, popping and showing, the lock of many producers,
 * shutting and who decides where it ends, and what the next owner, or a sweep, makes of a death. Sequentially
 * consistent but for TSO; a process may die before each shared access, who sweeps as well.
 *
 *	LAP units   NP producers of KP tries   NC consumers of KC tries   CRASH deaths
 *	RECORDS  words and payload in one memory, of one and two units, with the overflow; else cells
 *	MANY     producers under the lock instead of with the role
 *	SHUT     a process shuts the ring at some time
 *	REUSE    a dead one's number is used again once it has been swept
 *	TSO      the store of a cell's tail is seen later than the producer's next look at shut; 1 becomes 2
 *	         only when what was under way at the 1 has been seen, which is what SLICE is for
 *
 * Checked: one has a role at a time; what is popped is what was published, in order; a word is read only where
 * one is; nothing unread is overwritten; what a dead consumer was shown is marked; whoever is told the end
 * misses nothing acknowledged, then or later; nothing refused is delivered; at last the next consumer finds
 * the rest, the next producer the place, and there is room for all.
 *
 * BAD_x plant a mistake each: SEQ taking a role does not count; ZERO the next word is not cleared; EARLY the word
 * comes before the payload; TAIL the hint comes before the word; WALK the hint is taken for the place; FULL no unit
 * is left for the next word; SEEN a producer notes a head that is not there yet; SHOW the mark comes after the look;
 * FREE the head goes on before the copy; LOOK the consumer asks for shut after he looked; DECIDE a producer does not
 * decide; AGREE the consumer does not ask what was decided; BACK what does not count stays acknowledged; SLICE
 * 1 becomes 2 at once.
 *
 * Not modelled: other weakness of memory, waiting (event.pml), the lock itself (lock.pml), laps of position,
 * several cells at once, checksums, reset. Spin 6.5:
 *
 * run: -DNP=1 -DNC=2 -DKP=3 -DKC=2 -DCRASH=1 -DPEEK
 * run: -DREUSE -DNP=1 -DNC=2 -DKP=1 -DKC=1 -DCRASH=1
 * run: -DPASS -DRECORDS -DNP=2 -DNC=1 -DKP=2 -DKC=3
 * run: -DRECORDS -DNP=2 -DNC=1 -DKP=2 -DKC=2 -DCRASH=1
 * run: -DRECORDS -DPEEK -DNP=1 -DNC=1 -DKP=3 -DKC=3 -DCRASH=1 -DREUSE
 * run: -DRECORDS -DSHUT -DNP=1 -DNC=1 -DKP=2 -DKC=2 -DCRASH=1
 * run: -DMANY -DRECORDS -DSHUT -DNP=2 -DNC=1 -DKP=1 -DKC=2 -DCRASH=1
 * run: -DTSO -DSHUT -DNP=1 -DNC=1 -DKP=2 -DKC=2
 *	4.4, 0.5, 4.7, 2.7, 0.4, 0.3, 4.8, 0.04 million states; up to 480 MB, ten seconds each
 * breaks: -DBAD_SEQ -DREUSE -DNP=1 -DNC=2 -DKP=1 -DKC=2 -DCRASH=1
 * breaks: -DBAD_ZERO -DRECORDS -DNP=1 -DNC=1 -DKP=3 -DKC=3
 * breaks: -DBAD_EARLY -DRECORDS -DNP=1 -DNC=1 -DKP=2 -DKC=2
 * breaks: -DBAD_TAIL -DRECORDS -DNP=2 -DNC=1 -DKP=1 -DKC=1 -DCRASH=1
 * breaks: -DBAD_WALK -DRECORDS -DNP=2 -DNC=1 -DKP=1 -DKC=1 -DCRASH=1
 * breaks: -DBAD_FULL -DRECORDS -DNP=1 -DNC=1 -DKP=4 -DKC=1
 * breaks: -DBAD_SEEN -DRECORDS -DMANY -DNP=1 -DNC=1 -DKP=4 -DKC=1
 * breaks: -DBAD_SHOW -DPEEK -DNP=1 -DNC=2 -DKP=1 -DKC=1 -DCRASH=1
 * breaks: -DBAD_FREE -DNP=1 -DNC=1 -DKP=4 -DKC=2
 * breaks: -DBAD_LOOK -DSHUT -DNP=1 -DNC=1 -DKP=2 -DKC=2
 * breaks: -DBAD_DECIDE -DSHUT -DNP=1 -DNC=1 -DKP=2 -DKC=2
 * breaks: -DBAD_AGREE -DSHUT -DNP=1 -DNC=1 -DKP=2 -DKC=2
 * breaks: -DBAD_BACK -DSHUT -DNP=1 -DNC=1 -DKP=2 -DKC=2
 * breaks: -DBAD_SLICE -DTSO -DSHUT -DNP=1 -DNC=1 -DKP=2 -DKC=2
 */
#ifndef CRASH
#define CRASH 0
#endif
#ifndef LAP
#ifdef RECORDS
#define LAP 4
#else
#define LAP 2
#endif
#endif
#define VALS (NP * KP)
#define SWEEPER (NP + NC + 1)
#define PAYLOAD 16 /* bytes above it are no words */
#ifdef TSO
#define SEEN_DEAD(x) (dead[x] && !pend)
#define DRAIN !pend
#else
#define SEEN_DEAD(x) dead[x]
#define DRAIN true
#endif

/* shared */
byte pown, pseq, cown, cseq; /* role words */
byte mem[LAP + 1], tail, head, shown, ends, shut;
byte lock, seen;
#ifdef TSO
bool pend, old; /* a tail on its way; it was when shut became 1 */
byte pendpos, pval;
#endif

/* ghost */
byte crashes = CRASH, fin;
bool dead[NP + NC + 3];
byte pin, cin;                                /* who is in a role, alive */
byte gval[VALS + 1], glen[VALS + 1], gpub, gdel, gshown;
bool acked[VALS], refused[VALS], gone[VALS], ended;

#define KILL crashes--; dead[id] = 1; \
	if :: pin == id -> pin = 0 :: else fi; if :: cin == id -> cin = 0 :: else fi
#define CR if :: skip :: atomic { crashes > 0 -> KILL; goto died } fi
/* A death between two stores shows nowhere but at the second. */
#define ST(...) atomic { if :: skip :: crashes > 0 -> KILL; goto died fi; __VA_ARGS__ }

#ifdef BAD_SEQ
#define COUNTED(x) x
#else
#define COUNTED(x) x + 1
#endif

/* ipk_ring_take_role(): got = 0 busy. */
inline take_role(own, seq, in)
{
	got = 0;
	do
	:: true ->
		d_step { o = own; q = seq };
		if
		:: o && !SEEN_DEAD(o) -> break
		:: else
		fi;
		CR;
		atomic {
			if
			:: own == o && seq == q ->
				assert(in == 0);
				own = id; seq = COUNTED(seq); in = id; got = 1
			:: else
			fi
		};
		if
		:: got -> break
		:: else
		fi
	od;
	o = 0; q = 0
}

inline leave(own, in)
{
	DRAIN;
	ST(d_step { assert(own == id && in == id); own = 0; in = 0 })
}

/* ---- producing --------------------------------------------------------------------------------- */

/* ipk_ring_find_tail() */
inline find_tail()
{
	pos = tail;
#if defined(RECORDS) && !defined(BAD_WALK)
	do
	:: true ->
		w = mem[pos % LAP];
		assert(w < PAYLOAD);
		if
		:: w == 0 -> break
		:: else -> pos = pos + w
		fi
	od
#endif
}

#ifdef RECORDS
#ifdef BAD_FULL
#define ROOM (LAP - (pos - hd) >= m)
#else
#define ROOM (LAP - (pos - hd) >= m + 1)
#endif
#else
#define ROOM (LAP - (pos - hd) >= 1)
#endif

inline ghost_publish(x, n)
{
	gval[gpub] = x; glen[gpub] = n; gpub++
}

inline publish()
{
#ifdef RECORDS
#ifdef BAD_TAIL
	ST(tail = pos + m);
#endif
#ifdef BAD_EARLY
	ST(mem[(pos + m) % LAP] = 0);
	ST(d_step { mem[pos % LAP] = m; ghost_publish(v, m) });
	if :: m == 2 -> ST(mem[pos % LAP + 1] = PAYLOAD + v) :: else fi;
#else
	if :: m == 2 -> ST(mem[pos % LAP + 1] = PAYLOAD + v) :: else fi;
#ifndef BAD_ZERO
	ST(mem[(pos + m) % LAP] = 0);
#endif
	ST(d_step { assert(pos + m - head < LAP); mem[pos % LAP] = m; ghost_publish(v, m) });
#endif
	pos = pos + m;
	ST(tail = pos)
#else
	ST(mem[pos % LAP] = PAYLOAD + v);
	pos++;
#ifdef TSO
	!pend;
	ST(d_step { pend = 1; pendpos = pos; pval = v })
#else
	ST(d_step { assert(pos - head <= LAP); tail = pos; ghost_publish(v, 1) })
#endif
#endif
}

/* after_publishing(), decide(), take_back(): ok is whether it counts. */
inline after_publishing()
{
	ok = 1;
	if
#ifndef BAD_DECIDE
	:: shut ->
		DRAIN;
		CR;
		d_step {
			if
			:: ends == 0 -> ends = pos + 1
			:: else -> ok = (ends - 1 >= pos)
			fi
		};
		if
		:: !ok ->
			pos = pos - m;
#ifdef RECORDS
			ST(d_step { mem[pos % LAP] = 0; gpub--; assert(gval[gpub] == v && gdel <= gpub) });
			ST(tail = pos)
#else
			ST(d_step { tail = pos; gpub--; assert(gval[gpub] == v && gdel <= gpub) })
#endif
		:: else
		fi
#endif
	:: else
	fi
}

proctype producer(byte id)
{
	byte pos, hd, k, m, v, w, o, q;
	bool has, ok, got, reborn;

start:	do
	:: k < KP ->
		v = (id - 1) * KP + k;
		k++;
#ifdef RECORDS
		m = 2 - (v & 1);
#else
		m = 1;
#endif
#ifdef MANY
		atomic { (lock == 0 || dead[lock]) -> assert(pin == 0); lock = id; pin = id };
		find_tail();
		hd = seen;
#else
		if
		:: !has ->
			take_role(pown, pseq, pin);
			if :: !got -> goto next :: else fi;
			find_tail();
			hd = head;
			has = 1
		:: else
		fi;
#endif
		if :: shut -> refused[v] = 1; goto turned :: else fi;
		if
		:: !ROOM ->
			hd = head;
#ifdef MANY
#ifdef BAD_SEEN
			ST(seen = pos);
#else
			ST(seen = hd);
#endif
#endif
			if :: !ROOM -> goto turned :: else fi
		:: else
		fi;
		publish();
		after_publishing();
		d_step {
			if
#ifdef BAD_BACK
			:: true ->
#else
			:: ok ->
#endif
				acked[v] = 1; assert(!ended || gone[v])
			:: else -> refused[v] = 1; assert(!gone[v])
			fi
		};
turned:
#ifdef MANY
		ST(d_step { assert(lock == id); lock = 0; pin = 0 });
#else
		if
		:: skip
#ifdef PASS
		:: leave(pown, pin); has = 0; pos = 0; hd = 0
#endif
		fi;
#endif
next:		skip;
		d_step { v = 0; w = 0; m = 0; ok = 0; got = 0 }
	:: else -> break
	od;
#ifndef MANY
	if
	:: has -> leave(pown, pin)
	:: else
	fi;
#endif
	goto out;
died:	skip;
	d_step { has = 0; pos = 0; hd = 0; v = 0; w = 0; m = 0; ok = 0; got = 0; o = 0; q = 0 };
#ifdef REUSE
	if
	:: atomic { !reborn && !dead[id] -> reborn = 1 }; goto start
	:: true
	fi;
#endif
out:	atomic { k = 0; pos = 0; hd = 0; fin++ }
}

#ifdef TSO
proctype store()
{
end:	do
	:: d_step { pend -> tail = pendpos; ghost_publish(pval, 1); pend = 0; old = 0 }
	od
}
#endif

/* ---- consuming --------------------------------------------------------------------------------- */

inline settle()
{
	CR;
#if defined(TSO) && !defined(BAD_SLICE)
	!old;
#endif
	d_step { if :: shut == 1 -> shut = 2 :: else fi }
}

/* look(): w is the units of what is at pos, or 0; then done may have become true. */
inline look()
{
	do
	:: done -> w = 0; break
	:: !done ->
#ifndef BAD_LOOK
		s = shut;
#endif
#ifdef RECORDS
		w = mem[pos % LAP];
		assert(w < PAYLOAD);
#else
		w = (tail == pos -> 0 : 1);
#endif
		if :: w -> break :: else fi;
#ifdef BAD_LOOK
		s = shut;
#endif
		if
		:: s == 0 -> break
		:: s == 1 -> settle()
		:: s == 2 ->
			CR;
			d_step {
				if
				:: ends == 0 -> ends = pos + 1; done = 1
#ifdef BAD_AGREE
				:: ends -> done = 1
#else
				:: ends && ends - 1 <= pos -> done = 1
#endif
				:: else
				fi
			}
		fi
	od
}

proctype consumer(byte id)
{
	byte pos, again, k, s, v, w, o, q, was;
	bool has, done, got, reborn;

start:	do
	:: k < KC ->
		k++;
		if
		:: !has ->
			take_role(cown, cseq, cin);
			if :: !got -> goto next :: else fi;
			was = gshown;
			pos = head;
			again = shown;
			if :: again < pos -> again = pos :: else fi;
			done = (ends && pos >= ends - 1);
			has = 1
		:: else
		fi;
		look();
		if
		:: w ->
			/* pop, or show and release */
			if
			:: skip
#ifdef PEEK
			:: skip ->
#ifndef BAD_SHOW
				ST(if :: pos + w > shown -> shown = pos + w :: else fi);
#endif
				d_step {
					assert(gdel >= was || pos < again);
					if :: gdel + 1 > gshown -> gshown = gdel + 1 :: else fi
				};
#ifdef BAD_SHOW
				ST(if :: pos + w > shown -> shown = pos + w :: else fi);
#endif
#endif
			fi;
#ifdef BAD_FREE
			ST(head = pos + w);
#endif
#ifdef RECORDS
			if :: w == 2 -> v = mem[pos % LAP + 1] - PAYLOAD :: else -> v = gval[gdel] fi;
#else
			v = mem[pos % LAP] - PAYLOAD;
#endif
			CR;
			d_step {
				head = pos + w;
				assert(gdel < gpub && gval[gdel] == v && glen[gdel] == w);
				assert(!refused[v] && !gone[v] && !ended);
				gone[v] = 1;
				gdel++
			};
			pos = pos + w
		:: else ->
			if
			:: done ->
				d_step {
					ended = 1;
					v = 0;
					do
					:: v < VALS -> assert(!acked[v] || gone[v]); v++
					:: else -> break
					od
				}
			:: else
			fi
		fi;
		if
		:: skip
#ifdef PASS
		:: leave(cown, cin); has = 0; pos = 0; again = 0; was = 0; done = 0
#endif
		fi;
next:		skip;
		d_step { s = 0; v = 0; w = 0; got = 0 }
	:: else -> break
	od;
	if
	:: has -> leave(cown, cin)
	:: else
	fi;
	goto out;
died:	skip;
	d_step { has = 0; pos = 0; again = 0; done = 0; s = 0; v = 0; w = 0; got = 0; o = 0; q = 0; was = 0 };
#ifdef REUSE
	if
	:: atomic { !reborn && !dead[id] -> reborn = 1 }; goto start
	:: true
	fi;
#endif
out:	atomic { k = 0; pos = 0; again = 0; was = 0; done = 0; fin++ }
}

/* ---- the end, and sweeping --------------------------------------------------------------------- */

#ifdef SHUT
proctype shutter()
{
	d_step {
		shut = 1;
#ifdef TSO
		old = pend
#endif
	};
	/* Dies, or goes on as settle() does. */
	if
	:: true
#if defined(TSO) && !defined(BAD_SLICE)
	:: d_step { !old && shut == 1 -> shut = 2 }
#else
	:: d_step { shut == 1 -> shut = 2 }
#endif
	fi
}
#endif

/* mend_word() of both, and the lock's dead owner; then the numbers are free. */
proctype sweeper(byte id)
{
	byte o, q, x;

	crashes < CRASH || fin == NP + NC;
	do
	:: true ->
		d_step { o = pown; q = pseq };
		if
		:: o && SEEN_DEAD(o) -> ST(d_step { if :: pown == o && pseq == q -> pown = 0 :: else fi })
		:: else
		fi;
		d_step { o = cown; q = cseq };
		if
		:: o && SEEN_DEAD(o) -> ST(d_step { if :: cown == o && cseq == q -> cown = 0 :: else fi })
		:: else
		fi;
		ST(d_step { if :: lock && dead[lock] -> lock = 0 :: else fi });
		x = 1;
		do
		:: x < SWEEPER -> d_step { if :: dead[x] && x != pown && x != cown && x != lock -> dead[x] = 0 :: else fi; x++ }
		:: else -> break
		od;
		break
	od;
died:	skip;
	d_step { o = 0; q = 0; x = 0 };
	fin++
}

/* Nobody is left, and whoever comes next takes both roles. */
init
{
	byte i, pos;

	atomic {
		do
		:: i < NP + NC ->
			i++;
			if
			:: i <= NP -> run producer(i)
			:: else -> run consumer(i)
			fi
		:: else -> break
		od;
#ifdef TSO
		run store();
#endif
#ifdef SHUT
		run shutter();
#endif
#if CRASH > 0
		run sweeper(SWEEPER);
#else
		fin++
#endif
	}
	atomic { fin == NP + NC + 1 && DRAIN };
	d_step {
		assert((pown == 0 || dead[pown]) && (cown == 0 || dead[cown]) && (lock == 0 || dead[lock]));
		i = gdel;
		pos = head;
		do
		:: ends && pos >= ends - 1 -> break
#ifdef RECORDS
		:: !(ends && pos >= ends - 1) && mem[pos % LAP] ->
			assert(mem[pos % LAP] == glen[i]);
			assert(glen[i] == 1 || mem[pos % LAP + 1] == PAYLOAD + gval[i]);
#else
		:: !(ends && pos >= ends - 1) && pos != tail ->
			assert(mem[pos % LAP] == PAYLOAD + gval[i]);
#endif
			assert(i < gpub && !refused[gval[i]] && !gone[gval[i]]);
			gone[gval[i]] = 1;
			pos = pos + glen[i];
			i++
		:: else -> break
		od;
		assert(ends || i == gpub);
		i = 0;
		do
		:: i < VALS -> assert(!acked[i] || gone[i]); i++
		:: else -> break
		od;
		/* From the hint, the same place. */
		i = tail;
		assert(i <= pos || ends);
#ifdef RECORDS
		do
		:: !ends && mem[i % LAP] -> i = i + mem[i % LAP]
		:: else -> break
		od;
#endif
		assert(i == pos || ends)
	}
}
