/* SPDX-License-Identifier: MIT */
/*
 * ipcfs: every segment and structure as files, read without trust and without disturbing anybody.
 *
 *	main.c        options, going into the background, the end
 *	mountpoint.c  is DIR fit to be mounted on; what a killed ipcfs left there
 *	session.c     threads: one always waits for the next request, the others work
 *	job.c         one request under way: who answers it, and how it is told to stop
 *	ops.c         the table of the kernel's requests, and those without a file of their own
 *	node.c        what the kernel knows: places with node ids; inode numbers
 *	tree.c        the files that there are, their attributes
 *	lookup.c      names to places
 *	name.c        keys as file names
 *	subject.c     opens what a place names: the segment's view, the object, its kind
 *	render.c      a file's bytes; readme.c, bypid.c, log.c some special ones
 *	handle.c      open, read, poll: an opened file is a snapshot
 *	dir.c         directories, listed from a snapshot
 *	attach.c      runs a verb of the descriptor on an object
 *	write.c       items, values, ctl
 *	push.c        the push file
 *	wait.c        .wait: reads that wait and consume
 *	watch.c       the thread that looks for changes on behalf of poll(2)
 *	bypid.c       /by-pid
 *	xattr.c       user.ipk.kind, user.ipk.type
 *
 * Reading goes through views (ipk/view.h): nothing is mapped, written or locked. What there is
 * comes from the descriptor table (ipk/kind.h): no file here names a kind.
 */
#ifndef IPCFS_H
#define IPCFS_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "ipk/error.h"
#include "ipk/kind.h"
#include "ipk/segment.h"
#include "ipk/type.h"
#include "ipk/view.h"

#define IPCFS_LIST_MAX 65536u
#define IPCFS_NAME_MAX 255u

struct options {
	const char *dir; /* absolute */
	bool foreground;
	bool rw;
	bool allow_other;
	uint64_t mounted_at; /* CLOCK_REALTIME, ns */
	uid_t uid;
	gid_t gid;
};
extern struct options options;

int64_t now_ns(void); /* CLOCK_MONOTONIC */
void futex_wake(uint32_t *word); /* all; of this process */
void futex_sleep(uint32_t *word, uint32_t val, int64_t ns); /* ns <0: for ever */

/* ---- places: what a path names ---------------------------------------------------------- */

enum file {
	F_ROOT = 1, F_README, F_VERSION, F_BYPID, F_PID, F_LINK, /* the mount's own */
	F_SEG, F_INFO, F_PARTICIPANTS,
	F_OBJ, F_KIND, F_TYPE, F_CAP, F_USED, F_HEALTH, F_STATS, F_HOLDERS, F_WAITERS,
	F_ITEMS, F_ITEM, F_VALUE, F_ALL, F_RAW, F_LOG, F_PUSH, F_CTL, F_WAITDIR, F_WAIT,
};

/* What tells one file from all others, by value: nothing that it names need exist any more. */
struct place {
	enum file file;
	uint32_t pid; /* PID, LINK */
	uint64_t dev, ino; /* of the segment's file */
	uint64_t object; /* the object's id, in its segment for ever its own; 0: none */
	char seg[64];
	char obj[64];
	char *key; /* ITEM: position in decimal, or the key's text; WAIT, LINK: the name. Allocated */
	size_t key_len;
};
int place_copy(struct place *dst, const struct place *src);
int place_set_key(struct place *p, const char *key, size_t len);
void place_clear(struct place *p);
uint64_t place_hash(const struct place *p); /* the inode number */
uint64_t bytes_hash(const void *data, size_t len);

/* ---- nodes: places that the kernel knows ------------------------------------------------ */

struct handle;
struct log;

/*
 * The kernel asks for the size of an opened file without saying by which opening, and makes writers
 * of one inode wait for each other where no signal reaches them. So each opening has a node of its
 * own: look-up gives a file's node again only to the thread that was given it last, and only while
 * nobody has it open. The inode number is the same for all of them.
 */
