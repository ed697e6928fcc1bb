/* SPDX-License-Identifier: MIT */
/*
 * core/kinds/barrier.c: arrive, open, withdraw, leave, reset, and the burial of the dead. Sequentially consistent; a
 * process may die before each change of a word, he who buries as well.
 *
 * NP places, NU users of K calls each (wait, reset; with ALL arrive and leave as well), NS sweepers, CRASH deaths of
 * users and one of a sweeper
 * LEAVE  the dead leave; else they break it
 * REUSE  a dead one's number is used again once no place names it
 *
 * Checked: a generation is opened only when each place has arrived in it, or is LEFT, or is of one who is taking
 * his arrival back and has yet to learn that it counted; who gave up has not been counted; who goes on was in a
 * generation that was opened, who is told of a death in one that was not; no arrival is lost, and no place but by
 * dying; no death is forgotten; at last it does not stand with all arrived.
 *
 * BAD_x plant a mistake each: SILENT who withdraws does not change gen; EARLY he changes it before the place;
 * FORGET the dead one's place is freed before BROKEN is set; STALE who arrives does not look at gen again;
 * HISTORY a reset looks like an opening; AGAIN who buries does not look at the place again; COUNT an opener
 * does not compare the withdrawals; TWICE a reset does not bury first.
 *
 * Not modelled: weak memory, sleeping (event.pml), wrapping marks and counts.
 *
 * run: -DNP=2 -DNU=2 -DK=2 -DNS=1 -DCRASH=1
 * run: -DNP=2 -DNU=2 -DK=2 -DNS=1 -DCRASH=1 -DLEAVE
 * run: -DNP=2 -DNU=2 -DK=1 -DNS=2 -DCRASH=1 -DREUSE -DALL
 *	2.0, 2.1, 13.1 million states; 900 MB, 45 seconds
 * breaks: -DBAD_SILENT -DNP=2 -DNU=2 -DK=2 -DNS=1
 * breaks: -DBAD_EARLY -DNP=2 -DNU=2 -DK=2 -DNS=1
 * breaks: -DBAD_FORGET -DNP=2 -DNU=2 -DK=1 -DNS=1 -DCRASH=1
 * breaks: -DBAD_STALE -DNP=2 -DNU=2 -DK=3 -DNS=1 -DALL
 * breaks: -DBAD_HISTORY -DNP=2 -DNU=2 -DK=2 -DNS=1 -DCRASH=1 -DREUSE
 * breaks: -DBAD_AGAIN -DNP=2 -DNU=2 -DK=1 -DNS=2 -DCRASH=1
 * breaks: -DBAD_COUNT -DNP=2 -DNU=2 -DK=2 -DNS=1
 * breaks: -DBAD_TWICE -DNP=2 -DNU=2 -DK=1 -DNS=2 -DCRASH=1 -DALL
 */
#ifndef CRASH
#define CRASH 0
#endif
#define NOBODY 15

/* the words: gen {g, withdrawn, BROKEN, which ended by reset}; place {mark, seq, LEFT, owner} */
byte g = 1, withdrawn, history; /* generations are few here: a bit of history for each */
bool broken;
byte mark[NP], seq[NP], owner[NP];
bool left[NP];

/* ghost */
byte opened;       /* a bit for each generation */
byte undone[NP];   /* generation whose arrival was taken back, which gen does not say yet */
bool dead[NU + 1]; /* as its live word tells */
bool need[NP];     /* its party died, and BROKEN has not been seen since */
byte crashes = CRASH, fin;
bool sweeper_died;

/* Users may die CRASH times, sweepers once, init never. */
#define CR if :: skip :: atomic { id && (id <= NU -> crashes > 0 : !sweeper_died) -> die(); goto died_ } fi
#define ARRIVED(i, gg) (left[i] || (owner[i] && mark[i] == (gg)))
#define LOAD_GEN atomic { g1 = g; w1 = withdrawn; b1 = broken; h1 = history }
#define SAME_GEN (g == g1 && withdrawn == w1 && broken == b1 && history == h1)
#define LOAD_PLACE atomic { m = mark[i]; q = seq[i]; l = left[i]; o = owner[i] }
#define SAME_PLACE (mark[i] == m && seq[i] == q && left[i] == l && owner[i] == o)
#define PLACE(mm, ll, oo) mark[i] = mm; seq[i] = q + 1; left[i] = ll; owner[i] = oo
#define BIT(x) (1 << (x))

#ifdef BAD_COUNT
#define UNCHANGED (g == g1 && broken == b1)
#else
#define UNCHANGED SAME_GEN
#endif

inline die()
{
	if
	:: id > NU -> sweeper_died = 1
	:: else ->
		crashes--;
		dead[id] = 1;
		j = 0;
		do
		:: j < NP -> need[j] = (need[j] || owner[j] == id); j++
		:: else -> break
		od
	fi
}

