/* SPDX-License-Identifier: MIT */
/* x86-64 alone: the flag that stops after one instruction is the processor's. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "crash.h"

#define WRITES 2   /* in the error code of a page fault */
#define TRAP 0x100 /* in the flags register */
#define BACKWARDS 0x400

/* Mappings of the segment through which this process can write. */
static struct mapping {
	uint8_t *p;
	size_t size;
} mappings[64];
static unsigned nmappings;

static struct {
	bool on;
	void (*seen)(void *arg);
	void *arg;
} watch;

static void die(const char *what)
{
	perror(what);
	_exit(99);
}

static void protect(const struct mapping *m, bool writable)
{
	if (mprotect(m->p, m->size, writable ? PROT_READ | PROT_WRITE : PROT_READ) != 0)
		die("mprotect");
}

static void protect_all(bool writable)
{
	for (unsigned i = 0; i < nmappings; i++)
		protect(&mappings[i], writable);
}

/* ---- what changes a file or its mappings by system call: linked with --wrap ----------------- */

void *__real_mmap64(void *addr, size_t size, int prot, int flags, int fd, off_t off);
int __real_munmap(void *addr, size_t size);
int __real_fallocate64(int fd, int mode, off_t off, off_t len);
int __real_ftruncate64(int fd, off_t len);
ssize_t __real_pwrite64(int fd, const void *p, size_t len, off_t off);
void *__wrap_mmap64(void *addr, size_t size, int prot, int flags, int fd, off_t off);
int __wrap_munmap(void *addr, size_t size);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len);
int __wrap_ftruncate64(int fd, off_t len);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t len, off_t off);

static void forget(const uint8_t *p, size_t size)
{
	for (unsigned i = nmappings; i-- > 0;)
		if (mappings[i].p >= p && mappings[i].p < p + size)
			mappings[i] = mappings[--nmappings];
}

void *__wrap_mmap64(void *addr, size_t size, int prot, int flags, int fd, off_t off)
{
	uint8_t *p;

	if (flags & MAP_FIXED)
		forget(addr, size);
	p = __real_mmap64(addr, size, prot, flags, fd, off);
	if (p == MAP_FAILED || fd < 0 || !(flags & MAP_SHARED) || !(prot & PROT_WRITE))
		return p;
	if (nmappings == IPK_ARRAY_LEN(mappings))
		die("mappings");
	mappings[nmappings++] = (struct mapping){p, size};
	if (watch.on)
		protect(&mappings[nmappings - 1], false);
	return p;
}

int __wrap_munmap(void *addr, size_t size)
{
	forget(addr, size);
	return __real_munmap(addr, size);
}

static void seen(void)
{
	if (watch.on)
		watch.seen(watch.arg);
}

int __wrap_fallocate64(int fd, int mode, off_t off, off_t len)
{
	int r = __real_fallocate64(fd, mode, off, len), e = errno;

	seen();
	errno = e;
	return r;
}

int __wrap_ftruncate64(int fd, off_t len)
{
	int r = __real_ftruncate64(fd, len), e = errno;

	seen();
	errno = e;
	return r;
}

ssize_t __wrap_pwrite64(int fd, const void *p, size_t len, off_t off)
{
	ssize_t r = __real_pwrite64(fd, p, len, off);
	int e = errno;

	seen();
	errno = e;
	return r;
}

/* ---- one store ------------------------------------------------------------------------------- */

/* The store that is let through, and what lay where it goes: no instruction here stores more. */
static struct {
	const struct mapping *m;
	greg_t rip;
	uint8_t *line;
	size_t len;
	bool more; /* it may go on to the next page, behind which the file may end */
	uint8_t before[128];
} let;

static void expect_store(uint8_t *at)
{
	const uintptr_t end = ((uintptr_t)at | (IPK_PAGE - 1)) + 1;

	let.line = (uint8_t *)((uintptr_t)at & ~(uintptr_t)63);
	let.len = end - (uintptr_t)let.line;
	let.more = end - (uintptr_t)at < 64;
	if (let.len > sizeof(let.before))
		let.len = sizeof(let.before);
	memcpy(let.before, let.line, let.len);
}

static const struct mapping *mapping_of(const uint8_t *at)
{
	for (unsigned i = 0; i < nmappings; i++)
		if (at >= mappings[i].p && at < mappings[i].p + mappings[i].size)
			return &mappings[i];
	return NULL;
}

