/* SPDX-License-Identifier: MIT */
/*
 * The cells of core/kinds/cells.h as core/kinds/pool.c has them: acquiring, releasing, giving what one has to nobody,
 * claiming what is nobody's, releasing that, closing, and the mending of the dead, which is done by the sweep and by
 * who finds nothing free. Sequentially consistent; a process may die before each change of a cell, he who
 * mends as well.
 *
 *	CAP cells   NU users of K calls each   CRASH deaths
 *	REUSE  a dead one's number is used again once it has been swept
 *
 * Checked: one has an object at a time, and nobody loses one that he has; nothing is released twice; at last the
 * dead have none, and as many are free as are neither somebody's nor nobody's.
 *
 * BAD_x plant a mistake each: SEQ acquiring does not count; BLIND who mends does not compare; ALIVE he does not ask
 * whether the owner lives; CLAIM claiming does not compare; SWEEP the dead are not
 * swept.
 *
 * Not modelled: weak memory, waiting (event.pml), the hint, descriptors, which are owners as threads are. Spin 6.5:
 *
 * run: -DCAP=1 -DNU=2 -DK=3 -DCRASH=2 -DREUSE
 * run: -DCAP=2 -DNU=2 -DK=2 -DCRASH=1
 * run: -DCAP=2 -DNU=3 -DK=1 -DCRASH=1
 *	1.8, 0.9, 3.7 million states; 330 MB, five seconds
 * breaks: -DBAD_SEQ -DCAP=1 -DNU=2 -DK=3 -DCRASH=1 -DREUSE
 * breaks: -DBAD_BLIND -DCAP=1 -DNU=3 -DK=1 -DCRASH=1
 * breaks: -DBAD_ALIVE -DCAP=1 -DNU=2 -DK=1
 * breaks: -DBAD_CLAIM -DCAP=1 -DNU=2 -DK=2
 * breaks: -DBAD_SWEEP -DCAP=1 -DNU=2 -DK=1 -DCRASH=1
 */
#ifndef CRASH
#define CRASH 0
#endif
#define NOBODY 200

byte own[CAP], seq[CAP];

/* ghost */
byte crashes = CRASH, fin;
bool dead[NU + 3];
byte has[CAP]; /* whose it is, alive; NOBODY; or 0: free, or a dead one's */

#define CR if :: skip :: atomic { crashes > 0 -> crashes--; dead[id] = 1; lose(); goto died } fi
#ifdef BAD_SEQ
#define COUNTED s
#else
#define COUNTED s + 1
#endif
#ifdef BAD_ALIVE
#define LIVES(x) false
#else
#define LIVES(x) (!dead[x])
#endif
#define LOAD d_step { o = own[i]; s = seq[i] }
#define SAME (own[i] == o && seq[i] == s)

inline lose()
{
	j = 0;
	do
	:: j < CAP -> if :: has[j] == id -> has[j] = 0 :: else fi; j++
	:: else -> break
	od;
	j = 0
}

/* ipk_cells_mend(): n how many */
inline mend()
{
	n = 0;
	i = 0;
	do
	:: i < CAP ->
		LOAD;
		if
#ifndef BAD_SWEEP
		:: o && o != NOBODY && o != id && !LIVES(o) ->
			CR;
			d_step {
				if
#ifdef BAD_BLIND
				:: true ->
#else
				:: SAME ->
#endif
					assert(has[i] == 0); own[i] = 0; n++
				:: else
				fi
			}
#endif
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0; o = 0; s = 0
}

/* try_acquire(), for who: from any cell on */
inline acquire(who)
{
	do
	:: true ->
		if :: i = 0 :: CAP > 1 -> i = CAP - 1 fi;
		n = 0;
		do
		:: n < CAP ->
			LOAD;
			if
			:: o == 0 ->
				CR;
				d_step {
					if
					:: SAME -> assert(has[i] == 0); own[i] = who; seq[i] = COUNTED; has[i] = who; got = 1
					:: else
					fi
				}
			:: else -> i = (i + 1) % CAP; n++
			fi;
			if :: got -> break :: else fi
		:: else -> break
		od;
		n = 0;
		if
		:: got -> d_step { if :: who == id -> mine[i] = seq[i] + 1 :: else fi }; break
		:: else
		fi;
		mend();
		if
		:: n == 0 -> break
		:: else -> n = 0
		fi
	od;
	got = 0; i = 0; o = 0; s = 0
}

/* ipk_pool_release() of what is mine or nobody's */
inline release()
{
	do
	:: true ->
		LOAD;
		if
		:: o == 0 || (o != id && o != NOBODY) -> break
		:: else
		fi;
		CR;
		d_step {
			if
			:: SAME -> assert(has[i] == o); own[i] = 0; has[i] = 0; mine[i] = 0; got = 1
			:: else
			fi
		};
		if :: got -> break :: else fi
	od;
	got = 0; o = 0; s = 0
}

inline give()
{
	LOAD;
	if
	:: o == id ->
		CR;
		d_step { assert(SAME && has[i] == id); own[i] = NOBODY; has[i] = NOBODY; mine[i] = 0 }
	:: else
	fi;
	o = 0; s = 0
}

inline claim()
{
	LOAD;
	if
	:: o == NOBODY ->
		CR;
		d_step {
			if
#ifdef BAD_CLAIM
			:: true ->
#else
			:: SAME ->
#endif
				assert(has[i] == NOBODY); own[i] = id; seq[i] = COUNTED; has[i] = id; mine[i] = seq[i] + 1
			:: else
			fi
		}
	:: else
	fi;
	o = 0; s = 0
}

proctype user(byte id)
{
	byte k, i, j, n, o, s, mine[CAP];
	bool got, reborn;

start:	do
	:: k < K ->
		k++;
		if
		:: acquire(id)
		:: acquire(NOBODY)
		:: atomic { if :: i = 0 :: CAP > 1 -> i = CAP - 1 fi };
			if
			:: release()
			:: give()
			:: claim()
			fi;
			i = 0
		fi
	:: else -> break
	od;
	/* ipk_pool_close() */
	do
	:: i < CAP ->
		if
		:: mine[i] ->
			CR;
			d_step {
				if
				:: own[i] == id && seq[i] + 1 == mine[i] ->
					assert(has[i] == id); own[i] = 0; has[i] = 0
				:: else
				fi
			}
		:: else
		fi;
		i++
	:: else -> break
	od;
	goto out;
died:	skip;
	d_step {
		i = 0; j = 0; n = 0; o = 0; s = 0; got = 0;
		do
		:: j < CAP -> mine[j] = 0; j++
		:: else -> break
		od;
		j = 0
	};
#ifdef REUSE
	if
	:: atomic { !reborn && !dead[id] -> reborn = 1 }; goto start
	:: true
	fi;
#endif
out:	atomic { k = 0; i = 0; fin++ }
}

#define NAMES(x) (own[0] == (x) || own[CAP - 1] == (x))

#if CRASH > 0
proctype sweeper(byte id)
{
	byte x, i, j, n, o, s, times;

	do
	:: times < CRASH ->
		atomic { crashes + times < CRASH || fin == NU -> times++ };
		mend();
		x = 1;
		do
		:: x <= NU -> d_step { if :: dead[x] && !NAMES(x) -> dead[x] = 0 :: else fi; x++ }
		:: else -> break
		od
	:: else -> break
	od;
died:	fin++
}
#endif

init
{
	byte id, i, j, n, o, s;

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
	do
	:: i < CAP -> assert(own[i] == has[i] && (own[i] == 0 || own[i] == NOBODY)); i++
	:: else -> break
	od;
died:	skip
}
