/* SPDX-License-Identifier: MIT */
/* What kinds do alike in the functions that their descriptors name. */
#ifndef IPK_KINDS_HOOKS_H
#define IPK_KINDS_HOOKS_H

#include "ipk/kind.h"
#include "segment/segment.h"

/*
 * The body of an object, for who attaches it or mends it: NULL unless size bytes of it are the
 * object's. *ret_room, where given: how many are.
 */
void *ipk_body(struct ipk_obj *obj, u64 size, u64 *ret_room);

/*
 * After a death: a dead holder's lock must not name its number once that is another's, so it is
 * taken over here, and mend called with it held; who has it by now mends as well. died: nobody else
 * was told.
 */
typedef int ipk_mend_fn(struct ipk_self *me, void *arg, bool died);
int ipk_take_over(struct ipk_obj *obj, u64 *lock, ipk_mend_fn *mend, void *arg);

/*
 * The one value that a verb takes, added to ret: 1; 0: none came; an error, also where there are
 * more.
 */
int ipk_call_one_value(struct ipk_call *call, struct ipk_buf *ret);

/* Of owner, a slot + 1 or 0: 1 if there is no such participant, who would give nothing back. */
int ipk_no_participant(const struct ipk_object_view *o, u64 owner);

/*
 * Likewise of a word that its owner's sweep has to mend: 2 if he does not use the object, so that
 * no sweep comes here. Whoever writes such a word has listed the object before (ipk_use(),
 * ipk_holder_use(), the sweep itself), closing gives back or refuses, and the page of the dead
 * stays as it is until all is mended: at no instruction does such a word name who lists it not.
 */
int ipk_no_user(const struct ipk_object_view *o, u64 owner);

/*
 * Tells of a word of the object, at off, whose owner is none: "WHAT participant 7, who ...". Not if
 * the word is another by now: then he left meanwhile, as owners do.
 */
int ipk_check_user(const struct ipk_object_view *o, u64 off, u64 word, u64 owner, const char *what,
		   struct ipk_checker *c);

/*
 * KIND_attach() and KIND_detach() by KIND's functions for C programs; open: of seg, name, &handle
 * and err.
 */
#define IPK_ATTACH_DETACH(kind, open)                                                              \
	static int kind##_attach(struct ipk_segment *seg, const char *name, void **ret_handle,     \
				 struct ipk_error *err)                                            \
	{                                                                                          \
		struct ipk_##kind *handle;                                                         \
		int r = open;                                                                      \
                                                                                                   \
		if (r == 0)                                                                        \
			*ret_handle = handle;                                                      \
		return r;                                                                          \
	}                                                                                          \
                                                                                                   \
	static void kind##_detach(void *handle)                                                    \
	{                                                                                          \
		ipk_##kind##_close(handle);                                                        \
	}

#endif
