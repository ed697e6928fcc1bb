/* SPDX-License-Identifier: MIT */
/* Queues: beside processes that are stopped in the middle of an operation. */
#include "kinds/queue_dead.h"

/* ---- stopped processes ----------------------------------------------------------------------- */

static void claim_and_stop(void *arg)
{
	struct ipk_queue *q = child_queue();
	u64 w = 0;

	(void)arg;
	must(ipk_cas(&q_slot(q, 0)->w, &w, word(0, IPK_QUEUE_WR, 0, own_slot(q)), seq_cst));
	kill(getpid(), SIGSTOP);
	memcpy(q_slot(q, 0)->fixed, &(u64){77}, 8);
	set_word(q, 0, word(0, IPK_QUEUE_FULL, 0, 0));
	ipk_event_notify(&q->b->items, 1);
}

static bool stopped(pid_t pid)
{
	int status;

	return waitpid(pid, &status, WUNTRACED | WNOHANG) == pid && WIFSTOPPED(status);
}

static void a_stopped_producer_is_waited_for(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	pid_t pid = spawn(claim_and_stop, NULL);
	u64 val;

	(void)state;
	await(stopped(pid));
	assert_int_equal(push_u64(q, 78), 0);
	assert_int_equal(pop_u64(q), -EAGAIN);
	assert_int_equal(ipk_queue_pop(q, &val, 8, NULL, ipk_deadline(30000000)), -ETIMEDOUT);
	ipk_segment_sweep(q->obj.seg);
	assert_int_equal(pop_u64(q), -EAGAIN);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(ipk_queue_pop(q, &val, 8, NULL, IPK_FOREVER), 0);
	assert_int_equal(val, 77);
	assert_int_equal(pop_u64(q), 78);
	assert_ended_well(join_child(pid));
	drop_queue(q);
}

static void a_stopped_producer_that_dies_is_passed(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	pid_t pid = spawn(claim_and_stop, NULL);
	u64 val;

	(void)state;
	await(stopped(pid));
	assert_int_equal(push_u64(q, 78), 0);
	assert_int_equal(pop_u64(q), -EAGAIN);
	kill_child(pid);
	assert_int_equal(ipk_queue_pop(q, &val, 8, NULL, IPK_FOREVER), 0);
	assert_int_equal(val, 78);
	assert_sound();
	drop_queue(q);
}

static void take_and_stop(void *arg)
{
	struct ipk_queue *q = child_queue();
	u64 w = word(0, IPK_QUEUE_FULL, 0, 0);

	(void)arg;
	must(ipk_cas(&q_slot(q, 0)->w, &w, w | QW_ST(1) | own_slot(q), seq_cst));
	kill(getpid(), SIGSTOP);
}

/* Others' items flow; only the slot itself is in the way, after one lap. Its death frees it. */
static void a_stopped_consumer_holds_up_one_slot(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	struct ipk_queue_item item;
	pid_t pid;
	u64 val;

	(void)state;
	assert_int_equal(push_u64(q, 0), 0);
	pid = spawn(take_and_stop, NULL);
	await(stopped(pid));
	for (u64 n = 1; n < 4; n++) {
		assert_int_equal(push_u64(q, n), 0);
		assert_int_equal(pop_u64(q), n);
	}
	assert_int_equal(push_u64(q, 4), -EAGAIN);
	kill_child(pid);
	val = 4;
	assert_int_equal(ipk_queue_push(q, &val, 8, IPK_FOREVER), 0);
	assert_int_equal(ipk_queue_pop(q, &val, 8, &item, IPK_NOWAIT), 0);
	assert_int_equal(val, 0);
	assert_int_equal(item.redelivered, 1);
	assert_int_equal(pop_u64(q), 4);
	assert_sound();
	drop_queue(q);
}

/*
 * Killed or stopped by the test between COMMIT and the last value: the words still wait in the
 * journal.
 */
static void stop_in_a_transaction(void *arg)
{
	struct ipk_queue *q = child_queue();
	struct ipk_header *h = ipk_header(q->obj.seg);
	int error = 0;

	(void)arg;
	must(ipk_lock(ipk_use(&q->obj, &error), &h->lock, IPK_FOREVER) == 0);
	ipk_st(&h->journal.e[0].off, ipk_off(q->obj.seg, &q->b->spare2[0]), relaxed);
	ipk_st(&h->journal.e[0].val, UINT64_C(0), relaxed);
	ipk_st(&h->journal.n, UINT64_C(1), release);
	kill(getpid(), SIGSTOP);
}

/*
 * A dead producer's position is mended and its number freed also while the journal is in a stopped
 * one's hands: only who wants a buffer waits for that.
 */
static void a_held_journal_does_not_hold_up_mending(void **state)
{
	static const char longer[] = "of more than forty bytes, so that it has to have a buffer";
	struct ipk_queue *q = make_queue("str", 4);
	pid_t pid = spawn(stop_in_a_transaction, NULL);
	struct ipk_queue_item item;
	u64 *claim, w;
	u32 cancel = 1;
	char buf[100];

	(void)state;
	await(stopped(pid));
	kill_somebody(q);
	w = word(0, IPK_QUEUE_WR, 0, dead_slot);
	set_word(q, 0, w);
	ipk_thread_cancel_word(&cancel);
	ipk_segment_sweep(q->obj.seg);
	claim = &ipk_slot_page(q->obj.seg, dead_slot)->claim;
	assert_int_equal(slot_word(q, 0), word(1, IPK_QUEUE_FREE, 0, 0));
	assert_int_equal(IPK_CLAIM_STATE(ipk_ld(claim, acquire)), IPK_CLAIM_FREE);
	assert_int_equal(push_text(q, "x"), 0);
	assert_int_equal(push_text(q, longer), -ECANCELED);
	ipk_thread_cancel_word(NULL);
	kill_child(pid);
	assert_int_equal(push_text(q, longer), 0);
	assert_int_equal(ipk_queue_pop(q, buf, sizeof(buf), &item, IPK_NOWAIT), 0);
	assert_int_equal(item.len, 1);
	assert_int_equal(ipk_queue_pop(q, buf, sizeof(buf), &item, IPK_NOWAIT), 0);
	assert_int_equal(item.len, strlen(longer));
	assert_sound();
	drop_queue(q);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_stopped_producer_is_waited_for),
		T(a_stopped_producer_that_dies_is_passed),
		T(a_stopped_consumer_holds_up_one_slot),
		T(a_held_journal_does_not_hold_up_mending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
