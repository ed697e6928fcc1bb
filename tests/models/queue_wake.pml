/* SPDX-License-Identifier: MIT */
/*
 * Why push and pop need no fence between what they change and their look at the event word
 * (core/kinds/queue.h, WAITING), with a store buffer: the store that publishes may become visible
 * at any time after the claim, also after the look. One producer, one waiter; a pop and a producer
 * that waits for room are the same with other names.
 *
 * The waiter ends in every run, or spin finds an invalid end state. A slice is a sleep that ends by itself.
 * BAD_SLICE: a waiter that sees a claimed slot sleeps for good. BAD_CLAIM: the claim is no fence, so the
 * look may come before it.
 *
 * run:
 * breaks: -DBAD_SLICE
 * breaks: -DBAD_CLAIM
 */
#define FREE 0
#define WR 1
#define FULL 2

byte slot, seq;
bool w, buffered, asleep;

proctype Producer() {
	bool seen;

#ifdef BAD_CLAIM
	seen = w;
	slot = WR;
#else
	slot = WR; /* a locked compare-exchange: the buffer is empty, later loads come later */
#endif
	buffered = 1; /* the store that publishes */
#ifndef BAD_CLAIM
	seen = w;
#endif
	if
	:: seen -> atomic { !buffered -> seq++; asleep = 0 } /* locked as well: it waits for the buffer */
	:: else
	fi
}

proctype Buffer() {
	atomic { buffered -> buffered = 0; slot = FULL }
}

proctype Waiter() {
	byte v, s;

again:	v = seq;
	w = 1; /* locked, and a fence follows */
	s = slot;
	if
	:: s == FULL -> goto done
#ifndef BAD_SLICE
	:: s == WR -> goto again /* after a slice */
	:: s == FREE -> atomic { if :: seq == v -> asleep = 1 :: else fi }
#else
	:: s != FULL -> atomic { if :: seq == v -> asleep = 1 :: else fi }
#endif
	fi;
	!asleep;
	goto again;
done:	skip
}

init {
	atomic { run Producer(); run Buffer(); run Waiter() }
}
