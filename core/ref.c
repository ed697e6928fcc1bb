/* SPDX-License-Identifier: MIT */
/* REF = SEGMENT[/OBJECT[/KEY]] */
#include <stdlib.h>
#include <sys/stat.h>

#include "ipk/kind.h"
#include "type.h"

#define NAME_MAX_LEN 63

static bool reserved(const char *name, size_t len, const char *const list[])
{
	for (; *list; list++) {
		if (strlen(*list) == len && memcmp(*list, name, len) == 0)
			return true;
	}
	return false;
}

static bool name_char(char c, bool first)
{
	char l = (char)(c | 32);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
	       (!first && (c == '.' || c == '-'));
}

/* what: "segment" or "object". */
static int check_name(const char *what, const char *name, size_t len, const char *const list[],
		      struct ipk_error *err)
{
	char shown[80];

	ipk_quote(name, len, shown, sizeof(shown));
	if (len == 0)
		return ipk_error_set(err, -EINVAL, "the %s's name is empty", what);
	if (len > NAME_MAX_LEN)
		return ipk_error_set(err, -EINVAL, "%s name \"%s\" is longer than %d characters",
				     what, shown, NAME_MAX_LEN);
	for (size_t i = 0; i < len; i++) {
		if (name_char(name[i], i == 0))
			continue;
		if (i == 0 && name_char(name[i], false))
			return ipk_error_set(
				err, -EINVAL,
				"%s name \"%s\" must begin with a letter, a digit or _", what,
				shown);
		return ipk_error_set(err, -EINVAL,
				     "%s name \"%s\" may hold letters, digits and . _ - alone",
				     what, shown);
	}
	if (reserved(name, len, list))
		return ipk_error_set(err, -EINVAL, "%s name \"%s\" is reserved", what, shown);
	return 0;
}

/* Length of the /proc/PID/fd/N that path begins with, or 0. */
static size_t proc_fd(const char *path)
{
	const char *p = path;
	size_t n;

	if (strncmp(p, "/proc/", 6) != 0)
		return 0;
	p += 6;
	n = strspn(p, "0123456789");
	if (n == 0 && strncmp(p, "self/", 5) == 0)
		n = 4;
	if (n == 0 && strncmp(p, "thread-self/", 12) == 0)
		n = 11;
	if (n == 0 || strncmp(p + n, "/fd/", 4) != 0)
		return 0;
	p += n + 4;
	n = strspn(p, "0123456789");
	if (n == 0 || (p[n] && p[n] != '/'))
		return 0;
	return (size_t)(p + n - path);
}

/*
 * Length of the segment's path: up to the first component that ends in .ipk and is no directory; a
 * file that does not exist yet is no directory either. 0: there is none. -ENOMEM.
 */
static ssize_t segment_path(const char *text)
{
	size_t n = proc_fd(text);
	const char *p = text;

	while (n == 0 && *p) {
		const char *end = p + strcspn(p, "/");
		struct stat st;
		char *path;

		if (end - p >= 4 && memcmp(end - 4, ".ipk", 4) == 0) {
			path = strndup(text, (size_t)(end - text));
			if (!path)
				return -ENOMEM;
			if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
				n = (size_t)(end - text);
			free(path);
		}
		p = end + (*end == '/');
	}
	return (ssize_t)n;
}

static bool is_path(const char *text)
{
	return text[0] == '/' || strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0;
}

static ssize_t segment_length(const char *text, struct ipk_error *err)
{
	static const char *const names[] = {"README", "version", "by-pid", NULL};
	char shown[120];
	ssize_t n;
	int r;

	if (!is_path(text)) {
		n = (ssize_t)strcspn(text, "/");
		r = check_name("segment", text, (size_t)n, names, err);
		return r < 0 ? r : n;
	}
	n = segment_path(text);
	if (n == 0)
		return ipk_error_set(
			err, -EINVAL,
			"\"%s\" names no segment file: one of its parts must end in .ipk",
			ipk_quote(text, strlen(text), shown, sizeof(shown)));
	return n < 0 ? ipk_error_set(err, (int)n, "out of memory") : n;
}

static int copy_part(const char *from, size_t len, char **ret)
{
	*ret = strndup(from, len);
	return *ret ? 0 : -ENOMEM;
}

int ipk_ref_parse(const char *text, struct ipk_ref *ret_ref, struct ipk_error *err)
{
	static const char *const names[] = {"info", "participants", NULL};
	struct ipk_ref ref = {0};
	const char *object, *key;
	size_t object_len;
	ssize_t n;
	int r;

	n = segment_length(text, err);
	if (n < 0)
		return (int)n;
	r = copy_part(text, (size_t)n, &ref.segment);
	if (text[n] == '/' && r == 0) {
		object = text + n + 1;
		object_len = strcspn(object, "/");
		r = check_name("object", object, object_len, names, err);
		if (r == 0)
			r = copy_part(object, object_len, &ref.object);
		if (r == 0 && object[object_len] == '/') {
			key = object + object_len + 1;
			ref.key_len = strlen(key);
			r = copy_part(key, ref.key_len, &ref.key);
		}
	}
	if (r < 0) {
		ipk_ref_free(&ref);
		return r == -ENOMEM ? ipk_error_set(err, r, "out of memory") : r;
	}
	*ret_ref = ref;
	return 0;
}

void ipk_ref_free(struct ipk_ref *ref)
{
	free(ref->segment);
	free(ref->object);
	free(ref->key);
	*ref = (struct ipk_ref){0};
}
