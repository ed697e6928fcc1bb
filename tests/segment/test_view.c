/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include "segment/dir.h"
#include "segment/registry_own.h"

const struct ipk_obj_hooks *ipk_obj_hooks(u16 kind)
{
	static const struct ipk_obj_hooks hooks;

	return kind == TEST_KIND ? &hooks : NULL;
}

static struct ipk_segment *prepare(void)
{
	struct ipk_segment *seg;

	create_segment("s");
	seg = open_segment("s");
	assert_non_null(seg);
	return seg;
}

static struct ipk_view *view_of(const char *name)
{
	struct ipk_error err = {0};
	struct ipk_view *view = NULL;

	if (ipk_view_open(name, &view, &err) < 0)
		fail_msg("%s", err.text);
	return view;
}

static void a_view_finds_what_was_created(void **state)
{
	struct ipk_segment *seg = prepare();
	struct ipk_view *view = view_of("s");
	struct ipk_object_view o;
	struct ipk_obj *obj;
	u64 word;

	(void)state;
	assert_int_equal(ipk_view_object(view, "o", &o, NULL), -ENOENT);
	create_object(seg, "o", 5000);
	obj = open_object(seg, "o");
	*(u64 *)body_of(obj) = UINT64_C(0x1122334455667788);
	assert_int_equal(ipk_view_object(view, "o", &o, NULL), 0);
	assert_string_equal(o.name, "o");
	assert_string_equal(o.type, "u8");
	assert_null(o.key_type);
	assert_int_equal(o.kind, TEST_KIND);
	assert_true(o.body_size >= 5000);
	assert_int_equal(o.body, obj->body);
	assert_int_equal(o.id, obj->id);
	assert_int_equal(o.creator, getpid());
	assert_int_equal(ipk_view_u64(view, o.body, &word), 0);
	assert_true(word == UINT64_C(0x1122334455667788));
	assert_true(ipk_object_view_current(&o));
	assert_int_equal(ipk_object_rename(seg, "o", "p", NULL), 0);
	assert_int_equal(ipk_view_object(view, "q", &o, NULL), -ENOENT);
	ipk_obj_close(obj);
	assert_int_equal(ipk_object_remove(seg, "p", NULL), 0);
	assert_false(ipk_object_view_current(&o));
	assert_int_equal(ipk_view_object(view, "p", &o, NULL), -ENOENT);
	ipk_object_view_free(&o);
	ipk_view_close(view);
	ipk_segment_close(seg);
}

static void reads_beyond_the_end_are_refused(void **state)
{
	struct ipk_segment *seg = prepare();
	struct ipk_view *view = view_of("s");
	u64 size = ipk_view_size(view), word = 7;
	u32 half = 7;

	(void)state;
	assert_int_equal(ipk_view_u64(view, size - 8, &word), 0);
	word = 7;
	assert_int_equal(ipk_view_u64(view, size, &word), -EBADMSG);
	assert_int_equal(ipk_view_u64(view, size - 4, &word), -EBADMSG);
	assert_int_equal(ipk_view_u64(view, UINT64_MAX - 7, &word), -EBADMSG);
	assert_int_equal(ipk_view_u64(view, 4, &word), -EBADMSG);
	assert_int_equal(ipk_view_u32(view, 2, &half), -EBADMSG);
	assert_int_equal(ipk_view_read(view, 8, &word, UINT64_MAX), -EBADMSG);
	assert_int_equal(word, 7);
	assert_int_equal(half, 7);
	/* What has grown since can be read. */
	assert_int_equal(ipk_segment_grow(seg, size * 2, NULL), 0);
	assert_int_equal(ipk_view_u64(view, size, &word), 0);
	ipk_view_close(view);
	ipk_segment_close(seg);
}

static int count_names(void *arg, const struct ipk_object_view *o)
{
	u8 *seen = arg;

	seen[atoi(o->name + 1)]++;
	return 0;
}

static void all_objects_are_listed_once(void **state)
{
	enum { N = 1500 };
	struct ipk_segment *seg = prepare();
	struct ipk_view *view = view_of("s");
	u8 seen[N] = {0};
	char name[16];

	(void)state;
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		create_object(seg, name, 16);
	}
	assert_int_equal(ipk_view_objects(view, count_names, seen), 0);
	for (int i = 0; i < N; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(info_of("s").objects, N);
	ipk_view_close(view);
	ipk_segment_close(seg);
}

