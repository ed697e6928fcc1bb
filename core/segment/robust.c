/* SPDX-License-Identifier: MIT */
#include "segment/robust.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment/format.h"
#include "segment/guard.h"

#define WORD offsetof(struct ipk_participant, live)
#define TO_NEXT 32 /* from the word to the node's next */

_Static_assert(IPK_PAGE - WORD == 24, "prev is the first thing on the private page");

static struct robust_list_head *list_head(void)
{
	struct robust_list_head *head = NULL;
	size_t len = 0;

	if (syscall(SYS_get_robust_list, 0, &head, &len) != 0 || len != sizeof(*head))
		return NULL;
	return head;
}

bool ipk_robust_usable(void)
{
	struct robust_list_head *head;

	if (sizeof(void *) != 8 || sysconf(_SC_PAGESIZE) != IPK_PAGE)
		return false;
	head = list_head();
	return head && head->list.next && head->futex_offset == -TO_NEXT;
}

u32 *ipk_robust_map(int fd, u64 off)
{
	u8 *page = mmap(NULL, 2 * IPK_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	if (page == MAP_FAILED)
		return NULL;
	if (mmap(page, IPK_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)off) ==
		    MAP_FAILED ||
	    madvise(page, 2 * IPK_PAGE, MADV_DONTFORK) != 0) {
		munmap(page, 2 * IPK_PAGE);
		return NULL;
	}
	ipk_guard_add(page, IPK_PAGE, false);
	return (u32 *)(page + WORD);
}

void ipk_robust_unmap(u32 *word)
{
	ipk_guard_drop((u8 *)word - WORD);
	munmap((u8 *)word - WORD, 2 * IPK_PAGE);
}

static struct robust_list *node_of(u32 *word)
{
	return (struct robust_list *)((u8 *)word + TO_NEXT);
}

/* glibc's backward link of an entry. Bit 0 of a pointer marks priority-inheriting mutexes. */
static void **prev_of(struct robust_list *entry)
{
	return (void **)((uintptr_t)entry & ~(uintptr_t)1) - 1;
}

void ipk_robust_link(u32 *word)
{
	struct robust_list_head *head = list_head();
	struct robust_list *node = node_of(word);

	*prev_of(head->list.next) = node;
	*prev_of(node) = &head->list;
	node->next = head->list.next;
	/* The kernel may walk the list after any instruction: the node is whole before it is in. */
	atomic_signal_fence(memory_order_seq_cst);
	*(struct robust_list *volatile *)&head->list.next = node;
	atomic_signal_fence(memory_order_seq_cst);
}

void ipk_robust_unlink(u32 *word)
{
	struct robust_list *node = node_of(word);
	struct robust_list *prev = *prev_of(node);

	*prev_of(node->next) = prev;
	atomic_signal_fence(memory_order_seq_cst);
	*(struct robust_list *volatile *)&prev->next = node->next;
	/* node->next stays what it was until the kernel cannot come by it any more. */
	atomic_signal_fence(memory_order_seq_cst);
}

void ipk_robust_abandon(u32 *word)
{
	mmap((u8 *)word - WORD, IPK_PAGE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}
