/* SPDX-License-Identifier: MIT */
/* The word of a mutex, and of the writer of a lock: see mutex.h. */
#include "kinds/cells.h"
#include "kinds/mutex.h"

int ipk_mtx_take(struct ipk_segment *seg, u64 *word, u64 owner)
{
	u64 v = ipk_ld(word, acquire); /* the word before the liveness of its owner */

	for (;;) {
		u64 from = v;

		if (v & IPK_MTX_LOST)
			return -ENOTRECOVERABLE;
		if (ipk_mutex_owner(v)) {
			if (!ipk_owner_gone(seg, ipk_mutex_owner(v)))
				return -EAGAIN;
			from = ipk_mtx_without_owner(v);
		}
		/* A descriptor's holder could not say consistent. */
		if (from & IPK_MTX_DIED && owner & IPK_MTX_FD)
			return -EOWNERDEAD;
		/*
		 * Acquire: what the last holder did comes before what this one does. seq_cst for
		 * who then looks for readers.
		 */
		if (ipk_cas(word, &v, from + IPK_MTX_SEQ_ONE + owner, seq_cst))
			return from & IPK_MTX_DIED ? -EOWNERDEAD : 0;
	}
}

bool ipk_mtx_of_process(struct ipk_segment *seg, u64 *word)
{
	u64 v = ipk_ld(word, relaxed);

	return ipk_mutex_owner(v) && !(v & IPK_MTX_FD) &&
	       ipk_owner_of_process(seg, ipk_mutex_owner(v));
}

int ipk_mtx_consistent(u64 *word, const struct ipk_self *me)
{
	u64 v;

	if (!ipk_mtx_mine(word, me, &v))
		return -EPERM;
	if (!(v & IPK_MTX_DIED))
		return -EINVAL;
	/* Nobody else changes the word of a living owner. Release: what was mended comes before. */
	return ipk_cas(word, &v, v & ~IPK_MTX_DIED, acq_rel) ? 0 : -EBADMSG;
}

int ipk_mtx_reset(struct ipk_segment *seg, u64 *word)
{
	u64 v = ipk_ld(word, acquire); /* the word before the liveness of its owner */

	do {
		if (ipk_mutex_owner(v) && !ipk_owner_gone(seg, ipk_mutex_owner(v)))
			return -EBUSY;
	} while (!ipk_cas(word, &v, v & (IPK_MTX_SEQ | IPK_MTX_SHARED), seq_cst));
	return 0;
}

bool ipk_mtx_mend(struct ipk_segment *seg, u64 *word)
{
	u64 v = ipk_ld(word, acquire); /* the word before the liveness of its owner */

	while (ipk_mutex_owner(v) && ipk_owner_gone(seg, ipk_mutex_owner(v)))
		if (ipk_cas(word, &v, ipk_mtx_without_owner(v), seq_cst))
			return true;
	return false;
}
