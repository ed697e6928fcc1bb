/* SPDX-License-Identifier: MIT */
/* What tests of repair share: a filled segment as bytes, its file written and read, what it holds.
 */
#ifndef TEST_FIXTURE_REPAIR_H
#define TEST_FIXTURE_REPAIR_H

#include "segment/fixture.h"

#include "fill.h"
#include "ipk/repair.h"
#include "segment/dir.h"
#include "segment/heap.h"

#define NAME "x"

static u8 *good; /* the file of a filled segment that is sound */
static u64 good_len;

struct report {
	char text[65536];
	size_t len;
};

static inline void report_add(void *arg, const char *where, const char *what)
{
	struct report *r = arg;

	r->len += (size_t)snprintf(r->text + r->len, sizeof(r->text) - r->len, "%s: %s\n", where,
				   what);
	if (r->len >= sizeof(r->text))
		r->len = sizeof(r->text) - 1;
}

static inline void file_path(char path[256], const char *suffix)
{
	snprintf(path, 256, "%s/" NAME ".ipk%s", test_dir, suffix);
}

static inline u8 *file_read(u64 *ret_len)
{
	char path[256];
	struct stat st;
	u8 *bytes;
	int fd;

	file_path(path, "");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	bytes = malloc((size_t)st.st_size);
	assert_non_null(bytes);
	assert_int_equal(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
	close(fd);
	*ret_len = (u64)st.st_size;
	return bytes;
}

/* In place: the file stays the same one. */
static inline void file_write(const u8 *bytes, u64 len)
{
	char path[256];
	int fd;

	file_path(path, "");
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, 0), (ssize_t)len);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	close(fd);
}

static inline bool file_is(const u8 *bytes, u64 len)
{
	u64 have;
	u8 *now = file_read(&have);
	bool same = have == len && memcmp(now, bytes, len) == 0;

	free(now);
	return same;
}

static inline bool undo_exists(void)
{
	char path[256];

	file_path(path, ".undo");
	return access(path, F_OK) == 0;
}

static inline void undo_forget(void)
{
	char path[256];

	file_path(path, ".undo");
	assert_true(unlink(path) == 0 || errno == ENOENT);
}

/* Findings, or an error, which reads like one. */
static inline int check_file(struct report *report)
{
	struct ipk_error err = {0};
	struct ipk_view *view;
	int r = ipk_view_open(NAME, &view, &err);

	memset(report, 0, offsetof(struct report, text) + 1);
	report->len = 0;
	if (r == 0) {
		r = ipk_fsck(view, report_add, report, &err);
		ipk_view_close(view);
	}
	if (r < 0)
		report_add(report, "error", err.text);
	return r;
}

static inline int make_good(void **state)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};

	if (dir_setup(state) != 0)
		return -1;
	options.size = 1 << 20; /* room for another object of each kind */
	options.max = 8 << 20;
	if (ipk_segment_create(NAME, &options, &seg, &err) != 0 || fill_segment(seg, &err) != 0)
		return -1;
	ipk_segment_close(seg);
	good = file_read(&good_len);
	return 0;
}

static inline int drop_good(void **state)
{
	free(good);
	return dir_teardown(state);
}

/* ---- what is in it -------------------------------------------------------------------------- */

static inline int hold_item(void *arg, const struct ipk_item *item)
{
	struct ipk_buf *b = arg;
	u64 *sum;

	if (!item->key)
		return ipk_buf_add(b, item->data, item->len);
	/* The order of a map's entries means nothing. */
	if (b->len == 0)
		ipk_buf_add(b, &(u64[2]){0}, 16);
	sum = (u64 *)(void *)b->data;
	sum[0]++;
	sum[1] += ipk_name_hash(item->key, item->key_len) ^ ipk_name_hash(item->data, item->len);
	return 0;
}

/* All items of an object, one behind the other; a value where it has none; "" where it is not
 * there. */
static inline struct ipk_buf contents(const char *object)
{
	const struct ipk_kind *kind;
	struct ipk_object_view o;
	struct ipk_buf b = {0};
	struct ipk_view *view;

	assert_int_equal(ipk_view_open(NAME, &view, NULL), 0);
	if (ipk_view_object(view, object, &o, NULL) == 0) {
		kind = ipk_kind_by_id(o.kind);
		if (kind && kind->items)
			kind->items(&o, 0, UINT64_MAX, hold_item, &b);
		if (kind && kind->value)
			kind->value(&o, &b);
		ipk_object_view_free(&o);
	}
	ipk_view_close(view);
	return b;
}

static inline struct ipk_header *header_of(u8 *bytes)
{
	return (struct ipk_header *)(void *)bytes;
}

static inline struct ipk_page *page_of(u8 *bytes, u64 page)
{
	return (struct ipk_page *)(void *)(bytes + header_of(bytes)->table * IPK_PAGE) + page;
}

static inline u64 *dir_of(u8 *bytes, u64 *ret_n)
{
	*ret_n = UINT64_C(1) << ipk_dir_log2(header_of(bytes)->dir);
	return (u64 *)(void *)(bytes + ipk_dir_page(header_of(bytes)->dir) * IPK_PAGE);
}

/* Where the directory of the good segment has it. */
static inline u64 *dir_entry(u8 *bytes, const char *name)
{
	u64 n, *slots = dir_of(bytes, &n);

	for (u64 i = 0; i < n; i++)
		if (slots[i] > IPK_DIR_TOMB &&
		    strcmp(((struct ipk_object *)(void *)(bytes + ipk_dir_off(slots[i])))->name,
			   name) == 0)
			return &slots[i];
	fail_msg("no %s", name);
	return NULL;
}

static inline struct ipk_object *object_of(u8 *bytes, const char *name)
{
	return (struct ipk_object *)(void *)(bytes + ipk_dir_off(*dir_entry(bytes, name)));
}

static inline void *body_in(u8 *bytes, const char *name)
{
	struct ipk_object *o = object_of(bytes, name);

	return (u8 *)o + o->body;
}

#endif
