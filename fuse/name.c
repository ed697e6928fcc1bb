/* SPDX-License-Identifier: MIT */
/*
 * Keys as file names: "/", "%", NUL, control characters and a leading dot become %XX, the empty key
 * is "%" alone. What would be longer than 255 bytes is cut and ends in "~" and 16 hexadecimal
 * digits, a hash of the whole key.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipcfs.h"

#define HASHED 17u /* "~" and the digits */

static bool is_plain(unsigned char c, size_t at)
{
	return c >= 0x20 && c != 0x7f && c != '/' && c != '%' && !(c == '.' && at == 0);
}

void name_encode(const void *key, size_t len, char out[IPCFS_NAME_MAX + 1])
{
	static const char hex[] = "0123456789ABCDEF";
	const unsigned char *b = key;
	size_t n = 0, cut = 0, i;

	for (i = 0; i < len; i++) {
		size_t need = is_plain(b[i], i) ? 1 : 3;

		if (n + need > IPCFS_NAME_MAX)
			break;
		if (need == 1) {
			out[n++] = (char)b[i];
		} else {
			out[n++] = '%';
			out[n++] = hex[b[i] >> 4];
			out[n++] = hex[b[i] & 15];
		}
		/* Not inside of a UTF-8 character, nor of an escape. */
		if (n <= IPCFS_NAME_MAX - HASHED && (i + 1 == len || (b[i + 1] & 0xc0) != 0x80))
			cut = n;
	}
	if (i < len)
		n = cut + (size_t)snprintf(out + cut, HASHED + 1, "~%016llx",
					   (unsigned long long)bytes_hash(key, len));
	if (len == 0)
		out[n++] = '%';
	out[n] = 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int name_decode(const char *name, char **ret_key, size_t *ret_len)
{
	char *key = malloc(strlen(name) + 1);
	size_t n = 0;

	if (!key)
		return -ENOMEM;
	for (const char *p = strcmp(name, "%") == 0 ? "" : name; *p; p++) {
		if (*p != '%') {
			key[n++] = *p;
			continue;
		}
		if (hex_digit(p[1]) < 0 || hex_digit(p[2]) < 0) {
			free(key);
			return -EINVAL;
		}
		key[n++] = (char)(hex_digit(p[1]) << 4 | hex_digit(p[2]));
		p += 2;
	}
	key[n] = 0;
	*ret_key = key;
	*ret_len = n;
	return 0;
}

bool name_is_hashed(const char *name)
{
	size_t len = strlen(name);

	/* Cutting gives up at most one escape or one UTF-8 character's worth of bytes. */
	if (len < IPCFS_NAME_MAX - 12 || name[len - HASHED] != '~')
		return false;
	return strspn(name + len - HASHED + 1, "0123456789abcdef") == HASHED - 1;
}

bool name_position(const char *name, uint64_t *ret_pos)
{
	uint64_t pos = 0;

	if (!*name)
		return false;
	for (; *name; name++) {
		if (*name < '0' || *name > '9' || __builtin_mul_overflow(pos, 10, &pos) ||
		    __builtin_add_overflow(pos, *name - '0', &pos))
			return false;
	}
	*ret_pos = pos;
	return true;
}
