/* SPDX-License-Identifier: MIT */
/*
 * The reader-writer lock of core/kinds/rwlock.c, with the writer's word of mutex_word.c: read, write, what
 * turns who away, and what any of them, or a sweep, mends of the dead. Sequentially consistent, as these words
 * are; a process may die before each shared access, he who mends as well.
 *
 *	NR readers, NW writers, K rounds each   P places   CRASH deaths   TRY  a writer may give his claim up
 *
 * Checked: nobody reads or writes beside a writer; who reads or writes after a writer's death was told of it,
 * that is, only a writer gets in, until he declares it whole; at last nothing is held, and another reader and
 * another writer get in.
 *
 * BAD_x plant a mistake each: LOOK a reader looks at the word before he takes his place and not after; HIGH
 * high does not cover the place that is taken; CELL a dead writer's claim counts as his being in; DIED his death in the
 * lock does not; ENTER a writer looks for readers before his claim and not after; SHARED a reader does not say that
 * readers may be in; LATER he says it when he is in; DEAD the death of who claims takes SHARED away; RETREAT so does his
 * giving up.
 *
 * Not modelled: weak memory, waiting (event.pml), depth, which is its owner's, holders by descriptor.
 * Spin 6.5:
 *
 * run: -DNR=1 -DNW=1 -DK=1 -DCRASH=1
 * run: -DNR=1 -DNW=1 -DK=2 -DCRASH=1 -DTRY
 * run: -DNR=2 -DNW=1 -DK=1 -DP=1
 * run: -DNR=1 -DNW=2 -DK=1 -DCRASH=1 -DTRY
 * run: -DNR=2 -DNW=1 -DK=1 -DTRY
 * long: -DNR=2 -DNW=1 -DK=2 -DTRY
 *	0.003, 0.05, 0.03, 0.1, 0.2 million states, 300 MB, a second; 27 million, two minutes
 * breaks: -DBAD_LOOK -DNR=1 -DNW=1 -DK=2
 * breaks: -DBAD_HIGH -DNR=1 -DNW=1 -DK=1
 * breaks: -DBAD_CELL -DNR=1 -DNW=1 -DK=1 -DCRASH=1
 * breaks: -DBAD_DIED -DNR=1 -DNW=1 -DK=1 -DCRASH=1
 * breaks: -DBAD_ENTER -DNR=1 -DNW=1 -DK=1
 * breaks: -DBAD_SHARED -DNR=1 -DNW=1 -DK=1
 * breaks: -DBAD_LATER -DNR=1 -DNW=1 -DK=1
 * breaks: -DBAD_DEAD -DNR=1 -DNW=2 -DK=1 -DCRASH=1
 * breaks: -DBAD_RETREAT -DNR=1 -DNW=2 -DK=1 -DTRY
 */
#ifndef CRASH
#define CRASH 0
#endif
#ifndef P
#define P 2
#endif
#define IDS (NR + NW + 2)

/* The word: seq counts takings, so that an old word in hand is known for one. */
byte owner, seq;
bool shared, died;
byte cell[P], cseq[P], high;

byte crashes = CRASH;
bool dead[IDS];
byte reading, writing; /* who are in and alive */
bool broken;           /* ghost: a writer died in it, and nobody declared it whole */
byte fin;

#define CR if :: skip :: atomic { crashes > 0 -> crashes--; dead[id] = 1; goto died_ } fi
#define GONE(x) (dead[x])

/* ipk_mtx_mend(): a dead owner's word becomes nobody's, if it still is what was seen. */
inline mend_word()
{
	d_step { o = owner; s = seq };
	if
	:: o && GONE(o) ->
		CR;
		d_step {
			if
			:: owner == o && seq == s ->
				if
#ifdef BAD_CELL
				:: true -> died = 1
#elif defined(BAD_DIED)
				:: true -> skip
#elif defined(BAD_DEAD)
				:: shared -> shared = 0
				:: else -> died = 1
#else
				:: shared -> skip
				:: else -> died = 1
#endif
				fi;
				owner = 0
			:: else
			fi
		}
	:: else
	fi
}

inline mend_cells()
{
	i = 0;
	do
	:: i < P ->
		d_step { o = cell[i]; s = cseq[i] };
		if
		:: o && GONE(o) -> CR; d_step { if :: cell[i] == o && cseq[i] == s -> cell[i] = 0 :: else fi }
		:: else
		fi;
		i++
	:: else -> break
	od
}

/* look_for_writer(): yes = 0 none, 1 somebody lives there, 2 suspect; s and sh are what was seen. */
inline look()
{
	do
	:: true ->
		CR;
		d_step { o = owner; s = seq; sh = shared; yes = died };
		if
		:: o == 0 -> if :: yes -> yes = 2 :: else fi; break
		:: o && !GONE(o) -> yes = 1; break
		:: else -> mend_word()
		fi
	od
}