/* memset() by repeated bytes, of memory that is so already: nothing changes, however long it is. */
static bool fills_in_vain(greg_t *regs)
{
	const uint8_t *code = (const uint8_t *)regs[REG_RIP], *at = (const uint8_t *)regs[REG_RDI];
	size_t n = (size_t)regs[REG_RCX];

	if (code[0] != 0xf3 || code[1] != 0xaa || (regs[REG_EFL] & BACKWARDS) ||
	    n > (size_t)(let.m->p + let.m->size - at))
		return false;
	for (size_t i = 0; i < n; i++)
		if (at[i] != (uint8_t)regs[REG_RAX])
			return false;
	regs[REG_RDI] += (greg_t)n;
	regs[REG_RCX] = 0;
	regs[REG_RIP] += 2;
	return true;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	let.m = mapping_of(info->si_addr);
	if (!let.m || !watch.on || !(regs[REG_ERR] & WRITES)) {
		signal(sig, SIG_DFL); /* a fault of its own */
		return;
	}
	if (fills_in_vain(regs))
		return;
	let.rip = regs[REG_RIP];
	expect_store(info->si_addr);
	protect(let.m, true);
	regs[REG_EFL] |= TRAP;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	bool changed = let.more || memcmp(let.before, let.line, let.len) != 0;
	int e = errno;

	(void)sig, (void)info;
	if (changed)
		seen();
	if (regs[REG_RIP] == let.rip && watch.on && mapping_of((uint8_t *)regs[REG_RDI]) == let.m) {
		expect_store((uint8_t *)regs[REG_RDI]); /* repeats */
	} else {
		regs[REG_EFL] &= ~TRAP;
		if (watch.on)
			protect(let.m, false);
	}
	errno = e;
}

void stores_begin(void (*fn)(void *arg), void *arg)
{
	struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO},
			 trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};

	watch.seen = fn;
	watch.arg = arg;
	if (sigaction(SIGSEGV, &fault, NULL) != 0 || sigaction(SIGTRAP, &trap, NULL) != 0)
		die("sigaction");
	protect_all(false);
	watch.on = true;
}

void stores_end(void)
{
	watch.on = false;
	protect_all(true);
}

/* ---- all images ------------------------------------------------------------------------------ */

/* What a child hands over: pages that differ from those before, one look after the other. */
struct look {
	size_t size; /* of the file */
	unsigned pages;
	bool done;
};

struct tape {
	volatile int r;
	volatile bool returned;
	volatile unsigned looks, stores;
	size_t used;
	uint8_t data[];
};

#define TAPE (256u << 20)

struct recorder {
	struct follow f;
	struct tape *tape;
};

static void put(struct tape *tape, const void *data, size_t len)
{
	if (sizeof(*tape) + tape->used + len > TAPE)
		die("tape");
	memcpy(tape->data + tape->used, data, len);
	tape->used += len;
}

static void record(struct recorder *rec, bool done)
{
	struct follow *f = &rec->f;
	struct look look = {.done = done};
	bool grown = follow_size(f);
	size_t at = rec->tape->used;

	look.size = f->size;
	if (!grown && !done && memcmp(f->p, f->shadow, f->size) == 0)
		return;
	put(rec->tape, &look, sizeof(look));
	for (size_t off = 0; off < f->size; off += IPK_PAGE)
		if (memcmp(f->p + off, f->shadow + off, IPK_PAGE) != 0) {
			put(rec->tape, &off, sizeof(off));
			put(rec->tape, f->p + off, IPK_PAGE);
			memcpy(f->shadow + off, f->p + off, IPK_PAGE);
			look.pages++;
		}
	memcpy(rec->tape->data + at, &look, sizeof(look));
	rec->tape->looks++;
}

static void record_store(void *arg)
{
	struct recorder *rec = arg;

	rec->tape->stores++;
	record(rec, false);
}

static void play(const struct tape *tape, struct images *ret)
{
	const uint8_t *p = tape->data;
	uint8_t *image = NULL;
	size_t size = 0, off;
	struct look look;

	for (unsigned i = 0; i < tape->looks; i++) {
		memcpy(&look, p, sizeof(look));
		p += sizeof(look);
		if (look.size != size)
			image = realloc(image, look.size);
		if (!image)
			die("realloc");
		size = look.size;
		for (unsigned k = 0; k < look.pages; k++) {
			memcpy(&off, p, sizeof(off));
			memcpy(image + off, p + sizeof(off), IPK_PAGE);
			p += sizeof(off) + IPK_PAGE;
		}
		images_add(ret, image, size, look.done);
	}
	free(image);
}

int stores_all(struct victim *v, struct images *ret)
{
	struct recorder rec;
	int status, r;
	pid_t pid;

	rec.tape = mmap(NULL, TAPE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rec.tape == MAP_FAILED)
		die("mmap");
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (v->setup(v) != 0)
			_exit(98);
		follow_start(&rec.f, v->name);
		record(&rec, false);
		stores_begin(record_store, &rec);
		rec.tape->r = v->run(v);
		watch.on = false;
		record(&rec, true);
		rec.tape->returned = true;
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("fork");
	play(rec.tape, ret);
	ret->instructions += rec.tape->stores;
	r = rec.tape->returned ? rec.tape->r : -ECHILD;
	munmap(rec.tape, TAPE);
	return r;
}