/* Of the generation in g1, which was read with w1. did: it was opened by this. */
inline try_open()
{
	j = 0; n = 0; some = 0; did = 0;
	do
	:: j < NP && !b1 ->
		d_step { n = n + ARRIVED(j, g1); some = (some || (ARRIVED(j, g1) && !left[j])); j++ }
	:: else -> break
	od;
	if
	:: n == NP && some ->
		CR;
		atomic {
			if
			:: UNCHANGED ->
				j = 0;
				do
				:: j < NP -> assert(ARRIVED(j, g) || undone[j] == g); j++
				:: else -> break
				od;
				opened = opened | BIT(g); g++; withdrawn = 0; did = 1
			:: else
			fi
		}
	:: else
	fi;
	skip;
	d_step { j = 0; n = 0; some = 0 }
}

/* Place i for "me" in generation g0; it is LEFT, or it is not. */
inline take(me, is_left)
{
	ok = 0;
	LOAD_PLACE;
	if
	:: l != is_left -> skip
	:: l == is_left && !l && o != me && o != 0 && o != NOBODY -> skip
	:: l == is_left && !l && o && m == g0 && (o == me || o == 0 || o == NOBODY) -> ok = (o == me && me != NOBODY)
	:: else ->
		if
#ifndef BAD_STALE
		:: g != g0 -> skip
#endif
		:: else ->
			CR;
			atomic {
				if
				:: SAME_PLACE -> assert(!ARRIVED(i, g) || is_left);
					PLACE(g0, 0, me); undone[i] = 0; ok = 1
				:: else
				fi
			}
		fi
	fi;
	skip;
	d_step { m = 0; q = 0; l = 0; o = 0 }
}

inline place_of()
{
	d_step {
		i = 0;
		do
		:: i < NP && owner[i] != id -> i++
		:: else -> break
		od
	}
}

/* r: ARRIVED_IN g0 and place i, TOLD of a death, or FULL */
#define ARRIVED_IN 1
#define TOLD 2
#define FULL 3
#define PASSED 4
#define GAVE_UP 5
inline arrive(me)
{
	do
	:: true ->
		r = 0;
		LOAD_GEN;
		g0 = g1;
		if
		:: b1 -> r = TOLD; break
		:: else
		fi;
		i = NP;
		if
		:: me == id -> place_of()
		:: else
		fi;
		if
		:: i < NP ->
			take(me, 0);
			if
			:: ok -> r = ARRIVED_IN; break
			:: else -> assert(g != g0)
			fi
		:: else ->
			pass = 0;
			do
			:: pass < 2 ->
				i = 0;
				do
				:: i < NP -> take(me, pass);
					if
					:: ok -> break
					:: else -> i++
					fi
				:: else -> break
				od;
				if
				:: ok -> break
				:: else -> pass++
				fi
			:: else -> break
			od;
			pass = 0;
			if
			:: ok -> r = ARRIVED_IN; break
			:: !ok && g != g0
			:: else ->
				try_open();
				if
				:: g == g0 -> r = FULL; break
				:: else
				fi
			fi
		fi
	od;
	ok = 0
}

inline withdraw(gg, me)
{
	ok = 0;
#ifndef BAD_EARLY
	CR;
	atomic { q = seq[i]; PLACE(gg - 1, 0, me); undone[i] = gg; q = 0 };
#endif
	do
	:: true ->
		LOAD_GEN;
		if
		:: g1 != gg -> break
		:: else
		fi;
		CR;
		atomic {
			if
			:: SAME_GEN ->
#ifndef BAD_SILENT
				withdrawn++;
#endif
				undone[i] = 0; ok = 1; break
			:: else
			fi
		}
	od;
#ifdef BAD_EARLY
	CR;
	atomic { q = seq[i]; PLACE(gg - 1, 0, me); q = 0 };
#endif
}

/* r: PASSED, TOLD or 0, not yet */
inline try_pass()
{
	r = 0;
	LOAD_GEN;
	if
	:: g1 == g0 && !b1 -> try_open(); LOAD_GEN
	:: else
	fi;
	if
	:: g1 == g0 && b1 -> r = TOLD
	:: g1 == g0 && !b1
	:: else -> r = (h1 & BIT(g0) -> TOLD : PASSED)
	fi;
	did = 0
}

inline wait_in()
{
	arrive(id);
	if
	:: r == ARRIVED_IN ->
		do
		:: true ->
			try_pass();
			if
			:: r -> break
			:: else
			fi;
			if
			:: g != g0 || broken
			:: withdraw(g0, id);
				if
				:: ok -> r = GAVE_UP
				:: else -> try_pass(); assert(r)
				fi;
				break
			fi
		od;
		assert(r == PASSED -> (opened & BIT(g0)) : !(opened & BIT(g0)))
	:: else
	fi
}

inline leave_it()
{
	place_of();
	if
	:: i < NP -> LOAD_GEN; g0 = g1; withdraw(g0, 0)
	:: else
	fi
}