struct churn {
	u32 stop;
	u64 rounds;
};

static void create_rename_remove(void *arg)
{
	struct churn *c = arg;
	struct ipk_segment *seg = open_segment("s");

	must(seg);
	while (!ipk_ld(&c->stop, relaxed)) {
		char name[16];

		for (int i = 100; i < 800; i++) {
			snprintf(name, sizeof(name), "o%d", i);
			create_object(seg, name, (u64)i);
		}
		must(ipk_object_rename(seg, "o100", "o99", NULL) == 0);
		must(ipk_object_rename(seg, "o99", "o100", NULL) == 0);
		for (int i = 100; i < 800; i++) {
			snprintf(name, sizeof(name), "o%d", i);
			must(ipk_object_remove(seg, name, NULL) == 0);
		}
		ipk_add(&c->rounds, 1, relaxed);
	}
	ipk_segment_close(seg);
}

static void what_stays_is_found_beside_all_changes(void **state)
{
	struct churn *c = shared(sizeof(*c));
	struct ipk_segment *seg = prepare();
	struct ipk_view *view = view_of("s");
	struct ipk_object_view o;
	char name[16];
	pid_t pid;

	(void)state;
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		create_object(seg, name, 100);
	}
	pid = spawn(create_rename_remove, c);
	while (ipk_ld(&c->rounds, relaxed) < 5) {
		u8 seen[800] = {0};

		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it is at work */
		assert_int_equal(ipk_view_objects(view, count_names, seen), 0);
		for (int i = 0; i < 50; i++) {
			assert_int_equal(seen[i], 1);
			snprintf(name, sizeof(name), "o%d", i);
			assert_int_equal(ipk_view_object(view, name, &o, NULL), 0);
			assert_string_equal(o.name, name);
			ipk_object_view_free(&o);
		}
	}
	ipk_st(&c->stop, 1u, relaxed);
	assert_ended_well(join_child(pid));
	ipk_view_close(view);
	ipk_segment_close(seg);
}

/* A change was committed and its owner died before he carried it out: it has happened. */
static void a_change_that_waits_in_the_journal_is_seen(void **state)
{
	struct ipk_segment *seg = prepare();
	struct ipk_view *early = view_of("s"), *late;
	struct ipk_header *h = ipk_header(seg);
	struct ipk_object_view o;
	struct ipk_dir_name n;
	u64 *slot, off, entry;

	(void)state;
	create_object(seg, "o", 100);
	ipk_dir_name(&n, "o");
	assert_int_equal(ipk_dir_find(seg, &n, &off, &slot, NULL), 0);
	/* Back to where only the journal knows of it. */
	entry = *slot;
	h->journal.e[0].off = ipk_off(seg, slot);
	h->journal.e[0].val = entry;
	*slot = 0;
	h->lock = UINT64_C(99) << IPK_LOCK_SEQ_SHIFT | 3;
	ipk_st(&h->journal.n, UINT64_C(1), release);
	late = view_of("s");
	assert_int_equal(ipk_view_object(late, "o", &o, NULL), 0);
	ipk_object_view_free(&o);
	assert_int_equal(ipk_view_object(early, "o", &o, NULL), 0);
	ipk_object_view_free(&o);
	/* The next who takes the lock finishes it, and another change follows. */
	ipk_segment_sweep(seg);
	create_object(seg, "p", 100);
	assert_int_equal(*slot, entry);
	assert_int_equal(h->journal.n, 0);
	assert_int_equal(ipk_object_remove(seg, "o", NULL), 0);
	assert_int_equal(ipk_view_object(late, "o", &o, NULL), -ENOENT);
	assert_int_equal(ipk_view_object(early, "o", &o, NULL), -ENOENT);
	assert_int_equal(ipk_view_object(late, "p", &o, NULL), 0);
	ipk_object_view_free(&o);
	ipk_view_close(late);
	ipk_view_close(early);
	ipk_segment_close(seg);
}

static int first_participant(void *arg, const struct ipk_participant_info *p)
{
	*(struct ipk_participant_info *)arg = *p;
	return 1;
}