struct node {
	struct place place;
	uint64_t hash;
	uint64_t lookups; /* the kernel's references */
	uint32_t refs; /* ours: requests under way, handles */
	bool hashed; /* found by look-up */
	struct node *hash_next;
	struct handle *handles; /* opened, latest first */
	pid_t tid; /* who looked it up last */
	/* What that look-up found, for the GETATTR or OPEN of the same system call. */
	struct ipk_buf fresh;
	struct stat fresh_st;
	int64_t fresh_at; /* 0: nothing */
	bool fresh_whole; /* the bytes were kept, too */
	struct node *fresh_next;
	struct node *all_next, *all_prev;
	struct log *log;
};
struct node *node_of(fuse_ino_t ino); /* with a reference */
fuse_ino_t node_ino(const struct node *n);
void node_hold(struct node *n);
void node_put(struct node *n);
/* With a reference and a look-up counted; NULL: no memory. */
struct node *node_look_up(const struct place *p, pid_t tid);
void node_forget(fuse_ino_t ino, uint64_t count);
void node_add_handle(struct node *n, struct handle *h);
void node_remove_handle(struct node *n, struct handle *h);
/* The size of what pid, or else whoever came last, has opened; false: nobody has. */
bool node_open_size(struct node *n, pid_t pid, uint64_t *ret_size);
struct log *node_set_log(struct node *n, struct log *log);
/* Takes buf; true when its bytes are kept. */
bool node_keep_fresh(struct node *n, const struct stat *st, struct ipk_buf *buf);
bool node_take_fresh(struct node *n, pid_t tid, struct stat *ret_st, struct ipk_buf *ret_buf);
void nodes_expire(void);
void nodes_free_all(void);

/* ---- jobs: requests under way ----------------------------------------------------------- */

/*
 * What an interruption does to a request. A thread that is being killed gets its answer at once,
 * whatever the worker is doing; the worker finds out by job_claim(). Other signals must not make
 * stat(2) fail: programs do not expect it.
 */
enum job_kind {
	JOB_LOOKS, /* answered with EINTR when the thread is dying; if asked to end, after a while */
	JOB_READS, /* and after a while for any signal */
	JOB_WAITS, /* answered with EINTR at once */
	JOB_STORES, /* told to stop when the thread is dying, answers for itself what was done */
	JOB_WRITES, /* told to stop at once, likewise */
};

struct job {
	fuse_req_t req;
	struct node *node; /* with a reference */
	struct handle *handle; /* with a reference, or NULL */
	enum job_kind kind;
	pid_t tid; /* who asks; 0: somebody of another pid namespace */
	uint32_t cancel; /* futex and flag: stop */
	uint32_t state;
	int64_t late; /* since when it is interrupted; 0: it is not, or that was dealt with */
	bool begun;
	pthread_t thread;
	struct job *next, *prev;
};
void job_begin(struct job *j, fuse_req_t req, fuse_ino_t ino, enum job_kind kind);
/* On an opened file: it is kept until the job has ended, even if it was answered long before. */
struct handle *job_begin_on(struct job *j, fuse_req_t req, fuse_ino_t ino,
			    const struct fuse_file_info *fi, enum job_kind kind);
/* True: the caller answers, now. False: it was answered, and req is gone. Once only. */
bool job_claim(struct job *j);
void job_end(struct job *j); /* after the answer */
void job_error(struct job *j, int r); /* claims, answers -r, ends */
bool job_cancelled(const struct job *j); /* j may be NULL */
void job_cancel(struct job *j);
int job_sleep(struct job *j, int64_t ns); /* 0, or -EINTR when cancelled */
void jobs_cancel_all(void); /* and all that begin from now on */
bool jobs_look_after(void); /* those that are late; false: there are none */

/* Serves se; when it ends by itself (unmounted), done_fd, an eventfd, is written to. */
int session_start(struct fuse_session *se, int done_fd);
bool session_stop(int seconds); /* true when all threads have ended in that time */
bool session_may_block(void); /* may one more request wait for somebody else's doing? */
void session_is_live(void *arg); /* main.c: the kernel has said hello */

/* ---- subjects --------------------------------------------------------------------------- */