inline bury()
{
	LOAD_PLACE;
	if
	:: o && o != NOBODY && dead[o] ->
		LOAD_GEN;
#ifdef LEAVE
		CR;
		atomic {
			if
			:: SAME_PLACE -> PLACE(g1 - 1, 1, 0); need[i] = 0
			:: else
			fi
		}
#else
#ifdef BAD_FORGET
		atomic {
			if
			:: SAME_PLACE -> assert(broken || !need[i]); PLACE(g1 - 1, 0, 0)
			:: else
			fi
		};
#endif
		do
		:: true ->
#ifndef BAD_AGAIN
			if
			:: !SAME_PLACE -> break
			:: else
			fi;
#endif
			if
			:: b1 -> break
			:: else
			fi;
			CR;
			atomic {
				if
				:: SAME_GEN -> assert(SAME_PLACE && dead[o]); broken = 1; break
				:: else
				fi
			};
			LOAD_GEN
		od;
#ifndef BAD_FORGET
		CR;
		atomic {
			if
			:: SAME_PLACE -> assert(broken || !need[i]); PLACE(g1 - 1, 0, 0)
			:: else
			fi
		}
#endif
#endif
	:: else
	fi
}

inline reset()
{
	do
	:: true ->
		LOAD_GEN;
		if
		:: !b1 ->
			i = 0; n = 0;
			do
			:: i < NP -> d_step { n = n + (!left[i] && ARRIVED(i, g1)); i++ }
			:: else -> break
			od;
			if
			:: n -> break
			:: else
			fi;
			i = 0;
			do
			:: i < NP ->
				LOAD_PLACE;
				if
				:: l -> CR;
					atomic {
						if
						:: SAME_PLACE -> PLACE(g1 - 1, 0, 0); undone[i] = g
						:: else
						fi
					}
				:: else
				fi;
				i++
			:: else -> break
			od;
			break
		:: else ->
			g0 = g1;
#ifndef BAD_TWICE
			i = 0;
			do
			:: i < NP -> bury(); i++
			:: else -> break
			od;
#endif
			CR;
			atomic {
				if
				:: g == g0 && broken ->
#ifndef BAD_HISTORY
					history = history | BIT(g);
#endif
					g++; withdrawn = 0; broken = 0;
					i = 0;
					do
					:: i < NP -> need[i] = 0; i++
					:: else -> break
					od;
					break
				:: else
				fi
			}
		fi
	od;
	skip;
	d_step { n = 0; m = 0; q = 0; l = 0; o = 0 }
}

proctype user(byte id)
{
	byte k, i, j, n, g0, g1, w1, h1, m, q, o, r, pass;
	bool b1, l, ok, did, some, reborn;

start:	do
	:: k < K ->
		k++;
		if
		:: wait_in()
#ifdef ALL
		:: arrive(NOBODY);
			if
			:: r == ARRIVED_IN -> LOAD_GEN; try_open()
			:: else
			fi
		:: leave_it()
#endif
		:: reset()
		fi;
		skip;
		d_step { i = 0; g0 = 0; g1 = 0; w1 = 0; b1 = 0; h1 = 0; m = 0; q = 0; l = 0; o = 0; r = 0; ok = 0; did = 0 }
	:: else -> break
	od;
	leave_it();
	goto out;
died_:	skip;
	d_step {
		i = 0; j = 0; n = 0; g0 = 0; g1 = 0; w1 = 0; b1 = 0; h1 = 0; m = 0; q = 0; l = 0; o = 0; r = 0; ok = 0;
		did = 0; some = 0; pass = 0
	};
#ifdef REUSE
	if
	:: atomic { !reborn && !dead[id] -> reborn = 1 }; goto start
	:: true
	fi;
#endif
out:	atomic { k = 0; i = 0; g0 = 0; g1 = 0; w1 = 0; b1 = 0; h1 = 0; ok = 0; fin++ }
}

inline sweep()
{
	i = 0;
	do
	:: i < NP -> bury(); i++
	:: else -> break
	od;
	LOAD_GEN;
	try_open();
	d_step {
		i = 1;
		do
		:: i <= NU ->
			j = 0;
			do
			:: j < NP && owner[j] != i -> j++
			:: else -> break
			od;
			if
			:: j == NP -> dead[i] = 0
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0; j = 0; m = 0; q = 0; l = 0; o = 0; g1 = 0; w1 = 0; b1 = 0; h1 = 0; did = 0
	}
}

proctype sweeper(byte id)
{
	byte t, i, j, n, g1, w1, h1, m, q, o;
	bool b1, l, did, some;

	do
	:: t <= CRASH -> t++; atomic { crashes + t <= CRASH || fin >= NU }; sweep()
	:: else -> break
	od;
died_:	fin++
}

init
{
	byte id, i, j, n, g1, w1, h1, m, q, o;
	bool b1, l, did, some;

	atomic {
		i = 1;
		do
		:: i <= NU -> run user(i); i++
		:: else -> break
		od;
		i = 1;
		do
		:: i <= NS -> run sweeper(NU + i); i++
		:: else -> break
		od;
		i = 0
	};
	fin == NU + NS;
	sweep();
	/* Nobody alive is left: places are free, LEFT, or of arrivals in nobody's name. */
	n = 0;
	d_step {
		do
		:: i < NP -> assert(owner[i] == 0 || owner[i] == NOBODY); n = n + ARRIVED(i, g); some = (some || !left[i]); i++
		:: else -> break
		od
	};
	assert(broken || n < NP || !some);
died_:	skip
}
