/* SPDX-License-Identifier: MIT */
/*
 * The stack of core/kinds/stack*.c, store by store: push, pop, lease, ack, nack, what the next owner of the
 * lock does for a dead one (redo), the sweep that gives back what the dead had leased, and a reader without
 * the lock. Sequentially consistent; who has the lock may die before each store, the sweeper and whoever redoes
 * as well.
 *
 *	N slots   NW workers of K operations each   CRASH deaths   READ  with a reader of the top
 *
 * A ghost stack changes at the one store that decides (top of push and pop, redo.todo of the others). Checked:
 * whoever takes the lock, after redo, finds exactly the ghost: the items in their order, the leases with
 * their owners, each slot in one place alone; at last no dead one has a lease; and what a reader copied was on
 * the stack with the word that it saw.
 *
 * BAD_x plant a mistake each: TODO stores the change before it is written down; REDO the next owner does not
 * finish it; HALF redo.todo is cleared before the last store; EDGE ack puts the slot where nothing ends; FILL push
 * stores top before the slot; TURN push draws no turn; AGAIN the reader looks at the word once and
 * does not look whether a turn was drawn, which alone would do; ABA he does not look for the turn alone.
 *
 * Not modelled: weak memory, waiting (event.pml), the lock itself (lock.pml), buffers of variable size, whose
 * transactions are the map's (map.pml), a participant's number used again. Spin 6.5:
 *
 * Found by this model in what had been built: a reader who compared top, order and word one after the other, and was
 * delayed over a lease, a giving back and another lease, showed what lay in a free slot (ABA).
 *
 * run: -DN=2 -DNW=2 -DK=3 -DCRASH=1
 * run: -DN=3 -DNW=1 -DK=5 -DCRASH=1
 * run: -DN=2 -DNW=2 -DK=2 -DCRASH=2
 * run: -DN=2 -DNW=1 -DK=4 -DCRASH=1 -DREAD
 *	3.1, 0.04, 0.6, 1.4 million states; up to 440 MB, seconds
 * long: -DN=3 -DNW=2 -DK=3 -DCRASH=2
 *	17 million; 1.1 GB, half a minute
 * breaks: -DBAD_TODO -DN=2 -DNW=2 -DK=2 -DCRASH=1
 * breaks: -DBAD_REDO -DN=2 -DNW=2 -DK=2 -DCRASH=1
 * breaks: -DBAD_HALF -DN=2 -DNW=2 -DK=2 -DCRASH=1
 * breaks: -DBAD_EDGE -DN=2 -DNW=1 -DK=4
 * breaks: -DBAD_FILL -DN=2 -DNW=2 -DK=2 -DCRASH=1 -DREAD
 * breaks: -DBAD_TURN -DN=1 -DNW=1 -DK=3 -DREAD
 * breaks: -DBAD_AGAIN -DBAD_ABA -DN=1 -DNW=1 -DK=3 -DREAD
 * breaks: -DBAD_ABA -DN=2 -DNW=1 -DK=5 -DREAD
 */
#ifndef CRASH
#define CRASH 0
#endif
#define NONE 255
#define TURNS 32
#define LEASE 1
#define ACK 2
#define NACK 3

/* shared */
byte lock; /* its owner, or 0 */
byte n, leased, turn;
byte order[N], wturn[N], wown[N], val[N];
bool todo;
byte rkind, rslot, rturn, rown, rn, rleased, rat0, rid0, rat1, rid1;

/* ghost */
byte crashes = CRASH;
bool dead[NW + 3];
byte g[N], gn;          /* turns, bottom first */
byte gown[N], gturn[N]; /* of leased values, by slot: whose, and the turn pushed */
byte pushed[N];         /* the turn with which the slot's value was pushed */
#ifdef READ
byte vof[TURNS];        /* what a word of that turn has stood for on the stack */
#define MEANS(t, v) vof[t] = v
#else
#define MEANS(t, v) skip
#endif
byte fin;

#define SWEEPER (NW + 1)
#define CR if :: skip :: atomic { crashes > 0 -> crashes--; dead[id] = 1; goto died } fi

