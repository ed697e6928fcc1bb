/*
 * Event words and sleeping of core/segment/wait.c: {seq, W}; a waiter notes who lives, sets W, looks
 * again, and sleeps on the word and on all live words. Notifiers and waiters may be killed before each
 * shared access and while they sleep; the kernel wakes one sleeper of a dead one's live word, who wakes
 * the others. Sequentially consistent: the fences' partners are named in the source.
 *
 * Shown: when nothing moves any more, no living waiter sleeps while there is something to take.
 *
 * NN notifiers give KN each, NW waiters take one each; CRASH kills. BATCH: two are given at once and told
 * of with one notification for two. NOWATCH: live words are not watched; NOCHAIN: whoever a death woke
 * does not wake the others; LATE: live words are noted after the second look; GIVEUP: a notifier whose
 * bump failed leaves.
 *
 * run: -DNW=3 -DNN=1 -DKN=2 -DCRASH=1
 * run: -DNW=2 -DNN=2 -DKN=1 -DCRASH=1
 * run: -DNW=3 -DNN=1 -DKN=1 -DCRASH=2 -DBATCH
 * long: -DNW=3 -DNN=1 -DKN=2 -DCRASH=2
 * long: -DNW=2 -DNN=2 -DKN=1 -DCRASH=2
 * breaks: -DNW=3 -DNN=1 -DKN=2 -DCRASH=1 -DNOWATCH
 * breaks: -DNW=3 -DNN=1 -DKN=1 -DCRASH=1 -DBATCH -DNOCHAIN
 * breaks: -DNW=3 -DNN=1 -DKN=2 -DCRASH=1 -DLATE
 * breaks: -DNW=2 -DNN=2 -DKN=1 -DCRASH=0 -DGIVEUP
 */
byte seq;
bit W;
byte items;
bool asleep[3];
byte watch[3];  /* bit p: sleeps on the live word of process p; 0..2 waiters, 3.. notifiers */
byte dead;
byte crashes = CRASH;

#ifdef BATCH
#define GIVEN 2
#else
#define GIVEN 1
#endif
#define B(p) (1 << (p))
#define WAKE_ONE if \
		:: asleep[0] -> asleep[0] = 0; n++ \
		:: asleep[1] -> asleep[1] = 0; n++ \
		:: asleep[2] -> asleep[2] = 0; n++ \
		:: !asleep[0] && !asleep[1] && !asleep[2] \
		fi
#define CR if :: skip :: atomic { crashes > 0 -> crashes--; goto died } fi

inline die(p) {
	atomic {
		dead = dead | B(p);
		if
		:: asleep[0] && (watch[0] & B(p)) -> asleep[0] = 0
		:: asleep[1] && (watch[1] & B(p)) -> asleep[1] = 0
		:: asleep[2] && (watch[2] & B(p)) -> asleep[2] = 0
		:: else
		fi
	}
}

inline wake_watchers(set) {
	d_step {
		if :: watch[0] & set -> asleep[0] = 0 :: else fi;
		if :: watch[1] & set -> asleep[1] = 0 :: else fi;
		if :: watch[2] & set -> asleep[2] = 0 :: else fi
	}
}

proctype Notifier(byte p) {
	byte k, s, n;
	bit w;

	do
	:: k >= KN -> break
	:: else ->
	CR;
#ifdef BATCH
	items = items + 2;
#else
	items++;
#endif
	CR;
look:	skip;
	d_step { s = seq; w = W };
	if :: !w -> goto next :: else fi;
	CR;
	atomic {
		if
		:: seq == s && W == 1 -> seq = s + 1
#ifdef GIVEUP
		:: else -> goto next
#else
		:: else -> goto look
#endif
		fi
	};
	s++;
	CR;
	atomic { n = 0; WAKE_ONE;
#ifdef BATCH
		WAKE_ONE
#endif
	};
	if :: n == GIVEN -> goto next :: else fi;
	CR;
	atomic {
		if
		:: seq == s && W == 1 -> W = 0; seq = s + 1
		:: else -> goto next
		fi
	};
	CR;
	d_step { asleep[0] = 0; asleep[1] = 0; asleep[2] = 0 };
next:	k++
	od;
	goto out;
died:	die(p);
out:	skip
}

proctype Waiter(byte id) {
	byte s, mine;

again:	CR;
	if :: atomic { items > 0 -> items--; goto out } :: items == 0 fi;
#ifndef LATE
	CR;
#ifdef NOWATCH
	mine = 0;
#else
	mine = 31 & ~B(id) & ~dead;
#endif
#endif
	CR;
	atomic { W = 1; s = seq };
	CR;
	if :: atomic { items > 0 -> items--; goto out } :: items == 0 fi;
#ifdef LATE
	CR;
	mine = 31 & ~B(id) & ~dead;
#endif
	CR;
	atomic {
		if
		:: seq == s && W == 1 && !(dead & mine) -> asleep[id] = 1; watch[id] = mine
		:: else
		fi
	};
end:	if
	:: !asleep[id]
	:: atomic { asleep[id] && crashes > 0 -> crashes--; asleep[id] = 0; goto died }
	fi;
	watch[id] = 0;
#ifndef NOCHAIN
	if
	:: dead & mine -> CR; wake_watchers(dead & mine)
	:: else
	fi;
#endif
	goto again;
died:	watch[id] = 0; die(id);
out:	skip
}

proctype Check() {
	timeout;
	assert(items == 0 || (!asleep[0] && !asleep[1] && !asleep[2]))
}

init {
	atomic {
		run Waiter(0); run Waiter(1);
#if NW > 2
		run Waiter(2);
#endif
		run Notifier(3);
#if NN > 1
		run Notifier(4);
#endif
		run Check()
	}
}