/* What a place names, opened for reading. */
struct subject {
	struct stat st; /* of the segment's file */
	struct ipk_view *view; /* NULL when it cannot be read: */
	int error;
	struct ipk_error why;
	bool has_obj;
	struct ipk_object_view obj;
	const struct ipk_kind *kind; /* NULL: unknown, or of another version */
	struct ipk_type *type, *key_type; /* after subject_types() */
};
/*
 * Opens the segment that p lies in, and its object if it lies in one; says in p which ones where p
 * does not. -ENOENT when they are gone or others. subject_close() follows in any case.
 */
int subject_open(struct subject *s, struct place *p);
int subject_types(struct subject *s);
void subject_close(struct subject *s, const struct place *p);
bool subject_exists(struct place *p); /* the segment's file */
void views_expire(bool all);

/* ---- files ------------------------------------------------------------------------------ */

typedef int render_fn(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out);

struct file_info {
	enum file file;
	const char *name; /* NULL: not fixed */
	mode_t mode; /* with S_IFDIR or S_IFLNK where it is no regular file */
	bool hidden; /* found, not listed */
	bool polls; /* poll(2) tells of changes */
	bool (*has)(const struct ipk_kind *kind); /* kind may be NULL */
	render_fn *render;
};
extern const struct file_info root_files[], segment_files[], object_files[]; /* end: name NULL */
const struct file_info *file_info(enum file file);

/* Finds name below parent, with attributes and the bytes. *p is to be cleared in any case. */
int tree_lookup(struct job *j, const struct place *parent, const char *name, struct place *p,
		struct stat *ret_st, struct ipk_buf *out);
/* Attributes; without out the size is 0 and nothing is rendered. */
int tree_look_at(struct job *j, struct subject *s, struct place *p, struct stat *ret_st,
		 struct ipk_buf *out);
int tree_stat(struct job *j, struct place *p, struct stat *ret_st, struct ipk_buf *out);
double tree_timeout(const struct place *p); /* how long the kernel may believe attributes */
int tree_render(struct job *j, struct place *p, struct ipk_buf *out);
void tree_gone(const struct place *p, struct stat *st);
int tree_item(struct job *j, const struct place *parent, const char *name, struct place *p);
int tree_may_write(const struct place *p); /* 0, -EACCES */
int tree_may_remove(const struct place *p); /* 0, -EPERM */
bool tree_has_only_names(const struct place *p); /* items without values: a set */
const struct ipk_op *tree_wait_op(const struct ipk_kind *kind, const char *name);

render_fn render_nothing, render_readme, render_version, render_link, render_info,
	render_participants, render_kind, render_type, render_cap, render_used, render_health,
	render_stats, render_holders, render_waiters, render_item, render_value, render_all,
	render_raw, render_log;
int key_text(const struct subject *s, const struct ipk_item *item, struct ipk_buf *out);

void name_encode(const void *key, size_t len, char out[IPCFS_NAME_MAX + 1]);
int name_decode(const char *name, char **ret_key, size_t *ret_len); /* -EINVAL, -ENOMEM */
bool name_is_hashed(const char *name);
bool name_position(const char *name, uint64_t *ret_pos); /* decimal digits and nothing else */

int bypid_child(const struct place *parent, const char *name, struct place *p);
int bypid_check(const struct place *p);

/* ---- directories ------------------------------------------------------------------------ */

struct listing;
int listing_add(struct listing *l, const char *name, uint64_t ino, mode_t type); /* 1: full */
int bypid_list(struct job *j, const struct place *p, struct listing *l);
void dir_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void dir_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void dir_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* ---- opened files ----------------------------------------------------------------------- */

struct attach;
struct waiter;

