/* SPDX-License-Identifier: MIT */
/*
 * Errors. Functions return 0 or a count, or -errno:
 *
 *   -EAGAIN full, empty or held       -ETIMEDOUT the deadline passed    -EINTR a signal came
 *   -ENOENT no such thing             -EEXIST it exists                 -EINVAL bad argument
 *   -EMSGSIZE value does not fit      -ENOSPC segment or file system full
 *   -EBADMSG corrupt                  -EPROTO a layout we cannot read   -EMEDIUMTYPE other kind or type
 *   -EOWNERDEAD owner died            -ESTALE removed while in use      -EPIPE closed
 *   -EACCES -EPERM no permission      -ERANGE index out of bounds       -ENOMEM private memory
 *   -ECANCELED cancel word set        -EDQUOT a limit (participants, objects) is reached
 *   -EREMOTEIO who was to do it failed
 *
 * Outputs named ret_* are untouched on failure. Functions that fail for many reasons also fill an
 * optional struct ipk_error with one sentence. The library never prints, exits or aborts.
 */
#ifndef IPK_ERROR_H
#define IPK_ERROR_H

#include <errno.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_error {
	int code;       /* -errno, 0 while nothing failed */
	char text[244]; /* one sentence without a newline or final stop; "" if none was given */
};

/* Fills err, if not NULL, with code and the formatted sentence; returns code. */
int ipk_error_set(struct ipk_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A short sentence for a -errno as this library uses it. Never NULL. */
const char *ipk_strerror(int code);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