static void participants_are_described(void **state)
{
	struct ipk_participant_info p = {0};
	struct ipk_segment *seg = prepare();
	struct ipk_view *view = view_of("s");
	struct ipk_self *me = self_of(seg);
	char comm[64] = "";

	(void)state;
	prctl(PR_GET_NAME, comm);
	assert_int_equal(ipk_view_participants(view, first_participant, &p), 1);
	assert_int_equal(p.slot, me->slot);
	assert_int_equal(p.pid, getpid());
	assert_int_equal(p.tid, gettid());
	assert_int_equal(p.start, ipk_process_start((u32)getpid()));
	assert_true(p.start > 0);
	assert_true(p.since > info_of("s").created);
	assert_string_equal(p.comm, comm);
	assert_string_equal(p.role, "user");
	assert_string_equal(p.state, "live");
	assert_true(p.alive);
	assert_int_equal(ipk_view_participant(view, 1 + me->slot % 3, &p), -ENOENT);
	assert_int_equal(ipk_view_participant(view, 99999, &p), -ENOENT);
	ipk_view_close(view);
	ipk_segment_close(seg);
}

/* Through a descriptor of the attached process too: its own locks must not look free. */
static void a_view_of_ones_own_descriptor_sees_oneself(void **state)
{
	struct ipk_segment *seg = prepare();
	struct ipk_participant_info p;
	struct ipk_view *view;

	(void)state;
	assert_int_equal(ipk_view_open_fd(seg->fd, &view, NULL), 0);
	assert_int_equal(ipk_view_participant(view, self_of(seg)->slot, &p), 0);
	assert_true(p.alive);
	ipk_view_close(view);
	ipk_segment_close(seg);
}

static int count_uses(void *arg, const struct ipk_participant_info *p, uint64_t object)
{
	u64 *want = arg;

	(void)p;
	if (object == want[0])
		want[1]++;
	return 0;
}

static void uses_are_listed(void **state)
{
	struct ipk_segment *seg = prepare();
	struct ipk_view *view = view_of("s");
	struct ipk_obj *obj;
	u64 want[2] = {0};

	(void)state;
	create_object(seg, "o", 100);
	obj = open_object(seg, "o");
	want[0] = obj->off;
	assert_int_equal(ipk_view_uses(view, count_uses, want), 0);
	assert_int_equal(want[1], 1);
	ipk_obj_close(obj);
	assert_int_equal(ipk_view_uses(view, count_uses, want), 0);
	assert_int_equal(want[1], 1);
	ipk_view_close(view);
	ipk_segment_close(seg);
}

/* ---- what is not a segment, or not in order ------------------------------------------------- */

static int touch_participant(void *arg, const struct ipk_participant_info *p)
{
	*(u64 *)arg += p->nwait + strlen(p->comm) + strlen(p->role) + strlen(p->state);
	return 0;
}

static int touch_use(void *arg, const struct ipk_participant_info *p, uint64_t object)
{
	*(u64 *)arg += p->slot + object;
	return 0;
}

static int touch_object(void *arg, const struct ipk_object_view *o)
{
	*(u64 *)arg += strlen(o->name) + strlen(o->type) + (o->key_type ? strlen(o->key_type) : 0);
	return 0;
}

static void look_at_everything(const char *path)
{
	struct ipk_segment_info info;
	struct ipk_participant_info p;
	struct ipk_object_view o;
	struct ipk_view *view;
	struct ipk_error err = {0};
	u64 sum = 0;

	if (ipk_view_open(path, &view, &err) < 0) {
		assert_true(err.code < 0 && err.text[0]);
		return;
	}
	ipk_view_info(view, &info);
	ipk_view_participants(view, touch_participant, &sum);
	ipk_view_participant(view, 1, &p);
	ipk_view_uses(view, touch_use, &sum);
	ipk_view_objects(view, touch_object, &sum);
	if (ipk_view_object(view, "o1", &o, &err) == 0)
		ipk_object_view_free(&o);
	ipk_view_close(view);
}

