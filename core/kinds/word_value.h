/* SPDX-License-Identifier: MIT */
/*
 * A word of state that may have an owner, and the value that belongs to it, of any length, in a
 * block of its own.
 *
 *	word = {changes:46 | state:3 | FD | owner slot + 1:14}
 *
 * No word comes twice. All three are changed by transactions alone, the word behind a new value
 * and before an old one goes, so a reader takes no lock: he loads the word, copies the value, and
 * loads the word again. value is 0 where len is.
 *
 * LEFT BEHIND BY A DEATH. Nothing, but a word that names the dead.
 */
#ifndef IPK_KINDS_WORD_VALUE_H
#define IPK_KINDS_WORD_VALUE_H

#include "ipk/kind.h"
#include "segment/segment.h"

#define IPK_WORD_OWNER UINT64_C(0x3fff)
#define IPK_WORD_FD UINT64_C(0x4000) /* the owner is a descriptor */
#define IPK_WORD_STATE_SHIFT 15
#define IPK_WORD_ONE (UINT64_C(1) << 18)

struct ipk_word_value {
	u64 word;
	u64 value; /* the block, or 0 */
	u64 len;
};

static inline unsigned ipk_word_state(u64 word)
{
	return (unsigned)(word >> IPK_WORD_STATE_SHIFT & 7);
}

static inline u64 ipk_word_owner(u64 word)
{
	return word & IPK_WORD_OWNER;
}

/* The word that follows. */
static inline u64 ipk_word_next(u64 word, unsigned state, u64 owner)
{
	return (word & ~(IPK_WORD_ONE - 1)) + IPK_WORD_ONE +
	       ((u64)state << IPK_WORD_STATE_SHIFT | owner);
}

/* ---- in a transaction ----------------------------------------------------------------------- */

/*
 * Stores len bytes, and next as the word; there is no value before. 0, or the transaction's error.
 */
int ipk_word_put(struct ipk_tx *tx, struct ipk_word_value *v, u64 next, const void *data, u64 len);
/* Stores next as the word, and gives the value back. */
void ipk_word_drop(struct ipk_tx *tx, struct ipk_word_value *v, u64 next);

/* ---- reading -------------------------------------------------------------------------------- */

/*
 * Copies the value that belongs to word. 1: the word is another by now. -EMSGSIZE: size is too
 * small, and *ret_len (may be NULL) what it takes; -EBADMSG, also where the value has not must
 * bytes (0: any number).
 */
int ipk_word_read(struct ipk_obj *obj, struct ipk_word_value *v, u64 word, u64 must, void *buf,
		  size_t size, size_t *ret_len);

/* As ipk_future_get(): -EMSGSIZE: the value does not fit, *ret_len says what it takes. */
typedef int ipk_word_reader(struct ipk_call *call, void *buf, size_t size, size_t *ret_len);
/*
 * Gives the value that read copies, whose length is not known before, as the only item of a verb.
 * *ret_error is what read said when it failed, which is returned as well.
 */
int ipk_word_give(struct ipk_call *call, ipk_word_reader *read, int *ret_error);

/* ---- without trust: the word_value at off in an object's body ------------------------------- */

/*
 * The value that belongs to v, which was read there, in private memory, to be freed. 1: the word is
 * another by now.
 */
int ipk_word_view(const struct ipk_object_view *o, u64 off, const struct ipk_word_value *v,
		  void **ret_data);
/* Calls fn with the value if the state is that one: the only item of a VALUE kind. */
int ipk_word_item(const struct ipk_object_view *o, u64 off, unsigned state, ipk_item_fn *fn,
		  void *arg);
/* The same as a line of text. */
int ipk_word_line(const struct ipk_object_view *o, u64 off, unsigned state, struct ipk_buf *text);
/* Finds fault with v, whose state is called so: has it a value, of must bytes (0: any number)? */
void ipk_word_check(struct ipk_checker *c, const struct ipk_word_value *v, const char *state,
		    bool has, u64 must);
/* The same for a repair: what is wrong in words, or NULL, and then its block is claimed. */
const char *ipk_word_fault(struct ipk_repairer *r, const struct ipk_word_value *v, bool has,
			   u64 must);

#endif
