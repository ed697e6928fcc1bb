/* SPDX-License-Identifier: MIT */
/*
 * The channel of core/kinds/channel*.c, transaction by transaction: deciding, offering, giving up, settling,
 * closing, and clearing the offers of the dead. A transaction is one step here, since map.pml models what the
 * segment does with half a one; a process may die before each, he who clears as well.
 *
 *	NP processes of K selects each   NCH channels   CAP of their buffers, 0: rendezvous   CRASH deaths
 *	TWO    a select has one or two cases, else one   CLOSE  a process closes channel 0 at some time
 *	NOWAIT a select may end after its first look
 *
 * Each select chooses what it sends or receives, and on which channels; each value is sent by one case alone. Checked:
 * a select does one thing when it says so and nothing when it says that, also on behalf of who met it; who sends
 * on a rendezvous channel meets a living receiver, and himself never; a value is received once, and only
 * what was sent; two living offers never stand face to face; nothing is sent after the close; at last there is no
 * offer, and each value that was sent was received or lies in a buffer, in the order of sending.
 *
 * BAD_x plant a mistake each: CIRCLE the other offers of a select that was met stay; OWN who does something else
 * leaves his offers; TAKEN he does not ask whether he was met; LATE nor when he gives up; FACE he offers without
 * looking once more; DEAD who looks for an offer does not ask whether its owner lives; SELF nor whether it is his own;
 * BACK the value that a dead receiver was given is freed; SPLIT a value is copied in one transaction and its offer
 * freed in the next.
 *
 * Not modelled: the transaction itself, waiting (event.pml), values that do not fit, a number used again. Spin 6.5:
 *
 * run: -DNP=2 -DK=2 -DTWO -DCRASH=1
 * run: -DNP=2 -DK=1 -DTWO -DNCH=2 -DCRASH=1
 * run: -DNP=3 -DK=1 -DCRASH=1
 * run: -DNP=2 -DK=2 -DCLOSE -DCRASH=2 -DNOWAIT
 * run: -DNP=2 -DK=2 -DCAP=1 -DCLOSE -DCRASH=1
 *	4.7, 3.0, 1.4, 0.5, 0.1 million states; up to 370 MB, thirteen seconds
 * breaks: -DBAD_CIRCLE -DNP=3 -DK=1 -DTWO
 * breaks: -DBAD_OWN -DNP=3 -DK=1 -DTWO -DNCH=2
 * breaks: -DBAD_TAKEN -DNP=2 -DK=2 -DTWO
 * breaks: -DBAD_LATE -DNP=2 -DK=1
 * breaks: -DBAD_FACE -DNP=2 -DK=1
 * breaks: -DBAD_DEAD -DNP=2 -DK=1 -DCRASH=1
 * breaks: -DBAD_SELF -DNP=2 -DK=1 -DTWO
 * breaks: -DBAD_BACK -DNP=2 -DK=1 -DCRASH=1
 * breaks: -DBAD_SPLIT -DNP=2 -DK=1 -DCRASH=1
 */
#ifndef CRASH
#define CRASH 0
#endif
#ifndef CAP
#define CAP 0
#endif
#ifndef NCH
#define NCH 1
#endif
#define VALS (NP * K * 2 + 1) /* 0 is none */
#define NO (NP * 2)
#define B (NP + CAP + 1) /* a buffer may hold more than CAP: what went back */
#define NONE 255

#define WAITING 1
#define DONE 2
#define WITHDRAWN 3

#define AGAIN 0 /* results */
#define OK 1
#define PIPE 2

/* shared */
byte st[NO], och[NO], omsg[NO]; /* offer j is of process j / 2 + 1, its case j % 2 */
bool osend[NO];
bool closed[NCH];
byte buf[NCH * B], bn[NCH], nsent[NCH];

/* ghost */
byte crashes = CRASH, fin;
bool dead[NP + 3];
byte did[NP + 3];     /* things that this select did */
byte pos[VALS];       /* of a value that was sent */
bool sent[VALS], gone[VALS], told[VALS];

#define OWNER(j) ((j) / 2 + 1)
#define CR if :: skip :: atomic { crashes > 0 -> crashes--; dead[id] = 1; goto died } fi

#ifdef BAD_DEAD
#define LIVES(j) true
#else
#define LIVES(j) (!dead[OWNER(j)])
#endif
#ifdef BAD_SELF
#define OTHER(j) true
#else
#define OTHER(j) (OWNER(j) != id)
#endif
#define MEETS(j, s) (st[j] == WAITING && och[j] == ch[c] && osend[j] == s && OTHER(j) && LIVES(j))

inline find_offer(s)
{
	if
	:: MEETS(0, s) -> j = 0
	:: MEETS(1, s) -> j = 1
	:: MEETS(2, s) -> j = 2
	:: MEETS(3, s) -> j = 3
#if NP > 2
	:: MEETS(4, s) -> j = 4
	:: MEETS(5, s) -> j = 5
#endif
	:: else -> j = NONE
	fi
}

