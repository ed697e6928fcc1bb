/* SPDX-License-Identifier: MIT */
/* System calls that a container's filter or an old kernel refuses: the library falls back, or says
 * so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipk/queue.h"
#include "ipk/segment.h"
#include "private_dir.h"

/* From now on this process gets error from the call nr; with arg1 >= 0 only where argument 1 is
 * that. */
static bool refuse(uint32_t nr, int64_t arg1, uint32_t error)
{
	struct sock_filter any[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)arg1, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(any) / sizeof(any[0]), .filter = any};

	if (arg1 < 0)
		any[3] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						      offsetof(struct seccomp_data, nr));
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static struct ipk_segment *make(struct ipk_queue **ret_queue)
{
	struct ipk_segment *seg;

	assert_int_equal(ipk_segment_create("s", NULL, &seg, NULL), 0);
	assert_int_equal(ipk_queue_create(seg, "q", "u64", 4, NULL), 0);
	assert_int_equal(ipk_queue_open(seg, "q", NULL, ret_queue, NULL), 0);
	return seg;
}

/* The filtered consumer: 0 when it got all values by waiting for them. */
static int consume(void)
{
	struct ipk_segment *seg;
	struct ipk_queue *q;
	uint64_t v;

	if (!refuse(SYS_futex_waitv, -1, ENOSYS))
		return 77;
	if (ipk_segment_open("s", IPK_READ | IPK_WRITE, &seg, NULL) != 0 ||
	    ipk_queue_open(seg, "q", NULL, &q, NULL) != 0)
		return 1;
	for (uint64_t i = 0; i < 20; i++)
		if (ipk_queue_pop(q, &v, sizeof(v), NULL, ipk_deadline(INT64_C(60000000000))) !=
			    0 ||
		    v != i)
			return 2;
	return 0;
}

static void without_futex_waitv_waiting_still_works(void **state)
{
	struct ipk_queue *q;
	struct ipk_segment *seg = make(&q);
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(consume());
	assert_true(pid > 0);
	for (uint64_t i = 0; i < 20; i++) {
		/* Wait until it has taken what is there: then it sleeps, or soon will. */
		while (ipk_queue_count(q, NULL) != 0 && waitpid(pid, &status, WNOHANG) == 0)
			usleep(1000);
		assert_int_equal(ipk_queue_push(q, &i, sizeof(i), IPK_NOWAIT), 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	ipk_queue_close(q);
	ipk_segment_close(seg);
	ipk_segment_remove("s", NULL);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int push_filtered(void)
{
	struct ipk_segment *seg;
	struct ipk_queue *q;
	uint64_t v = 7;
	int r;

	if (!refuse(SYS_fcntl, F_OFD_SETLK, EINVAL))
		return 77;
	r = ipk_segment_open("s", IPK_READ | IPK_WRITE, &seg, NULL);
	if (r == 0)
		r = ipk_queue_open(seg, "q", NULL, &q, NULL);
	if (r == 0)
		r = ipk_queue_push(q, &v, sizeof(v), IPK_NOWAIT);
	return r < 0 ? 3 : 0;
}

static void without_file_locks_nobody_takes_part_unseen(void **state)
{
	struct ipk_queue *q;
	struct ipk_segment *seg = make(&q);
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(push_filtered());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(ipk_queue_count(q, NULL), 0);
	ipk_queue_close(q);
	ipk_segment_close(seg);
	ipk_segment_remove("s", NULL);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_futex_waitv_waiting_still_works),
		cmocka_unit_test(without_file_locks_nobody_takes_part_unseen),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
