/* SPDX-License-Identifier: MIT */
/*
 * Repairing a segment, and taking a repair back.
 *
 * The segment is copied to private memory and made right there. Where the two differ, the bytes
 * before and after are saved in a file beside the segment, FILE.undo (0600); when that is complete
 * and on the medium the segment is changed. Killed anywhere, a repair can be run again, and begins
 * with putting back what the killed one had changed, or be undone.
 *
 * Nobody may be attached meanwhile: the locks of all participants are held, so whoever comes waits.
 * Those who merely look are not disturbed and may see a mixture of before and after.
 */
#ifndef IPK_REPAIR_H
#define IPK_REPAIR_H

#include "ipk/error.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define IPK_REPAIR_DRY 1u /* do nothing, tell what would be done */

/*
 * Tells each thing that was done through did, then each finding that is left through left; returns
 * how many are left. Where there is nothing to find nothing is done or written. -EBUSY somebody is
 * attached, or another repair is at work; -EPROTO: magic, version or layout are not a segment's,
 * which cannot be guessed; -EBADMSG beyond repair; -EOPNOTSUPP huge pages, or a memfd, beside which
 * nothing can be saved; -ENOENT -EACCES -ENOSPC -ENOMEM. After an error the segment is as it was,
 * or the next repair or undo makes it so.
 */
int ipk_repair(const char *name, unsigned flags,
	       void (*did)(void *arg, const char *where, const char *what),
	       void (*left)(void *arg, const char *where, const char *what), void *arg,
	       struct ipk_error *err);

/*
 * Puts back what the last repair changed and removes what it had saved. -ENOENT there was none;
 * -EEXIST what it wrote has been changed since; -EBUSY -EACCES -EPERM -EBADMSG as above.
 */
int ipk_repair_undo(const char *name, unsigned flags, struct ipk_error *err);

/* Removes saved bytes in $IPK_DIR that belong to no segment any more. Returns how many, or -errno.
 */
int ipk_repair_forget(unsigned flags, void (*fn)(void *arg, const char *path), void *arg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
