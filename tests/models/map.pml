/*
 * Map: get beside put, delete, in-place store and resize, with blocks that are reused for anything, one key
 * and two blocks. Sequentially consistent; writers may crash before each shared access (CRASH of them do).
 *
 *   a transaction   COMMIT (journal n) is one step, each of its words another; the next holder of the
 *                   segment's lock stores them again when their writer died
 *   Other           somebody else's object: allocates what is free, scribbles over it, frees it
 *   oracle          a get must return a value (or absence) that was current at some moment of the get, never
 *                   a mixture; an acknowledged change stays; in the end what is used is what is reachable
 *
 * Flags: CRASH n; OPS n, operations of each writer; INPLACE, a put over a value may be one store into the block;
 * RESIZE, writers also replace the table; ABORT, a put may give its filled block back unpublished;
 * ALONE, no Other; TRIES n, of a get.
 * Planted: NOSLOT NOVER NOTABLE, a get that leaves out one of its last checks; NOSLOT and SLOTLAST, one that
 * makes them in the wrong order; SAMEVER, a version is drawn again after an abort; NOTX, slot and free block are two steps without a journal; NOBUILDING, the table under
 * construction is named nowhere; NOREPLAY, the next owner of a dead writer's lock looks at the map before the
 * segment's journal was stored again.
 *
 * run: -DCRASH=1 -DOPS=1
 * run: -DCRASH=1 -DOPS=1 -DINPLACE
 * long: -DCRASH=0 -DOPS=2
 * run: -DCRASH=0 -DOPS=2 -DABORT -DALONE
 * run: -DCRASH=1 -DOPS=2 -DINPLACE -DALONE -DTRIES=1
 * run: -DCRASH=0 -DOPS=1 -DRESIZE -DTRIES=1
 * long: -DCRASH=1 -DOPS=1 -DRESIZE -DTRIES=1
 * long: -DCRASH=1 -DOPS=1 -DRESIZE -DINPLACE
 * long: -DCRASH=1 -DOPS=2
 * long: -DCRASH=1 -DOPS=2 -DINPLACE
 * long: -DCRASH=2 -DOPS=2 -DINPLACE -DABORT -DALONE -DTRIES=1
 * breaks: -DCRASH=0 -DOPS=2 -DNOSLOT
 * breaks: -DCRASH=0 -DOPS=3 -DNOVER
 * breaks: -DCRASH=0 -DOPS=1 -DRESIZE -DTRIES=1 -DNOTABLE
 * By hand, for it takes minutes, and must find an error: -DCRASH=0 -DOPS=2 -DRESIZE -DNOSLOT -DSLOTLAST
 * breaks: -DCRASH=0 -DOPS=2 -DABORT -DSAMEVER
 * breaks: -DCRASH=1 -DOPS=1 -DNOTX
 * breaks: -DCRASH=1 -DOPS=1 -DRESIZE -DNOBUILDING
 * breaks: -DCRASH=1 -DOPS=2 -DINPLACE -DNOREPLAY
 */
#define GARBAGE 15
#ifndef TRIES
#define TRIES 2
#endif
#ifdef ALONE
#define others 0
#else
#define others 1
#endif
#define KEEP 2 /* a journal entry that is not there */

byte lk, sl; /* the map's lock, the segment's lock: owner or 0 */
byte tab, gen; /* the two words that name the table */
byte slot[2]; /* the key's slot in each of two tables: 0 nothing, or a block */
byte ver[3], w0[3], w1[3]; /* blocks 1 and 2: version, two words of contents */
byte next = 1; /* the version counter */
bit building; /* a table is under construction */
bit used[3], tused[2]; /* the allocator's words */

bit jn; /* the journal: n, then what it stores */
byte jalloc, jfree; /* blocks, or 0 */
byte jslot, jtab, jgen; /* slot[jtab] = jslot where jput; tab = jtab, gen = jgen where jswitch */
bit jput, jswitch;
byte juse[2], jbuild = KEEP;

byte cur; /* ghost: what a get should find, 0: absent */
bit reading;
short seen; /* ghost: bit v set: v was current while the get ran */
byte value = 1; /* values, all different */
byte crashes = CRASH, fin;
bit dead[5];

#define CR if :: skip :: atomic { crashes > 0 -> crashes--; dead[id] = 1; goto died } fi
#define NOW(v) cur = v; if :: reading -> seen = seen | (1 << cur) :: else fi

inline clear()
{
	jalloc = 0; jfree = 0; jput = 0; jswitch = 0; jtab = tab; juse[0] = KEEP; juse[1] = KEEP; jbuild = KEEP
}

/* Stores the values of the journal, by their writer or by whoever comes after it. */
inline apply()
{
	if :: jalloc -> used[jalloc] = 1; CR :: else fi;
	if
	:: jput -> d_step {
		slot[jtab] = jslot;
		if :: jslot == 0 -> NOW(0) :: else -> NOW(w0[jslot]) fi };
		CR
	:: else
	fi;
	if :: jfree -> used[jfree] = 0; CR :: else fi;
	if :: juse[0] != KEEP -> tused[0] = juse[0]; CR :: else fi;
	if :: juse[1] != KEEP -> tused[1] = juse[1]; CR :: else fi;
	if :: jswitch -> tab = jtab; CR; gen = jgen; CR :: else fi;
	if :: jbuild != KEEP -> building = jbuild; CR :: else fi;
	jn = 0
}

inline begin()
{
	atomic { sl == 0 || dead[sl] -> sl = id };
	CR;
	if :: jn -> apply() :: else fi
}