static void no_bytes_crash_or_hang_a_view(void **state)
{
	struct ipk_segment *seg = prepare();
	static u8 good[65536 * 2], bad[sizeof(good)];
	char path[128];
	u64 seed = (u64)getpid();
	ssize_t size;
	int fd;

	(void)state;
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "o%d", i);
		create_object(seg, name, 40);
		open_object(seg, name);
	}
	snprintf(path, sizeof(path), "%s/s.ipk", test_dir);
	fd = open(path, O_RDONLY);
	size = read(fd, good, sizeof(good));
	close(fd);
	assert_int_equal(size, sizeof(good));
	/* The copy is shorter than the segment says; so say that it is not. */
	((struct ipk_header *)(void *)good)->size = sizeof(good);
	snprintf(path, sizeof(path), "%s/bad.ipk", test_dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	for (int i = 0; i < 3000; i++) {
		u32 changes = 1 + seeded(&seed) % 8;

		memcpy(bad, good, sizeof(bad));
		while (changes--) {
			/* Where something lies: header, registry, participants, directory, objects.
			 */
			u32 at = seeded(&seed) % (i % 2 ? 4096 : sizeof(bad) / 2) & ~7u;
			u64 val = seeded(&seed) % 3 ? (u64)seeded(&seed) << (seeded(&seed) % 40)
						    : UINT64_MAX - seeded(&seed) % 64;

			if (at >= 64 || i % 16 == 0) /* what is constant is looked at first */
				memcpy(bad + at, &val, 8);
		}
		assert_int_equal(pwrite(fd, bad, sizeof(bad), 0), sizeof(bad));
		look_at_everything(path);
	}
	for (off_t cut = sizeof(bad); cut > 0; cut /= 2) {
		assert_int_equal(pwrite(fd, good, sizeof(good), 0), sizeof(good));
		assert_int_equal(ftruncate(fd, cut - 1), 0);
		look_at_everything(path);
	}
	close(fd);
	ipk_segment_close(seg);
}

static void what_is_no_segment_is_refused_by_name(void **state)
{
	struct ipk_error err = {0};
	struct ipk_view *view;
	char path[128] = "", other[128];
	int fd;

	(void)state;
	assert_int_equal(ipk_view_open("absent", &view, &err), -ENOENT);
	assert_non_null(strstr(err.text, "absent"));
	snprintf(path, sizeof(path), "%s/foreign.ipk", test_dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(ipk_view_open("foreign", &view, &err), -EPROTO);
	assert_int_equal(write(fd, path, sizeof(path)), sizeof(path));
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	assert_int_equal(ipk_view_open("foreign", &view, &err), -EPROTO);
	assert_non_null(strstr(err.text, "foreign"));
	snprintf(other, sizeof(other), "%s/link.ipk", test_dir);
	assert_int_equal(symlink(path, other), 0);
	assert_int_equal(ipk_view_open("link", &view, &err), -EPROTO);
}

#define T(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

/* The words of one line after the other: all bits set, none set. */
static void toggle_words(void *arg)
{
	u64 *word = arg;

	for (u64 val = 0;; val = ~val)
		for (int i = 0; i < 64; i++)
			ipk_st(&word[i], val, relaxed);
}

static void a_word_that_changes_is_read_whole(void **state)
{
	struct ipk_segment *seg = prepare();
	struct ipk_view *view = view_of("s");
	struct ipk_obj *obj;
	u64 word[16];
	pid_t pid;

	(void)state;
	create_object(seg, "o", 64 * sizeof(u64));
	obj = open_object(seg, "o");
	pid = spawn(toggle_words, body_of(obj));
	for (u64 i = 0; i < 100000; i++) {
		u64 off = obj->body + 8 * (i % 56), *to = &word[i % 7];

		/* Whatever lies where: single words, and words inside. */
		assert_int_equal(ipk_view_u64(view, off, to), 0);
		assert_true(*to == 0 || *to == UINT64_MAX);
		assert_int_equal(ipk_view_read(view, off, to, 64), 0);
		for (int k = 0; k < 8; k++)
			assert_true(to[k] == 0 || to[k] == UINT64_MAX);
	}
	kill_child(pid);
	ipk_obj_close(obj);
	ipk_view_close(view);
	ipk_segment_close(seg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_view_finds_what_was_created),
		T(reads_beyond_the_end_are_refused),
		T(all_objects_are_listed_once),
		T(what_stays_is_found_beside_all_changes),
		T(a_change_that_waits_in_the_journal_is_seen),
		T(participants_are_described),
		T(a_view_of_ones_own_descriptor_sees_oneself),
		T(uses_are_listed),
		T(no_bytes_crash_or_hang_a_view),
		T(what_is_no_segment_is_refused_by_name),
		T(a_word_that_changes_is_read_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
