/* SPDX-License-Identifier: MIT */
/*
 * Lazy: a value that is computed when somebody first wants it, once, and kept.
 *
 *	empty --begin--> running by P --done--> ready
 *	                              --fail--> failed
 *	                              --abandon, P dies--> empty
 *	ready, failed, running --reset--> empty
 *
 * What is to be computed, the thunk, is said at creation and never changes: an expression over
 * other objects of the segment, which whoever forces it evaluates in the library; a command, which
 * ipcctl alone runs, by sh -c and with the rights of the user who forces it; or nothing, and then
 * each program brings the function itself. Of all who force it at once, one computes and the others
 * wait for it. A failure is kept as a value is, so that it is told to everybody and not tried again
 * at each call: reset does away with both.
 *
 * WHICH MAY RUN BESIDE WHICH. Everything, from any thread of any process. Reading takes no lock. A
 * reset does not wait for who computes: it makes what comes of that void, and who began before goes
 * on beside who begins after. What is stored has begun after the last reset.
 *
 * LEFT BEHIND BY A DEATH. Each change is one transaction of the segment: it has happened or it has
 * not. Who computes is in the word of state, so when he dies the next who forces it computes it
 * again, one of those who wait at once. What the function did elsewhere in the meantime is its own
 * affair. A thread that ends in order while it computes leaves that to its process. A stopped one
 * is not dead, and is waited for.
 *
 * Call by need: Wadsworth 1971; Friedman and Wise, "CONS should not evaluate its arguments", 1976.
 * Nothing is taken from any implementation.
 */
#ifndef IPK_LAZY_H
#define IPK_LAZY_H

#include <stddef.h>
#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"
#include "ipk/type.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Bytes of a text at most: a thunk, the reason of a failure. */
#define IPK_LAZY_TEXT_MAX 65536u

struct ipk_lazy;

enum ipk_lazy_thunk {
	IPK_LAZY_CALLER,  /* a function that whoever forces it brings */
	IPK_LAZY_COMMAND, /* for sh -c */
	IPK_LAZY_EXPR,    /* an expression */
};

enum ipk_lazy_state {
	IPK_LAZY_EMPTY,
	IPK_LAZY_RUNNING,
	IPK_LAZY_READY,
	IPK_LAZY_FAILED,
};

/*
 * Creates an empty one of any type; type NULL: str. text: the thunk, NULL with IPK_LAZY_CALLER; an
 * expression as ipk-lazy(7) has it. -EEXIST -EINVAL -EMSGSIZE -ENOSPC.
 */
int ipk_lazy_create(struct ipk_segment *seg, const char *name, const char *type,
		    enum ipk_lazy_thunk thunk, const char *text, struct ipk_error *err);

/*
 * Opens for all threads of this process; type NULL: whatever it is, else a claim to be checked.
 * -ENOENT -EMEDIUMTYPE -EPROTO -EBADMSG.
 */
int ipk_lazy_open(struct ipk_segment *seg, const char *name, const char *type,
		  struct ipk_lazy **ret_lazy, struct ipk_error *err);
/* Ends the handle. What this process began through it last and has not ended is abandoned. */
void ipk_lazy_close(struct ipk_lazy *lazy);

/* How it stands. Who computes it and is dead does not: IPK_LAZY_EMPTY. */
enum ipk_lazy_state ipk_lazy_state(struct ipk_lazy *lazy);

/* The thunk; its text without a NUL, *ret_len bytes, stays as long as the handle. */
enum ipk_lazy_thunk ipk_lazy_thunk(struct ipk_lazy *lazy, const char **ret_text, size_t *ret_len);

/*
 * Computes the value: appends its bytes to out, an element, and returns 0. Below 0: with a text in
 * out, that it is the reason of a failure, which is kept; without, that the caller could not do it,
 * and somebody else may: it stays empty, and what is returned is the force's error.
 */
typedef int ipk_lazy_fn(void *arg, struct ipk_buf *out);