/* share(): it was seen SHARED, or becomes so, if it still is what was seen; else yes = 3: look again. */
inline share()
{
	if
	:: yes == 0 && !sh ->
		CR;
		d_step {
			if
			:: owner == 0 && !died && !shared && seq == s -> shared = 1
			:: else -> yes = 3
			fi
		}
	:: else
	fi
}

proctype reader(byte id)
{
	byte k, i, o, s, yes, mine;
	bool sh;

	do
	:: k == K -> break
	:: k < K ->
		k++;
		look();
		if
		:: yes -> goto next
		:: else
		fi;
		/* raise_high(), then a place: home first, which is any here */
		if :: mine = 0 :: P > 1 -> mine = P - 1 fi;
#ifndef BAD_HIGH
		CR; d_step { if :: high < mine + 1 -> high = mine + 1 :: else fi };
#endif
		CR;
		d_step {
			if
			:: cell[mine] == 0 -> cell[mine] = id; cseq[mine]++; yes = 0
			:: else -> yes = 1
			fi
		};
		if
		:: yes -> mend_cells(); goto next
		:: else
		fi;
		do
		:: true ->
#ifndef BAD_LOOK
			look();
#endif
#if !defined(BAD_SHARED) && !defined(BAD_LATER)
			share();
#endif
			if
			:: yes != 3 -> break
			:: else
			fi
		od;
		if
		:: yes == 0 ->
			/* in: until he leaves or dies, which ends the reading as well */
			atomic { assert(writing == 0 && !broken); reading++ };
#ifdef BAD_LATER
			atomic { if :: owner == 0 -> shared = 1 :: else fi };
#endif
			if
			:: skip -> reading--
			:: atomic { crashes > 0 -> crashes--; dead[id] = 1; reading--; goto died_ }
			fi
		:: else
		fi;
		CR; d_step { assert(cell[mine] == id); cell[mine] = 0 };
next:		skip
	od;
died_:
	fin++
}

inline look_for_readers()
{
	CR; hi = high;
	yes = 0;
	i = 0;
	do
	:: i < hi && i < P ->
		CR;
		d_step { o = cell[i]; s = cseq[i] };
		if
		:: o && GONE(o) -> CR; d_step { if :: cell[i] == o && cseq[i] == s -> cell[i] = 0 :: else fi }
		:: o && !GONE(o) -> yes = 1; i++
		:: else -> i++
		fi
	:: else -> break
	od
}

proctype writer(byte id)
{
	byte k, i, o, s, yes, hi;

	do
	:: k == K -> break
	:: k < K ->
		k++;
#ifdef BAD_ENTER
		do :: look_for_readers(); if :: yes :: else -> break fi od;
#endif
		/* try_claim(): free, or of a dead one, whose death in it is passed on */
		do
		:: true ->
			mend_word();
			CR;
			atomic {
				if
				:: owner == 0 && shared -> owner = id; seq++; yes = 0
				:: owner == 0 && !shared ->
					owner = id;
					seq++;
					yes = 2;
					/* in, at this very step */
					assert(reading == 0 && writing == 0 && died == broken);
					writing++
				:: else -> yes = 1
				fi
			};
			if
			:: yes == 0 -> break
			:: yes == 2 -> goto in
			:: else -> owner == 0 || GONE(owner)
			fi
		od;
#ifndef BAD_ENTER
		do
		:: look_for_readers();
			if
			:: yes == 0 -> break
#ifdef TRY
			:: yes -> goto retreat
#endif
			:: yes
			fi
		od;
#endif
		CR;
		atomic { shared = 0; assert(reading == 0 && writing == 0 && died == broken); writing++ };
in:		/* dies, or has declared it whole and leaves */
		if
		:: atomic { crashes > 0 -> crashes--; dead[id] = 1; writing--; broken = 1; goto died_ }
		:: atomic { died -> died = 0; broken = 0 }
		:: atomic { !died }
		fi;
		atomic { writing--; owner = 0 };
		goto next;
retreat:
#ifdef BAD_RETREAT
		CR; d_step { assert(owner == id && shared); owner = 0; shared = 0 };
#else
		CR; d_step { assert(owner == id && shared); owner = 0 };
#endif
next:		skip
	od;
died_:
	fin++
}

init
{
	byte id, i, o, s, yes, hi;

	atomic {
		i = 0;
		do
		:: i < NR -> run reader(i + 1); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NW -> run writer(NR + i + 1); i++
		:: else -> break
		od;
		i = 0
	}
	fin == NR + NW;
	id = IDS - 1;
	crashes = 0;
	mend_word();
	mend_cells();
	assert(owner == 0 && died == broken && !(died && shared));
	look_for_readers();
	assert(yes == 0 && high <= P);
	i = 0;
	do
	:: i < P -> assert(cell[i] == 0); i++
	:: else -> break
	od;
died_:
	skip
}