inline lock()
{
	atomic {
		lk == 0 || dead[lk] ->
#ifndef NOREPLAY
		took = (lk != 0);
#endif
		lk = id
	};
	CR;
	if
	:: took || building ->
		begin();
		if
		:: building -> d_step { clear(); juse[1 - tab] = 0; jbuild = 0; jn = 1 }; CR; apply()
		:: else
		fi;
		sl = 0; took = 0; CR
	:: else
	fi
}

inline put()
{
#ifndef SAMEVER
	n = next; CR; next = n + 1; CR;
#endif
	begin();
#ifdef SAMEVER
	n = next;
#endif
	if
	:: !used[1] -> b = 1
	:: used[1] && !used[2] -> b = 2
	:: else -> b = 0
	fi;
	if
	:: b == 0 -> skip
	:: else ->
		d_step { v = value; value++ };
		w0[b] = v; CR; w1[b] = v; CR; ver[b] = n; CR;
		if
		:: skip ->
#ifdef NOTX
			b2 = slot[tab]; used[b] = 1; CR;
			d_step { slot[tab] = b; NOW(v) };
			CR;
			if :: b2 -> used[b2] = 0 :: else fi;
#else
			d_step {
				clear(); jalloc = b; jfree = slot[tab]; jslot = b; jput = 1;
#ifdef SAMEVER
				next = n + 1;
#endif
				jn = 1 };
			CR; apply();
#endif
			assert(cur == v)
#ifdef ABORT
		:: skip
#endif
		fi
	fi;
	CR; sl = 0; b = 0; b2 = 0; v = 0; n = 0
}

inline delete()
{
	begin();
	d_step { clear(); jfree = slot[tab]; jslot = 0; jput = 1; jn = 1 };
	CR; apply();
	assert(cur == 0);
	CR; sl = 0
}

inline resize()
{
	begin();
	if
	:: tused[1 - tab] -> CR; sl = 0 /* Other has it: no space */
	:: else ->
		d_step {
			clear(); juse[1 - tab] = 1;
#ifndef NOBUILDING
			jbuild = 1;
#endif
			jn = 1 };
		CR; apply(); CR; sl = 0; CR;
		slot[1 - tab] = slot[tab]; CR;
		begin();
		d_step {
			clear(); jtab = 1 - tab; jgen = gen + 1; jswitch = 1; juse[tab] = 0; juse[1 - tab] = 1;
			jbuild = 0; jn = 1 };
		CR; apply(); CR; sl = 0
	fi
}

proctype Writer(byte id)
{
	byte k, b, b2, v, n;
	bit took;

	do
	:: k == OPS -> break
	:: else ->
		CR; lock();
		if
		:: put()
		:: slot[tab] != 0 -> delete()
#ifdef INPLACE
		:: slot[tab] != 0 ->
			d_step { v = value; value++; w0[slot[tab]] = v; NOW(v) };
			CR;
			assert(cur == v); v = 0
#endif
#ifdef RESIZE
		:: resize()
#endif
		fi;
		CR; lk = 0; k++
	od;
died:	fin++
}

/* Another object's owner: its memory was ours and will be ours again. */
proctype Other()
{
	byte id = 4, b, t;

	begin();
	if
	:: !used[1] -> b = 1; used[1] = 1
	:: !used[2] -> b = 2; used[2] = 1
	:: used[1] && used[2] -> b = 0
	fi;
	sl = 0;
	if :: b -> w0[b] = GARBAGE :: else fi;
#ifdef RESIZE
	begin();
	t = 1 - tab;
	if
	:: !tused[t] ->
		tused[t] = 1; sl = 0;
		if :: slot[t] = 0 :: slot[t] = 1 :: slot[t] = 2 fi;
		tused[t] = 0
	:: else -> sl = 0
	fi;
#endif
	if :: b -> ver[b] = GARBAGE; w1[b] = GARBAGE; used[b] = 0 :: else fi;
died:	fin++
}

proctype Get()
{
	byte t, g, tb, s, n, a, b;

	d_step { seen = 1 << cur; reading = 1 };
	do
	:: t == TRIES -> break
	:: else ->
		g = gen; tb = tab; s = slot[tb];
		if
		:: s == 0 -> a = 0
		:: else -> n = ver[s]; a = w0[s]; b = w1[s]
		fi;
#ifndef NOSLOT
		if :: s != 0 && slot[tb] != s -> goto changed :: else fi;
#endif
#ifndef NOTABLE
		if :: tab != tb -> goto changed :: else fi;
		if :: gen != g -> goto changed :: else fi;
#endif
#ifdef SLOTLAST
		if :: s != 0 && slot[tb] != s -> goto changed :: else fi;
#endif
#ifndef NOVER
		if :: s != 0 && ver[s] != n -> goto changed :: else fi;
#endif
#ifndef INPLACE
		if :: s != 0 -> assert(a == b) :: else fi;
#endif
		assert(a != GARBAGE);
		assert((seen >> a) & 1);
		break;
changed:	t++
	od;
	skip;
	d_step { reading = 0; seen = 0 };
	fin++
}

proctype Audit()
{
	byte id = 3;
	bit took;

	fin == 3 + others;
	lock();
	begin();
	assert(!building);
	assert(used[1] == (slot[tab] == 1) && used[2] == (slot[tab] == 2));
	assert(tused[tab] && !tused[1 - tab]);
	assert((slot[tab] == 0 && cur == 0) || (slot[tab] != 0 && w0[slot[tab]] == cur));
died:	skip
}

init {
	atomic {
		tused[0] = 1;
		if :: others -> run Other() :: else fi;
		run Writer(1); run Writer(2); run Get(); run Audit()
	}
}
