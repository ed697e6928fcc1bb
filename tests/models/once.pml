/* SPDX-License-Identifier: MIT */
/*
 * The word of core/kinds/once.c: begin, done, abandon, reset, and the sweep. Sequentially consistent; a process may
 * die before each change of the word, he who sweeps as well.
 *
 *	NU users of K calls each   CRASH deaths
 *	REUSE  a dead one's number is used again once it has been swept
 *
 * Checked: one is at it at a time; who begins is told of a death in it exactly if there was one since it was last done
 * or reset; nobody resets under who is at it; it is done once until it is reset, and found done only then; at last
 * the word names nobody who is dead, and says what happened.
 *
 * BAD_x plant a mistake each: SEQ beginning does not count; ALIVE who begins does not ask whether the owner
 * lives; TELL from a dead owner's word it does not pass his death on; DIED the sweep does not note it; KEEP abandoning
 * forgets it; LIVE a reset does not ask; BLIND the sweep does not compare.
 *
 * Not modelled: weak memory, waiting (event.pml), descriptors, which are owners as threads are. Spin 6.5:
 *
 * run: -DNU=2 -DK=3 -DCRASH=2 -DREUSE
 * run: -DNU=3 -DK=1 -DCRASH=2 -DREUSE
 *	3.7, 1.5 million states; 330 MB, ten seconds
 * breaks: -DBAD_SEQ -DNU=2 -DK=4 -DCRASH=1 -DREUSE
 * breaks: -DBAD_ALIVE -DNU=2 -DK=1
 * breaks: -DBAD_TELL -DNU=2 -DK=1 -DCRASH=1
 * breaks: -DBAD_DIED -DNU=2 -DK=1 -DCRASH=1
 * breaks: -DBAD_KEEP -DNU=2 -DK=2 -DCRASH=1
 * breaks: -DBAD_LIVE -DNU=2 -DK=1
 * breaks: -DBAD_BLIND -DNU=2 -DK=1 -DCRASH=1
 */
#ifndef CRASH
#define CRASH 0
#endif

/* the word */
byte owner, seq;
bool died, isdone;

/* ghost */
byte crashes = CRASH, fin;
bool dead[NU + 3];
byte at_it;  /* who is, alive */
bool broken; /* somebody died in it */
bool gdone;

#define CR if :: skip :: atomic { crashes > 0 -> crashes--; dead[id] = 1; \
	if :: at_it == id -> at_it = 0; broken = 1 :: else fi; goto died_ } fi
#define LOAD o = owner; s = seq; d = died; f = isdone
#define SAME (owner == o && seq == s && died == d && isdone == f)

#ifdef BAD_SEQ
#define COUNTED s
#else
#define COUNTED s + 1
#endif
#ifdef BAD_ALIVE
#define BUSY false
#else
#define BUSY (o && !dead[o])
#endif

inline begin()
{
	do
	:: true ->
		d_step { LOAD; assert(!f || gdone) };
		if
		:: f || BUSY -> break
		:: else
		fi;
#ifdef BAD_TELL
		t = d;
#else
		t = (d || o);
#endif
		CR;
		atomic {
			if
			:: SAME ->
				assert(at_it == 0 && t == broken);
				owner = id; seq = COUNTED; died = t; at_it = id; mine = 1
			:: else
			fi
		};
		if
		:: mine -> break
		:: else
		fi
	od
}

inline end(how)
{
	CR;
	d_step {
		assert(owner == id && at_it == id);
		owner = 0;
		at_it = 0;
		isdone = how;
		if
		:: how -> assert(!gdone); gdone = 1; broken = 0; died = 0
		:: else
#ifdef BAD_KEEP
			-> died = 0
#endif
		fi
	}
}

inline reset()
{
	do
	:: true ->
		d_step { LOAD };
		if
#ifndef BAD_LIVE
		:: o && !dead[o] -> break
#endif
		:: else
		fi;
		CR;
		atomic {
			if
			:: SAME ->
				assert(at_it == 0);
				owner = 0; died = 0; isdone = 0; broken = 0; gdone = 0;
				break
			:: else
			fi
		}
	od
}

proctype user(byte id)
{
	byte k, o, s;
	bool d, f, t, mine, reborn;

start:	do
	:: k < K ->
		k++;
		if
		:: begin();
			if
			:: mine -> end(1)
			:: mine -> end(0)
			:: !mine
			fi
		:: reset()
		fi;
		skip;
		d_step { o = 0; s = 0; d = 0; f = 0; t = 0; mine = 0 }
	:: else -> break
	od;
	goto out;
died_:	skip;
	d_step { o = 0; s = 0; d = 0; f = 0; t = 0; mine = 0 };
#ifdef REUSE
	if
	:: atomic { !reborn && !dead[id] -> reborn = 1 }; goto start
	:: true
	fi;
#endif
out:	atomic { k = 0; fin++ }
}

inline mend()
{
	do
	:: true ->
		d_step { LOAD };
		if
		:: o == 0 || !dead[o] -> break
		:: else
		fi;
		CR;
		atomic {
			if
#ifdef BAD_BLIND
			:: true ->
#else
			:: SAME ->
#endif
				owner = 0;
#ifndef BAD_DIED
				died = 1;
#endif
				break
			:: else
			fi
		}
	od
}

#if CRASH > 0
proctype sweeper(byte id)
{
	byte n, o, s, x;
	bool d, f;

	do
	:: n < CRASH ->
		atomic { crashes + n < CRASH || fin == NU -> n++ };
		mend();
		x = 1;
		do
		:: x <= NU -> d_step { if :: dead[x] && x != owner -> dead[x] = 0 :: else fi; x++ }
		:: else -> break
		od
	:: else -> break
	od;
died_:	fin++
}
#endif

init
{
	byte id, o, s;
	bool d, f;

	atomic {
		do
		:: id < NU -> id++; run user(id)
		:: else -> break
		od;
#if CRASH > 0
		run sweeper(NU + 1)
#else
		fin++
#endif
	}
	fin == NU + 1;
	id = NU + 2;
	crashes = 0;
	mend();
	assert(owner == 0 && at_it == 0 && isdone == gdone && died == broken);
died_:	skip
}