/* What the next owner finds: atomic, for the ghost's sake. */
inline check()
{
	d_step {
		assert(n == gn);
		used = 0;
		i = 0;
		do
		:: i < n ->
			assert(order[i] < N && pushed[order[i]] == g[i] && val[order[i]] == g[i] && wown[order[i]] == 0);
			assert((used & (1 << order[i])) == 0);
			used = used | (1 << order[i]);
			i++
		:: else -> break
		od;
		i = 0;
		j = 0;
		do
		:: i < N ->
			assert(wown[i] == gown[i] && (gown[i] == 0 || gturn[i] == val[i]));
			if
			:: wown[i] -> j++; assert((used & (1 << i)) == 0); used = used | (1 << i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		assert(j == leased);
		i = n;
		do
		:: i < N - leased ->
			assert(order[i] < N && (used & (1 << order[i])) == 0);
			used = used | (1 << order[i]);
			i++
		:: else -> break
		od;
		assert(used == (1 << N) - 1);
		i = 0; j = 0; used = 0
	}
}

inline apply()
{
	if
	:: rkind == LEASE ->
		CR; d_step { wturn[rslot] = rturn; wown[rslot] = rown };
		CR; d_step { n = rn; leased = rleased };
		CR; order[rat0] = rid0
	:: rkind == ACK ->
		CR; d_step { wturn[rslot] = rturn; wown[rslot] = rown };
		CR; order[rat0] = rid0;
#ifdef BAD_HALF
		CR; todo = 0;
#endif
		CR; d_step { n = rn; leased = rleased }
	:: else ->
		CR; order[rat0] = rid0;
		CR; order[rat1] = rid1;
		CR; d_step { n = rn; leased = rleased };
		CR; d_step { wturn[rslot] = rturn; wown[rslot] = rown }
	fi
}

/* The change is in redo's words, which mean nothing while todo is 0; ghost: what it decides. */
inline carry_out()
{
#ifdef BAD_TODO
	apply();
#endif
	CR;
	d_step {
		todo = 1;
		if
		:: rkind == LEASE -> gown[rslot] = rown; gturn[rslot] = g[gn - 1]; gn--; g[gn] = 0
		:: rkind == ACK -> gown[rslot] = 0; gturn[rslot] = 0
		:: else -> MEANS(rturn, val[rslot]); g[gn] = gturn[rslot]; gn++; gown[rslot] = 0; gturn[rslot] = 0
		fi
	};
#ifndef BAD_TODO
	apply();
#endif
	CR;
	todo = 0
}

inline take_lock()
{
	atomic { (lock == 0 || dead[lock]) -> lock = id };
	if
#ifndef BAD_REDO
	:: todo -> apply(); CR; todo = 0
#endif
	:: else
	fi;
	check()
}

inline give_back(s)
{
	CR; turn++;
	d_step {
		rkind = NACK; rslot = s; rturn = turn; rown = 0; rn = n + 1; rleased = leased - 1;
		rat0 = N - leased; rat1 = n; rid1 = s;
		if
		:: n < N - leased -> rid0 = order[n]
		:: else -> rid0 = s
		fi
	};
	carry_out()
}

inline push()
{
	s = order[n];
#ifdef BAD_FILL
	CR; d_step { n++; g[gn] = turn + 1; gn++; pushed[s] = turn + 1; MEANS(turn + 1, turn + 1) };
#endif
#ifdef BAD_TURN
	if :: turn == 0 -> turn = 1 :: else fi;
	CR; d_step { val[s] = val[s] + 1; t = val[s] };
#else
	CR; turn++; t = turn;
	CR; val[s] = t;
#endif
	CR; d_step { wturn[s] = turn; wown[s] = 0 };
#ifndef BAD_FILL
	CR; d_step { n++; g[gn] = t; gn++; pushed[s] = t; MEANS(turn, t) }
#endif
}

proctype worker(byte id)
{
	byte i, j, used, s, t, k, mine;

	mine = NONE;
	do
	:: k < K ->
		k++;
		take_lock();
		if
		:: n + leased < N -> push()
		:: n > 0 -> CR; d_step { n--; gn--; assert(val[order[n]] == g[gn]); g[gn] = 0 } /* pop */
		:: n > 0 && mine == NONE ->
			mine = order[n - 1];
			CR; turn++;
			d_step {
				rkind = LEASE; rslot = mine; rturn = turn; rown = id; rn = n - 1; rleased = leased + 1;
				rat0 = n - 1; rid0 = order[N - leased - 1]
			};
			carry_out()
		:: mine != NONE ->
			d_step {
				rkind = ACK; rslot = mine; rturn = wturn[mine]; rown = 0; rn = n; rleased = leased - 1;
#ifdef BAD_EDGE
				rat0 = N - leased - 1;
#else
				rat0 = N - leased;
#endif
				rid0 = mine
			};
			carry_out();
			mine = NONE
		:: mine != NONE -> give_back(mine); mine = NONE
		:: else
		fi;
		CR; lock = 0
	:: else -> break
	od;
	/* Dies with what it has, or gives it back. */
	if
	:: mine != NONE -> take_lock(); give_back(mine); CR; lock = 0
	:: else
	fi;
died:
	fin++
}

/* Those who die in it are followed by another: gives back what the dead have leased, the latest first. */
proctype sweeper(byte id)
{
	byte i, j, used, s, t;

	take_lock();
	do
	:: true ->
		s = NONE;
		d_step {
			t = 0;
			i = 0;
			do
			:: i < N ->
				if
				:: wown[i] && dead[wown[i]] && wturn[i] > t -> s = i; t = wturn[i]
				:: else
				fi;
				i++
			:: else -> break
			od;
			i = 0; t = 0
		};
		if
		:: s == NONE -> break
		:: else -> give_back(s)
		fi
	od;
	CR; lock = 0;
died:
	fin++
}

#ifdef READ
proctype reader()
{
	byte i, s, w, v, d;

	d = turn;

	i = n;
	if
	:: i > 0 ->
		i--;
		s = order[i];
		if
		:: s < N ->
			d_step { w = wturn[s]; v = wown[s] };
			if :: v -> goto none :: else fi;
			v = val[s];
			if :: n != i + 1 -> goto none :: else fi;
			if :: order[i] != s -> goto none :: else fi;
#ifndef BAD_AGAIN
			if :: wturn[s] != w || wown[s] -> goto none :: else fi;
#endif
#ifndef BAD_ABA
			if :: turn != d -> goto none :: else fi;
#endif
			assert(v == vof[w])
		:: else
		fi
	:: else
	fi;
none:
	skip
}
#endif

init
{
	byte id, i, j, used, s, t;

	atomic {
		i = 0;
		do
		:: i < N -> order[i] = i; i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < NW -> run worker(i + 1); i++
		:: else -> break
		od;
#ifdef READ
		run reader();
#endif
		run sweeper(SWEEPER);
	}
	fin == NW + 1;
	/* Nobody is left: one more sweep finds all as it should be, and gives the rest back. */
	id = NW + 2;
	crashes = 0;
	take_lock();
	do
	:: true ->
		s = NONE;
		i = 0;
		do
		:: i < N -> if :: wown[i] && dead[wown[i]] -> s = i :: else fi; i++
		:: else -> break
		od;
		if
		:: s == NONE -> break
		:: else -> give_back(s)
		fi
	od;
	check();
	assert(leased == 0);
died:
	skip
}
