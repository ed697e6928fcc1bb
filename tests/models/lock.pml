/*
 * The robust lock of core/segment/lock.c: owner and W in one word, sleepers watch the word and the live
 * words of all others. A process may be killed before each of its shared accesses and while it sleeps;
 * the kernel wakes one sleeper of a dead one's live word. Sequentially consistent. The sequence number
 * is left out: every compare-exchange here is weaker than the real one.
 *
 * Shown: who is not killed ends (no sleeper is left behind), and only its owner is inside.
 *
 * K acquisitions each, CRASH kills, TMO time-outs; NOW: a waiter that slept forgets W; NOWATCH: the
 * holder's live word alone is watched. NOCHAIN (whoever a death woke does not wake the others) holds: one
 * waiter is enough for a lock. Events need the chain (event.pml).
 *
 * run: -DK=1 -DCRASH=1 -DTMO=1
 * run: -DK=1 -DCRASH=2 -DTMO=0
 * run: -DK=1 -DCRASH=2 -DTMO=0 -DNOCHAIN
 * long: -DK=2 -DCRASH=1 -DTMO=1
 * long: -DK=2 -DCRASH=2 -DTMO=0
 * breaks: -DK=2 -DCRASH=0 -DTMO=0 -DNOW
 * breaks: -DK=1 -DCRASH=2 -DTMO=0 -DNOWATCH
 */
#define NT 3
byte lo;               /* owner, 0 free */
bit W;
bool asleep[NT + 1];
byte watch[NT + 1];    /* bit i: sleeps on i's live word */
byte dead;             /* bit i: OWNER_DIED */
byte crashes = CRASH, timeouts = TMO;
byte inside;           /* who is between lock and unlock */

#define B(i) (1 << (i))
#define CR if :: skip :: atomic { crashes > 0 -> crashes--; goto died } fi

/* FUTEX_WAKE of one, or of all, on the lock word */
inline wake_one() {
	atomic {
		if
		:: asleep[1] -> asleep[1] = 0
		:: asleep[2] -> asleep[2] = 0
		:: asleep[3] -> asleep[3] = 0
		:: !asleep[1] && !asleep[2] && !asleep[3] -> skip
		fi
	}
}

/* FUTEX_WAKE of all on the live words of those in set */
inline wake_watchers(set) {
	d_step {
		if :: watch[1] & set -> asleep[1] = 0 :: else fi;
		if :: watch[2] & set -> asleep[2] = 0 :: else fi;
		if :: watch[3] & set -> asleep[3] = 0 :: else fi
	}
}

proctype T(byte id) {
	byte o, mine, k;
	bit w, slept;

	do
	:: k >= K -> break
	:: else ->
	slept = 0;
again:	CR;
	d_step { o = lo; w = W };
	if
	:: o == 0 -> CR;
		atomic {
			if
			:: lo == 0 && W == w -> lo = id;
#ifdef NOW
				W = 0;
#else
				W = w | slept;
#endif
				goto got
			:: else
			fi
		};
		goto again
	:: o != 0 && (dead & B(o)) -> CR;
		atomic {
			if
			:: lo == o && W == w -> lo = id; W = 1; inside = 0; goto got
			:: else
			fi
		};
		goto again
	:: else
	fi;
	if
	:: w == 0 -> CR; d_step { if :: lo == o && W == 0 -> W = 1; w = 1 :: else fi }
	:: else
	fi;
	if :: w == 0 -> goto again :: else fi;
	/* whom to watch: those who are dead already are left out */
	CR;
#ifdef NOWATCH
	mine = B(o) & ~dead;
#else
	mine = (B(1) | B(2) | B(3)) & ~B(id) & ~dead;
#endif
	/* the word again, and its owner */
	CR;
	if :: lo != o || W == 0 || (dead & B(o)) -> goto again :: else fi;
	CR;
	atomic {
		if
		:: lo == o && W == 1 && !(dead & mine) -> asleep[id] = 1; watch[id] = mine
		:: else
		fi
	};
	if
	:: !asleep[id]
	:: atomic { asleep[id] && crashes > 0 -> crashes--; asleep[id] = 0; goto died }
	:: atomic { asleep[id] && timeouts > 0 -> timeouts--; asleep[id] = 0; watch[id] = 0; goto gave_up }
	fi;
	watch[id] = 0;
#ifndef NOCHAIN
	if
	:: dead & mine -> CR; wake_watchers(dead & mine)
	:: else
	fi;
#endif
	slept = 1;
	goto again;
gave_up:
	CR; wake_one(); goto next;
got:	assert(inside == 0); inside = id;
	CR;
	assert(lo == id && inside == id); inside = 0;
	d_step { w = W; lo = 0; W = 0 };
	CR;
	if :: w -> wake_one() :: else fi;
next:	k++
	od;
	goto out;
died:	atomic {
		watch[id] = 0;
		dead = dead | B(id);
		if
		:: asleep[1] && (watch[1] & B(id)) -> asleep[1] = 0
		:: asleep[2] && (watch[2] & B(id)) -> asleep[2] = 0
		:: asleep[3] && (watch[3] & B(id)) -> asleep[3] = 0
		:: else
		fi
	};
out:	skip
}

init { atomic { run T(1); run T(2); run T(3) } }
