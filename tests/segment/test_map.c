/* SPDX-License-Identifier: MIT */
#include "seg.h"

#include <sys/file.h>
#include <sys/mount.h>

static char path_buf[192];

static const char *in_dir(const char *file)
{
	snprintf(path_buf, sizeof(path_buf), "%s/%s", test_dir, file);
	return path_buf;
}

static void put_file(const char *file, const void *data, size_t len)
{
	int fd = open(in_dir(file), O_CREAT | O_TRUNC | O_RDWR, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
}

static int open_it(const char *name, unsigned mode, struct ipk_error *err)
{
	struct ipk_segment *seg = NULL;
	int r = ipk_segment_open(name, mode, &seg, err);

	if (r == 0)
		ipk_segment_close(seg);
	else
		assert_string_not_equal(err->text, "");
	return r;
}

/* ---- names ------------------------------------------------------------------------------ */

static void names_and_paths_are_told_apart(void **state)
{
	const char *bad[] = {"",
			     "-a",
			     ".a",
			     "a/b",
			     "a b",
			     "README",
			     "version",
			     "by-pid",
			     "a\n",
			     "~",
			     "0123456789012345678901234567890123456789012345678901234567890123"};
	const char *good[] = {"a",
			      "_",
			      "0",
			      "A.b-c_9",
			      "a.ipk",
			      "info",
			      "012345678901234567890123456789012345678901234567890123456789012"};
	struct ipk_error err = {0};
	char buf[PATH_MAX], tiny[8];
	size_t i;

	(void)state;
	for (i = 0; i < IPK_ARRAY_LEN(bad); i++) {
		assert_false(ipk_segment_name_ok(bad[i]));
		assert_int_equal(ipk_segment_path(bad[i], buf, sizeof(buf), &err), -EINVAL);
		assert_int_equal(ipk_segment_create(bad[i], NULL, NULL, &err), -EINVAL);
		assert_int_equal(open_it(bad[i], IPK_READ, &err), -EINVAL);
		assert_int_equal(ipk_segment_remove(bad[i], &err), -EINVAL);
	}
	for (i = 0; i < IPK_ARRAY_LEN(good); i++) {
		assert_true(ipk_segment_name_ok(good[i]));
		assert_int_equal(ipk_segment_path(good[i], buf, sizeof(buf), &err), 0);
	}
	assert_int_equal(ipk_segment_path("a", buf, sizeof(buf), &err), 0);
	assert_string_equal(buf, in_dir("a.ipk"));
	assert_int_equal(ipk_segment_path("./x.ipk", buf, sizeof(buf), &err), 0);
	assert_string_equal(buf, "./x.ipk");
	assert_int_equal(ipk_segment_path("a", tiny, sizeof(tiny), &err), -ENAMETOOLONG);
	assert_false(ipk_object_name_ok("info"));
	assert_false(ipk_object_name_ok("participants"));
	assert_true(ipk_object_name_ok("README"));
}

static void a_segment_at_a_path_is_the_file_itself(void **state)
{
	struct ipk_error err = {0};
	char path[192];

	(void)state;
	snprintf(path, sizeof(path), "%s/sub", test_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/sub/ring.ipk", test_dir);
	assert_int_equal(ipk_segment_create(path, NULL, NULL, &err), 0);
	assert_int_equal(open_it(path, IPK_WRITE, &err), 0);
	assert_int_equal(open_it("ring", IPK_WRITE, &err), -ENOENT);
	assert_int_equal(ipk_segment_create(path, NULL, NULL, &err), -EEXIST);
	assert_int_equal(ipk_segment_remove(path, &err), 0);
	assert_int_equal(open_it(path, IPK_WRITE, &err), -ENOENT);
	snprintf(path, sizeof(path), "%s/none/ring.ipk", test_dir);
	assert_int_equal(ipk_segment_create(path, NULL, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no such directory"));
}

static int collect(void *arg, const char *name)
{
	strcat(arg, name);
	strcat(arg, " ");
	return 0;
}

static int stop(void *arg, const char *name)
{
	(void)name;
	return ++*(int *)arg;
}

static void listing_names_the_segments_and_nothing_else(void **state)
{
	char names[256] = "";
	struct ipk_error err = {0};
	int n = 0;

	(void)state;
	assert_int_equal(ipk_segment_create("l1", NULL, NULL, &err), 0);
	put_file("other", "x", 1);
	put_file(".hidden.ipk", "x", 1);
	put_file(".ipk", "x", 1);
	put_file("README.ipk", "x", 1);
	assert_int_equal(mkdir(in_dir("dir.ipk"), 0700), 0);
	assert_int_equal(ipk_segment_list(collect, names, &err), 0);
	assert_string_equal(names, "l1 ");
	assert_int_equal(ipk_segment_list(stop, &n, &err), 1);
	assert_int_equal(n, 1);
	assert_int_equal(ipk_segment_remove("l1", &err), 0);
	setenv("IPK_DIR", "/nonexistent", 1);
	assert_int_equal(ipk_segment_list(collect, names, &err), -ENOENT);
	assert_int_equal(ipk_segment_create("x", NULL, NULL, &err), -ENOENT);
	setenv("IPK_DIR", test_dir, 1);
}

/* ---- creation --------------------------------------------------------------------------- */

static void sizes_are_checked_and_rounded(void **state)
{
	struct ipk_segment_options o = IPK_SEGMENT_OPTIONS_INIT;
	const u64 bad[] = {1, 65535, UINT64_C(1) << 63, UINT64_MAX, IPK_MAX_LIMIT + 1};
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	size_t i;
	int n = 0;

	(void)state;
	for (i = 0; i < IPK_ARRAY_LEN(bad); i++) {
		o.size = bad[i];
		assert_int_equal(ipk_segment_create("s", &o, NULL, &err), -EINVAL);
		assert_non_null(strstr(err.text, "--size"));
	}
	o.size = 100000;
	o.max = 99999;
	assert_int_equal(ipk_segment_create("s", &o, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--max"));
	o.max = UINT64_MAX;
	assert_int_equal(ipk_segment_create("s", &o, NULL, &err), -EINVAL);
	o.max = 100000;
	assert_int_equal(ipk_segment_create("s", &o, &seg, &err), 0);
	assert_int_equal(ipk_header(seg)->size, 102400);
	assert_int_equal(seg->max, 102400);
	assert_int_equal(seg->flags, IPK_SEG_FIXED);
	ipk_segment_close(seg);
	assert_int_equal(test_check("s", true), 0);
	assert_int_equal(ipk_segment_remove("s", &err), 0);
	o.max = 0;
	o.huge = 12345;
	assert_int_equal(ipk_segment_create("s", &o, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--huge"));
	o.huge = 0;
	o.mode = 01777;
	assert_int_equal(ipk_segment_create("s", &o, NULL, &err), -EINVAL);
	o.mode = 0;
	o.group = -2;
	assert_int_equal(ipk_segment_create("s", &o, NULL, &err), -EINVAL);
	o.group = -1;
	o.numa = "sideways";
	assert_int_equal(ipk_segment_create("s", &o, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--numa"));
	o.numa = "bind:1000";
	assert_true(ipk_segment_create("s", &o, NULL, &err) < 0);
	o.numa = "bind:0-";
	assert_int_equal(ipk_segment_create("s", &o, NULL, &err), -EINVAL);
	/* None of the failures left a file. */
	assert_int_equal(ipk_segment_list(stop, &n, &err), 0);
}

static void modes_are_exact_whatever_the_umask(void **state)
{
	struct ipk_segment_options o = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_error err = {0};
	struct stat st;
	mode_t old = umask(0077);

	(void)state;
	o.mode = 0664;
	assert_int_equal(ipk_segment_create("m", &o, NULL, &err), 0);
	assert_int_equal(stat(in_dir("m.ipk"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0664);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(ipk_segment_remove("m", &err), 0);
	umask(0);
	o.mode = 0;
	o.group = getgid();
	assert_int_equal(ipk_segment_create("m", &o, NULL, &err), 0);
	assert_int_equal(stat(in_dir("m.ipk"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_gid, getgid());
	assert_int_equal(ipk_segment_remove("m", &err), 0);
	umask(old);
}

static void what_exists_is_never_touched(void **state)
{
	struct ipk_error err = {0};
	char data[6] = "";
	int fd;

	(void)state;
	put_file("e.ipk", "hello", 5);
	assert_int_equal(ipk_segment_create("e", NULL, NULL, &err), -EEXIST);
	assert_int_equal(open_it("e", IPK_WRITE, &err), -EPROTO);
	assert_non_null(strstr(err.text, "not a segment"));
	assert_int_equal(ipk_segment_remove("e", &err), -EPROTO);
	fd = open(in_dir("e.ipk"), O_RDONLY);
	assert_int_equal(read(fd, data, 6), 5);
	assert_string_equal(data, "hello");
	close(fd);
	unlink(in_dir("e.ipk"));
	/* a link to nowhere, a directory, a fifo */
	assert_int_equal(symlink("/nonexistent", in_dir("e.ipk")), 0);
	assert_int_equal(ipk_segment_create("e", NULL, NULL, &err), -EEXIST);
	assert_true(open_it("e", IPK_WRITE, &err) < 0);
	assert_true(ipk_segment_remove("e", &err) < 0);
	assert_int_equal(unlink(in_dir("e.ipk")), 0);
	assert_int_equal(mkdir(in_dir("e.ipk"), 0700), 0);
	assert_int_equal(open_it("e", IPK_READ, &err), -EPROTO);
	assert_int_equal(open_it("e", IPK_WRITE, &err), -EPROTO);
	assert_int_equal(ipk_segment_remove("e", &err), -EPROTO);
	assert_int_equal(rmdir(in_dir("e.ipk")), 0);
	assert_int_equal(mkfifo(in_dir("e.ipk"), 0600), 0);
	assert_int_equal(open_it("e", IPK_READ, &err), -EPROTO);
	assert_int_equal(open_it("e", IPK_WRITE, &err), -EPROTO);
	assert_int_equal(unlink(in_dir("e.ipk")), 0);
}

static void links_are_not_followed(void **state)
{
	struct ipk_error err = {0};
	char target[192];

	(void)state;
	assert_int_equal(ipk_segment_create("real", NULL, NULL, &err), 0);
	snprintf(target, sizeof(target), "%s/real.ipk", test_dir);
	assert_int_equal(symlink(target, in_dir("link.ipk")), 0);
	assert_int_equal(open_it("link", IPK_READ, &err), -EPROTO);
	assert_non_null(strstr(err.text, "link"));
	assert_int_equal(open_it(in_dir("link.ipk"), IPK_READ, &err), -EPROTO);
	assert_int_equal(ipk_segment_remove("link", &err), -EPROTO);
	assert_int_equal(open_it("real", IPK_READ, &err), 0);
	unlink(in_dir("link.ipk"));
	assert_int_equal(ipk_segment_remove("real", &err), 0);
}

static void of_many_creators_exactly_one_wins(void **state)
{
	enum { CREATORS = 8, ROUNDS = 40 };
	struct ipk_error err = {0};
	int i, k, won, status;
	pid_t pid[CREATORS];
	int go[2];
	char c;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		assert_int_equal(pipe(go), 0);
		for (k = 0; k < CREATORS; k++) {
			pid[k] = fork();
			assert_true(pid[k] >= 0);
			if (pid[k] == 0) {
				struct ipk_segment *seg = NULL;
				int r;

				close(go[1]);
				if (read(go[0], &c, 1) != 0)
					_exit(9);
				r = ipk_segment_create("race", NULL, NULL, &err);
				/* Whoever lost finds it complete. */
				if (ipk_segment_open("race", IPK_WRITE, &seg, &err) != 0)
					_exit(8);
				_exit(r == 0 ? 1 : r == -EEXIST ? 0 : 7);
			}
		}
		close(go[0]);
		close(go[1]);
		for (won = k = 0; k < CREATORS; k++) {
			status = test_wait(pid[k]);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
			won += WEXITSTATUS(status);
		}
		assert_int_equal(won, 1);
		assert_int_equal(ipk_segment_remove("race", &err), 0);
	}
}

static void memory_is_reserved_unless_it_is_sparse(void **state)
{
	struct ipk_segment_options o = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_error err = {0};
	struct ipk_segment *seg = NULL;
	struct stat st;

	(void)state;
	o.size = 8 << 20;
	assert_int_equal(ipk_segment_create("r", &o, NULL, &err), 0);
	assert_int_equal(stat(in_dir("r.ipk"), &st), 0);
	assert_true(st.st_blocks * 512 >= 8 << 20);
	assert_int_equal(ipk_segment_remove("r", &err), 0);
	o.size = UINT64_C(1) << 30;
	o.sparse = true;
	assert_int_equal(ipk_segment_create("r", &o, &seg, &err), 0);
	assert_int_equal(stat(in_dir("r.ipk"), &st), 0);
	assert_int_equal(st.st_size, 1 << 30);
	assert_true(st.st_blocks * 512 < 10 << 20); /* the page table */
	assert_int_equal(test_new(seg, "x", 100000, &err), 0);
	assert_int_equal(ipk_object_remove(seg, "x", &err), 0);
	assert_int_equal(test_check("r", true), 0);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove("r", &err), 0);
	o.size = 65536;
	o.max = 1 << 30;
	assert_int_equal(ipk_segment_create("r", &o, &seg, &err), 0);
	assert_int_equal(ipk_segment_grow(seg, 1 << 30, &err), 0);
	assert_int_equal(stat(in_dir("r.ipk"), &st), 0);
	assert_int_equal(st.st_size, 1 << 30);
	assert_true(st.st_blocks * 512 < 20 << 20);
	assert_int_equal(test_check("r", true), 0);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove("r", &err), 0);
}

static void prefault_lock_and_numa_are_honoured_or_refused_by_name(void **state)
{
	struct ipk_segment_options o = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_error err = {0};
	struct ipk_segment *seg = NULL;
	int r;

	(void)state;
	o.size = o.max = 1 << 20;
	o.prefault = true;
	assert_int_equal(ipk_segment_create("p", &o, &seg, &err), 0);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove("p", &err), 0);
	o.lock = true;
	r = ipk_segment_create("p", &o, &seg, &err);
	if (r == 0) {
		ipk_segment_close(seg);
		assert_int_equal(ipk_segment_remove("p", &err), 0);
	} else {
		assert_non_null(strstr(err.text, "--lock"));
	}
	o.lock = false;
	o.numa = "local";
	r = ipk_segment_create("p", &o, &seg, &err);
	if (r == 0) {
		ipk_segment_close(seg);
		assert_int_equal(ipk_segment_remove("p", &err), 0);
	} else {
		assert_non_null(strstr(err.text, "--numa"));
	}
	r = -ENOENT;
	o.numa = "interleave:0";
	r = ipk_segment_create("p", &o, NULL, &err);
	if (r == 0)
		assert_int_equal(ipk_segment_remove("p", &err), 0);
	else
		assert_non_null(strstr(err.text, "--numa"));
}

/* ---- attaching -------------------------------------------------------------------------- */

static void damaged_and_foreign_headers_are_refused_with_what_to_do(void **state)
{
	struct ipk_error err = {0};
	struct ipk_header *h;
	int fd;
	struct {
		size_t at, len;
		u64 val;
		int r;
		const char *says;
	} cases[] = {
		{offsetof(struct ipk_header, magic), 8, 1, -EPROTO, "not a segment"},
		{offsetof(struct ipk_header, magic), 8, __builtin_bswap64(IPK_MAGIC), -EPROTO,
		 "byte order"},
		{offsetof(struct ipk_header, version), 4, 2, -EPROTO, "version 2"},
		{offsetof(struct ipk_header, layout), 4, 2, -EPROTO, "layout"},
		{offsetof(struct ipk_header, incompat), 4, 4, -EPROTO, "0x4"},
		{offsetof(struct ipk_header, compat), 4, 4, 0, ""},
		{offsetof(struct ipk_header, size), 8, 2 << 20, -EBADMSG, ""},
		{offsetof(struct ipk_header, size), 8, 0, -EBADMSG, ""},
		{offsetof(struct ipk_header, size), 8, UINT64_MAX - 4095, -EBADMSG, ""},
		{offsetof(struct ipk_header, max), 8, 4096, -EBADMSG, ""},
		{offsetof(struct ipk_header, max), 8, UINT64_C(1) << 63, -EBADMSG, ""},
	};
	size_t i;

	(void)state;
	for (i = 0; i < IPK_ARRAY_LEN(cases); i++) {
		assert_int_equal(ipk_segment_create("d", NULL, NULL, &err), 0);
		fd = open(in_dir("d.ipk"), O_RDWR);
		h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		assert_true(h != MAP_FAILED);
		memcpy((u8 *)h + cases[i].at, &cases[i].val, cases[i].len);
		munmap(h, sizeof(*h));
		close(fd);
		assert_int_equal(open_it("d", IPK_READ, &err), cases[i].r);
		if (cases[i].r && !strstr(err.text, cases[i].says))
			fail_msg("case %zu: \"%s\" lacks \"%s\"", i, err.text, cases[i].says);
		assert_int_equal(open_it("d", IPK_WRITE, &err), cases[i].r);
		unlink(in_dir("d.ipk"));
	}
	/* cut short */
	assert_int_equal(ipk_segment_create("d", NULL, NULL, &err), 0);
	assert_int_equal(truncate(in_dir("d.ipk"), 70000), 0);
	assert_int_equal(open_it("d", IPK_WRITE, &err), -EBADMSG);
	assert_int_equal(truncate(in_dir("d.ipk"), 100), 0);
	assert_int_equal(open_it("d", IPK_WRITE, &err), -EBADMSG);
	assert_int_equal(truncate(in_dir("d.ipk"), 0), 0);
	assert_int_equal(open_it("d", IPK_WRITE, &err), -EPROTO);
	unlink(in_dir("d.ipk"));
	assert_int_equal(open_it("d", IPK_WRITE, &err), -ENOENT);
	assert_int_equal(open_it("d", 0, &err), -EINVAL);
}

static void a_reader_writes_not_one_byte(void **state)
{
	struct ipk_segment *seg = test_segment("w", 65536, 65536), *reader = NULL;
	struct ipk_error err = {0};
	u8 *before = malloc(65536);
	int i, error = 0;

	(void)state;
	assert_non_null(before);
	assert_int_equal(test_new(seg, "x", 100, &err), 0);
	assert_int_equal(chmod(in_dir("w.ipk"), 0400), 0);
	memcpy(before, seg->base, 65536);
	for (i = 0; i < 3; i++) {
		assert_int_equal(ipk_segment_open("w", IPK_READ, &reader, &err), 0);
		assert_null(ipk_self(reader, &error));
		assert_int_equal(error, -EACCES);
		ipk_segment_close(reader);
	}
	assert_memory_equal(before, seg->base, 65536);
	free(before);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove("w", &err), 0);
}

static void another_boot_is_noticed(void **state)
{
	struct ipk_segment *seg = test_segment("b", 65536, 65536);
	struct ipk_error err = {0};
	u64 id[2];

	(void)state;
	ipk_boot_id(id);
	assert_int_equal(ipk_header(seg)->boot_id[0], id[0]);
	ipk_header(seg)->boot_id[0] ^= 1;
	ipk_segment_close(seg);
	assert_int_equal(open_it("b", IPK_READ, &err), 0);
	assert_int_equal(ipk_segment_open("b", IPK_WRITE, &seg, &err), 0);
	assert_int_equal(ipk_header(seg)->boot_id[0], id[0]);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove("b", &err), 0);
}

static int seals(int fd)
{
	const int exec = 0x20; /* F_SEAL_EXEC, where the kernel has it */

	return fcntl(fd, F_GET_SEALS) & ~exec;
}

static void a_memfd_travels_as_a_descriptor_and_cannot_shrink(void **state)
{
	struct ipk_segment_options o = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg = NULL, *other = NULL;
	struct ipk_error err = {0};
	struct ipk_obj *obj = NULL;
	char path[64];
	int fd = -1;

	(void)state;
	o.size = 65536;
	o.max = 1 << 20;
	assert_int_equal(ipk_segment_memfd("label", &o, &fd, &err), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(seals(fd), F_SEAL_SHRINK | F_SEAL_SEAL);
	assert_int_equal(ftruncate(fd, 4096), -1);
	assert_int_equal(ipk_segment_open_fd(fd, IPK_WRITE, &seg, &err), 0);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	assert_int_equal(ipk_segment_open(path, IPK_WRITE, &other, &err), 0);
	assert_int_equal(test_new(seg, "x", 200000, &err), 0);
	assert_int_equal(test_open(other, "x", &obj, &err), 0);
	ipk_obj_close(obj);
	assert_int_equal(test_check(path, true), 0);
	assert_int_equal(ipk_object_remove(other, "x", &err), 0);
	ipk_segment_close(other);
	ipk_segment_close(seg);
	close(fd);
	o.max = 65536;
	assert_int_equal(ipk_segment_memfd("label", &o, &fd, &err), 0);
	assert_int_equal(seals(fd), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	close(fd);
	assert_int_equal(ipk_segment_open_fd(fd, IPK_WRITE, &seg, &err), -EBADF);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(ipk_segment_open_fd(fd, IPK_WRITE, &seg, &err), -EPROTO);
	close(fd);
}

/* As nobody: opens, looks, and tries to remove. */
static int as_nobody(void)
{
	struct ipk_error err = {0};

	/* From inside: what lies above may be closed to others. */
	if (chdir(test_dir) != 0 || setenv("IPK_DIR", ".", 1) != 0 || setgid(65534) != 0 ||
	    setuid(65534) != 0)
		return 1;
	if (open_it("closed", IPK_READ, &err) != -EACCES || !strstr(err.text, "permission"))
		return 2;
	if (open_it("closed", IPK_WRITE, &err) != -EACCES)
		return 3;
	if (open_it("shown", IPK_READ, &err) != 0)
		return 4;
	if (open_it("shown", IPK_WRITE, &err) != -EACCES)
		return 5;
	if (open_it("shared", IPK_WRITE, &err) != 0)
		return 6;
	if (ipk_segment_remove("shared", &err) != -EPERM ||
	    ipk_segment_remove("shown", &err) != -EPERM)
		return 7;
	if (ipk_segment_create("mine", NULL, NULL, &err) != -EACCES)
		return 8;
	return 0;
}

static void the_file_s_mode_decides(void **state)
{
	struct ipk_segment_options o = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_error err = {0};
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(test_dir, 0755), 0);
	assert_int_equal(ipk_segment_create("closed", &o, NULL, &err), 0);
	o.mode = 0644;
	assert_int_equal(ipk_segment_create("shown", &o, NULL, &err), 0);
	o.mode = 0666;
	assert_int_equal(ipk_segment_create("shared", &o, NULL, &err), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(as_nobody());
	assert_int_equal(test_wait(pid), 0);
	assert_int_equal(ipk_segment_remove("closed", &err), 0);
	assert_int_equal(ipk_segment_remove("shown", &err), 0);
	assert_int_equal(ipk_segment_remove("shared", &err), 0);
}

/* ---- removal ---------------------------------------------------------------------------- */

static void removal_takes_the_name_and_tells_who_is_there(void **state)
{
	struct ipk_segment *seg = test_segment("g", 0, 0), *again = NULL;
	struct ipk_error err = {0};
	struct ipk_obj *obj = NULL;

	(void)state;
	assert_int_equal(test_new(seg, "x", 100, &err), 0);
	assert_int_equal(test_open(seg, "x", &obj, &err), 0);
	assert_false(ipk_stale(obj));
	assert_int_equal(ipk_segment_remove("g", &err), 0);
	assert_true(ipk_stale(obj));
	assert_int_equal(ipk_segment_remove("g", &err), -ENOENT);
	assert_int_equal(open_it("g", IPK_READ, &err), -ENOENT);
	/* The name is free, the memory still there. */
	assert_int_equal(ipk_segment_create("g", NULL, &again, &err), 0);
	assert_int_equal(test_new(seg, "y", 100, &err), 0);
	assert_int_equal(ipk_header(again)->objects, 0);
	assert_int_equal(ipk_header(seg)->objects, 2);
	assert_true(ipk_header(seg)->id[0] != ipk_header(again)->id[0]);
	ipk_obj_close(obj);
	ipk_segment_close(seg);
	ipk_segment_close(again);
	assert_int_equal(ipk_segment_remove("g", &err), 0);
}

/* ---- huge pages ------------------------------------------------------------------------- */

static void huge_pages_are_linked_from_the_directory(void **state)
{
	struct ipk_segment_options o = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg = NULL, *other = NULL;
	struct ipk_error err = {0};
	struct ipk_obj *obj = NULL;
	char target[PATH_MAX] = "";
	struct stat st;

	(void)state;
	o.huge = 2 << 20;
	o.size = 2 << 20;
	o.max = 4 << 20;
	assert_int_equal(ipk_segment_create("h", &o, NULL, &err), -EINVAL);
	o.max = 0;
	if (ipk_segment_create("h", &o, &seg, &err) != 0) {
		assert_string_not_equal(err.text, "");
		assert_int_equal(lstat(in_dir("h.ipk"), &st), -1);
		skip();
	}
	assert_int_equal(lstat(in_dir("h.ipk"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_true(readlink(in_dir("h.ipk"), target, sizeof(target) - 1) > 0);
	assert_int_equal(ipk_segment_create("h", &o, NULL, &err), -EEXIST);
	assert_int_equal(ipk_segment_open("h", IPK_WRITE, &other, &err), 0);
	assert_int_equal(test_new(seg, "x", 300000, &err), 0);
	assert_int_equal(test_open(other, "x", &obj, &err), 0);
	ipk_obj_close(obj);
	assert_int_equal(test_check("h", true), 0);
	assert_int_equal(test_new(seg, "y", 3 << 20, &err), -ENOSPC);
	assert_int_equal(ipk_object_remove(other, "x", &err), 0);
	ipk_segment_close(other);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove("h", &err), 0);
	assert_int_equal(lstat(target, &st), -1);
	assert_int_equal(lstat(in_dir("h.ipk"), &st), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_paths_are_told_apart),
		cmocka_unit_test(a_segment_at_a_path_is_the_file_itself),
		cmocka_unit_test(listing_names_the_segments_and_nothing_else),
		cmocka_unit_test(sizes_are_checked_and_rounded),
		cmocka_unit_test(modes_are_exact_whatever_the_umask),
		cmocka_unit_test(what_exists_is_never_touched),
		cmocka_unit_test(links_are_not_followed),
		cmocka_unit_test(of_many_creators_exactly_one_wins),
		cmocka_unit_test(memory_is_reserved_unless_it_is_sparse),
		cmocka_unit_test(prefault_lock_and_numa_are_honoured_or_refused_by_name),
		cmocka_unit_test(damaged_and_foreign_headers_are_refused_with_what_to_do),
		cmocka_unit_test(a_reader_writes_not_one_byte),
		cmocka_unit_test(another_boot_is_noticed),
		cmocka_unit_test(a_memfd_travels_as_a_descriptor_and_cannot_shrink),
		cmocka_unit_test(the_file_s_mode_decides),
		cmocka_unit_test(removal_takes_the_name_and_tells_who_is_there),
		cmocka_unit_test(huge_pages_are_linked_from_the_directory),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