/*
 * The value, computed by fn unless it is there: copied to buf, size bytes long, its length to
 * *ret_len (may be NULL). Waits while another thread computes it; fn itself may take as long as it
 * likes. When it is reset meanwhile, begins anew. fn NULL: an expression is computed, and a
 * program's own function or a command would have to be brought: -EOPNOTSUPP.
 *
 * An expression reads the objects that it names one after the other, not all at one moment. What
 * one names that another expression gives is computed and kept as well; for none it waits. What
 * cannot be known yet is no failure: -ENOENT an object that it names does not exist, -EAGAIN has no
 * value yet.
 *
 * -EREMOTEIO it failed, see ipk_lazy_error(); -EMSGSIZE size is too small, *ret_len tells what it
 * takes, and the value is kept; -EAGAIN another computes it, or it was reset meanwhile
 * (IPK_NOWAIT), or -ETIMEDOUT -EINTR -ECANCELED; -EDEADLK the calling thread does already; -EINVAL
 * what fn gave is no element; -ENOSPC no space in the segment; -EACCES not computed, and attached
 * with IPK_READ; -ESTALE removed; -EBADMSG.
 */
int ipk_lazy_force(struct ipk_lazy *lazy, ipk_lazy_fn *fn, void *arg, void *buf, size_t size,
		   size_t *ret_len, int64_t deadline);

/*
 * The value if it is there, as above; computes nothing. -EAGAIN it is not; -EREMOTEIO -EMSGSIZE
 * -ESTALE -EBADMSG.
 */
int ipk_lazy_peek(struct ipk_lazy *lazy, void *buf, size_t size, size_t *ret_len);

/* Copies the reason of a failure, without a NUL, likewise. -ENOENT it has not failed. */
int ipk_lazy_error(struct ipk_lazy *lazy, char *buf, size_t size, size_t *ret_len);

/*
 * Waits until it is computed, and computes nothing: 0, -EREMOTEIO; -EAGAIN (IPK_NOWAIT) -ETIMEDOUT
 * -EINTR -ECANCELED -ESTALE. With IPK_READ: looks every 10 ms.
 */
int ipk_lazy_wait(struct ipk_lazy *lazy, int64_t deadline);

/*
 * Empty again; 0 also where it is. Who computes it at the moment does so in vain.
 * -EACCES -EINTR -ECANCELED.
 */
int ipk_lazy_reset(struct ipk_lazy *lazy);

/*
 * Gives it a value that is known already. -EEXIST it is ready or failed; -EBUSY it is computed at
 * the moment; -EINVAL not the element's size; -ENOSPC -EACCES -EINTR -ECANCELED.
 */
int ipk_lazy_set(struct ipk_lazy *lazy, const void *value, size_t len);

/* ---- a force in steps ---------------------------------------------------------------- */

/* The caller is to compute it: a computation, which ends with done, fail or abandon. */
struct ipk_lazy_run {
	uint64_t word; /* the library's; 0: ended */
};

/*
 * 1: the caller is to compute it; 0: it is there; -EREMOTEIO it failed. Waits while another thread
 * computes it. -EAGAIN -ETIMEDOUT -EINTR -ECANCELED -EDEADLK -EACCES -ESTALE as above.
 */
int ipk_lazy_begin(struct ipk_lazy *lazy, struct ipk_lazy_run *ret_run, int64_t deadline);

/*
 * Stores the value, or the reason why there is none, from any thread of the process. Copies under
 * the segment's lock. -EPERM it was reset meanwhile, or the computation has ended or is another
 * process's: nothing is stored, and nothing is left to be ended. -EINVAL -EMSGSIZE -ENOSPC: not
 * stored, and to be ended otherwise.
 */
int ipk_lazy_done(struct ipk_lazy *lazy, struct ipk_lazy_run *run, const void *value, size_t len);
int ipk_lazy_fail(struct ipk_lazy *lazy, struct ipk_lazy_run *run, const char *text, size_t len);
/* Leaves it to the next who forces it. -EPERM. */
int ipk_lazy_abandon(struct ipk_lazy *lazy, struct ipk_lazy_run *run);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