struct handle {
	struct place place;
	struct node *node;
	struct handle *next; /* of the node */
	struct handle *all_next, *all_prev;
	uint32_t refs; /* one until it is released, one for each job; atomic */
	pid_t pid; /* who opened it */
	uint64_t size; /* as fstat(2) sees it; atomic */
	pthread_mutex_t lock; /* of what follows */
	struct ipk_buf buf; /* the snapshot; of a writer what is to be stored; of push the open line */
	bool read_at_0; /* once: the next time it is rendered anew */
	bool consumed; /* the reader has seen all of it */
	bool writing;
	bool pending; /* to be stored when it is closed */
	bool written; /* not merely created or truncated */
	bool poisoned; /* push: a write that was to complete the open line has failed */
	bool nonblock; /* of the last write */
	pid_t writer; /* who wrote last; atomic */
	bool torn; /* push: who wrote the open line was killed; atomic */
	struct attach *attach; /* push, ctl, .wait */
	struct waiter *waiter; /* .wait */
	/* watch.c */
	struct fuse_pollhandle *poll;
	struct handle *watch_next, *watch_prev;
	bool watched;
	unsigned seen; /* events that were told; atomic */
};
int handle_new(struct node *n, pid_t pid, struct handle **ret_handle);
void handle_hold(struct handle *h);
void handle_put(struct handle *h);
void handles_close_all(void);
int handle_render(struct job *j, struct handle *h);
void handle_set_size(struct handle *h);
int handle_errno(int r);
unsigned handle_events(struct job *j, struct handle *h); /* for poll(2), now */
int node_attributes(struct job *j, pid_t tid, struct stat *ret_st);

void handle_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void handle_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void handle_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void handle_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		 struct fuse_pollhandle *ph);

int log_open(struct job *j, struct handle *h);
int log_stat(struct job *j, struct node *n, struct stat *ret_st);
void log_read(struct job *j, struct handle *h, size_t size, uint64_t off);
void log_free(struct log *log);

/* ---- writing and waiting ---------------------------------------------------------------- */

/* An object attached for writing. */
struct attach {
	struct ipk_segment *seg;
	const struct ipk_kind *kind;
	void *object;
	struct ipk_type *type, *key_type;
};
int attach_open(const struct place *p, struct attach **ret_attach);
void attach_close(struct attach *a); /* may be NULL */
/* Runs op; what call leaves open is filled in. j cancels it. -EOPNOTSUPP: op is NULL. */
int attach_run(struct attach *a, const struct ipk_op *op, struct ipk_call *call, struct job *j);
int attach_set(const struct place *p, const char *text, size_t len, struct job *j);
int attach_delete(const struct place *p, struct job *j);

int write_open(struct job *j, struct handle *h, int flags);
void write_release(struct job *j, struct handle *h);
void write_data(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		struct fuse_file_info *fi);
void write_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void write_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		   struct fuse_file_info *fi);
void write_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		  struct fuse_file_info *fi);
void write_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void write_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		  const char *newname, unsigned flags);

void push_closed(struct handle *h, pid_t pid);
/* Handle locked. */
int push_write(struct job *j, struct handle *h, const char *data, size_t size); /* bytes used */
int push_flush(struct job *j, struct handle *h);
void push_release(struct job *j, struct handle *h);
bool push_ready(struct handle *h);
bool holders_exist(const struct place *p); /* does any process have it open? */

int wait_open(struct handle *h);
void wait_read(struct job *j, struct handle *h, size_t size, bool nonblock); /* answers j */
void wait_shut(struct handle *h); /* it is released: what was not delivered goes back */
void wait_free(struct handle *h);
bool wait_ready(struct job *j, struct handle *h);

int watch_start(void);
void watch_stop(void);
void watch_add(struct handle *h, struct fuse_pollhandle *ph); /* takes ph */
void watch_remove(struct handle *h);
void watch_wake(void);
void watch_seen(struct handle *h, unsigned events); /* the poller knows of these */

void xattr_get(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void xattr_list(fuse_req_t req, fuse_ino_t ino, size_t size);

extern const struct fuse_lowlevel_ops operations;

/* Makes of dir, as the user wrote it, an absolute path that can be mounted on: 0, or an exit status
 * with the reason in why. A dead ipcfs that is still mounted there is unmounted. */
int mountpoint_prepare(const char *dir, char **ret_path, char *why, size_t size);
void mountpoint_detach(const char *path);

#endif