/* ipk_channel_match(), and both have done it. */
inline match()
{
	assert(!dead[OWNER(j)] && OWNER(j) != id);
	st[j] = DONE;
#ifndef BAD_CIRCLE
	if :: st[j ^ 1] -> st[j ^ 1] = WITHDRAWN :: else fi;
#endif
	did[id]++;
	did[OWNER(j)]++;
	assert(did[id] == 1 && did[OWNER(j)] == 1)
}

inline send(v)
{
	assert(!sent[v] && !closed[ch[c]]);
	sent[v] = 1;
	pos[v] = nsent[ch[c]];
	nsent[ch[c]]++
}

inline receive(v)
{
	assert(v && sent[v] && !gone[v]);
	gone[v] = 1
}

/* ipk_channel_unlink_first() and ipk_channel_put_back() */
inline take_first(b)
{
	i = 0;
	do
	:: i + 1 < bn[b] -> buf[(b) * B + i] = buf[(b) * B + i + 1]; i++
	:: else -> break
	od;
	buf[(b) * B + i] = 0;
	bn[b]--;
	i = 0
}

inline put_back(b, v)
{
	i = bn[b];
	do
	:: i > 0 && pos[buf[(b) * B + i - 1]] > pos[v] -> buf[(b) * B + i] = buf[(b) * B + i - 1]; i--
	:: else -> break
	od;
	buf[(b) * B + i] = v;
	bn[b]++;
	assert(bn[b] <= B);
	i = 0
}

inline withdraw()
{
#ifndef BAD_OWN
	if :: st[me] -> st[me] = WITHDRAWN :: else fi;
	if :: st[me + 1] -> st[me + 1] = WITHDRAWN :: else fi
#else
	skip
#endif
}

/* taken() */
#define TAKEN(c) (st[me + (c)] == DONE)
inline taken()
{
	if
	:: TAKEN(0) -> which = 0; r = OK
	:: TAKEN(1) -> which = 1; r = OK
	:: else
	fi
}

/* try_case() of case c */
inline try_case()
{
	if
	:: snd[c] && closed[ch[c]] -> r = PIPE
	:: snd[c] && !closed[ch[c]] && CAP == 0 ->
		find_offer(0);
		if
		:: j != NONE -> send(first + c); omsg[j] = first + c; match(); r = OK
		:: else
		fi
	:: snd[c] && !closed[ch[c]] && CAP > 0 ->
		if
		:: bn[ch[c]] < CAP -> send(first + c); put_back(ch[c], first + c); did[id]++; assert(did[id] == 1); r = OK
		:: else
		fi
	:: !snd[c] && bn[ch[c]] ->
		assert(bn[ch[c]] == 1 || pos[buf[ch[c] * B]] < pos[buf[ch[c] * B + 1]]);
		receive(buf[ch[c] * B]);
		take_first(ch[c]);
		did[id]++;
		assert(did[id] == 1);
		r = OK
	:: !snd[c] && !bn[ch[c]] && closed[ch[c]] -> r = PIPE
	:: !snd[c] && !bn[ch[c]] && !closed[ch[c]] && CAP == 0 ->
		find_offer(1);
		if
		:: j != NONE -> send(omsg[j]); receive(omsg[j]); omsg[j] = 0; match(); r = OK
		:: else
		fi
	:: else
	fi;
	j = 0;
	if
	:: r -> which = c; withdraw()
	:: else
	fi
}

/* ipk_channel_decide_tx(), beginning with any case */
inline decide()
{
	CR;
	atomic {
#ifndef BAD_TAKEN
		taken();
#endif
		if
		:: r == AGAIN ->
			if :: c = 0 :: n == 2 -> c = 1 fi;
			try_case();
			if
			:: r == AGAIN && n == 2 -> c = 1 - c; try_case()
			:: else
			fi
		:: else
		fi;
		c = 0
	}
}

/* ipk_channel_offer_tx() of case c */
inline offer()
{
	CR;
	atomic {
#ifndef BAD_TAKEN
		taken();
#endif
#ifndef BAD_FACE
		if :: r == AGAIN -> try_case() :: else fi;
#endif
		if
		:: r == AGAIN ->
			d_step {
				st[me + c] = WAITING; och[me + c] = ch[c]; osend[me + c] = snd[c];
				omsg[me + c] = (snd[c] -> first + c : 0);
				i = 0;
				do
				:: i < NO ->
					assert(i / 2 == me / 2 || dead[OWNER(i)] || st[i] != WAITING || och[i] != ch[c] ||
					       osend[i] == snd[c]);
					i++
				:: else -> break
				od;
				i = 0
			}
		:: else
		fi
	}
}

inline clear(j)
{
	st[j] = 0; och[j] = 0; osend[j] = 0; omsg[j] = 0
}

