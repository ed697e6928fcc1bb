/* SPDX-License-Identifier: MIT */
#include "ipk/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/base.h"

int ipk_error_set(struct ipk_error *err, int code, const char *fmt, ...)
{
	va_list ap;
	char *c;

	if (!err)
		return code;
	err->code = code;
	va_start(ap, fmt);
	if (vsnprintf(err->text, sizeof(err->text), fmt, ap) < 0)
		err->text[0] = '\0';
	va_end(ap);
	/* Names come from outside: one line stays one line. */
	for (c = err->text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	return code;
}

static const struct {
	int code;
	const char *text;
} texts[] = {
	{EAGAIN, "full, empty or held"},
	{ETIMEDOUT, "timed out"},
	{EINTR, "interrupted"},
	{ENOENT, "no such segment, object or key"},
	{EEXIST, "it exists already"},
	{EINVAL, "bad argument"},
	{EMSGSIZE, "too large"},
	{ENOSPC, "no space left"},
	{EBADMSG, "corrupt"},
	{EPROTO, "a layout that cannot be read"},
	{EMEDIUMTYPE, "of another kind or type"},
	{EOWNERDEAD, "its owner died"},
	{ESTALE, "it was removed"},
	{EPIPE, "closed"},
	{EACCES, "permission denied"},
	{EPERM, "operation not permitted"},
	{ERANGE, "index out of bounds"},
	{ENOMEM, "out of memory"},
	{ECANCELED, "cancelled"},
	{EDQUOT, "a limit is reached"},
	{EOVERFLOW, "too many changes at once"},
	{EIO, "input/output error"},
	{EMFILE, "too many open files"},
	{ENFILE, "too many open files in the system"},
	{ENOTDIR, "not a directory"},
	{EISDIR, "is a directory"},
	{ELOOP, "a symbolic link, which is not followed"},
	{ENAMETOOLONG, "name too long"},
	{EROFS, "read-only file system"},
	{EOPNOTSUPP, "not supported here"},
	{ENODEV, "not supported here"},
	{ENOSYS, "not supported by this kernel"},
	{ENOLCK, "file locks (F_OFD_SETLK) are refused here: allow fcntl() in the seccomp filter, or take Linux 3.15 or newer"},
	{EFBIG, "file too large"},
	{EBUSY, "busy"},
	{EBADF, "bad descriptor"},
	{ESRCH, "no such process"},
	{EREMOTEIO, "it failed"},
};

const char *ipk_strerror(int code)
{
	size_t i;

	if (code >= 0)
		return "no error";
	for (i = 0; i < IPK_ARRAY_LEN(texts); i++) {
		if (texts[i].code == -code)
			return texts[i].text;
	}
	return "unexpected error";
}