/* ipk_channel_settle_tx() of case c */
inline settle()
{
	if
	:: st[me + c] ->
#ifdef BAD_SPLIT
		CR;
		d_step { if :: !osend[me + c] && st[me + c] == DONE -> receive(omsg[me + c]) :: else fi };
		CR;
		d_step { clear(me + c) }
#else
		CR;
		d_step {
			if :: !osend[me + c] && st[me + c] == DONE -> receive(omsg[me + c]) :: else fi;
			clear(me + c)
		}
#endif
	:: else
	fi
}

/* What is worth another look: looks_ready(), or having been met. */
#define CASE_READY(c) (closed[ch[c]] || (CAP && (snd[c] -> bn[ch[c]] < CAP : bn[ch[c]])) || (!snd[c] && bn[ch[c]]))
#define READY (TAKEN(0) || TAKEN(1) || CASE_READY(0) || (n == 2 && CASE_READY(1)))

proctype user(byte id)
{
	byte me, k, n, c, i, j, r, which, first, ch[2];
	bool snd[2];

	me = (id - 1) * 2;
	do
	:: k < K ->
		atomic {
			first = ((id - 1) * K + k) * 2 + 1;
			k++;
			did[id] = 0;
			n = 1;
			if :: snd[0] = 0 :: snd[0] = 1 fi;
			if :: ch[0] = 0 :: NCH > 1 -> ch[0] = NCH - 1 fi;
#ifdef TWO
			if
			:: true
			:: n = 2;
				if :: snd[1] = 0 :: snd[1] = 1 fi;
				if :: ch[1] = 0 :: NCH > 1 -> ch[1] = NCH - 1 fi
			fi
#endif
		};
		decide();
#ifdef NOWAIT
		if :: true :: r == AGAIN -> goto over fi;
#endif
		if
		:: r == AGAIN && CAP == 0 ->
			c = 0;
			do
			:: c < n && r == AGAIN -> offer(); c++
			:: else -> break
			od;
			c = 0
		:: else
		fi;
		do
		:: r == AGAIN && READY -> decide()
		:: r == AGAIN -> break /* a signal, or the deadline */
		:: r != AGAIN -> break
		od;
		if
		:: r == AGAIN && (st[me] || st[me + 1]) ->
			CR;
			atomic {
#ifndef BAD_LATE
				taken();
#endif
				if :: r == AGAIN -> withdraw() :: else fi
			}
		:: else
		fi;
		settle();
		c = 1;
		settle();
over:		skip;
		d_step {
			assert(did[id] == (r == OK -> 1 : 0));
			c = which;
			if
			:: r == OK && snd[c] -> assert(sent[first + c]); told[first + c] = 1
			:: r != OK -> assert(!sent[first] && !sent[first + 1])
			:: else
			fi;
			did[id] = 0; r = 0; which = 0; c = 0; n = 0; first = 0;
			snd[0] = 0; snd[1] = 0; ch[0] = 0; ch[1] = 0
		}
	:: else -> break
	od;
died:	skip;
	d_step { k = 0; r = 0; which = 0; c = 0; n = 0; first = 0; j = 0; i = 0; snd[0] = 0; snd[1] = 0; ch[0] = 0; ch[1] = 0; fin++ }
}

#ifdef CLOSE
proctype closer()
{
	closed[0] = 1
}
#endif

/* clear_offer() */
inline clear_offer(j)
{
	if
#ifndef BAD_BACK
	:: st[j] == DONE && !osend[j] && omsg[j] -> put_back(och[j], omsg[j])
#endif
	:: else
	fi;
	clear(j)
}

#define GONE(j) (st[j] && dead[OWNER(j)])

/* ipk_channel_recover(): one offer a transaction, until there is none. */
inline recover()
{
	j = 0;
	do
	:: j < NO ->
		if
		:: GONE(j) -> CR; d_step { if :: GONE(j) -> clear_offer(j) :: else fi }; j = 0
		:: else -> j++
		fi
	:: else -> break
	od;
	j = 0
}

#if CRASH > 0
proctype sweeper(byte id)
{
	byte i, j;

	crashes < CRASH || fin == NP;
	recover();
died:	fin++
}
#endif

init
{
	byte id, i, j;

	atomic {
		do
		:: id < NP -> id++; run user(id)
		:: else -> break
		od;
#ifdef CLOSE
		run closer();
#endif
#if CRASH > 0
		run sweeper(NP + 1)
#else
		fin++
#endif
	}
	fin == NP + 1;
	id = NP + 2;
	crashes = 0;
	recover();
	d_step {
		i = 0;
		do
		:: i < NO -> assert(st[i] == 0); i++
		:: else -> break
		od;
		j = 0;
		do
		:: j < NCH ->
			i = 0;
			do
			:: i < bn[j] ->
				receive(buf[j * B + i]);
				assert(i == 0 || pos[buf[j * B + i - 1]] < pos[buf[j * B + i]]);
				i++
			:: else -> break
			od;
			j++
		:: else -> break
		od;
		i = 0;
		do
		:: i < VALS -> assert(sent[i] == gone[i] && (!told[i] || sent[i])); i++
		:: else -> break
		od
	}
died:	skip
}
