/* SPDX-License-Identifier: MIT */
/* What kinds with element types share when an object is made and opened. */
#ifndef IPK_CORE_OBJECT_TYPE_H
#define IPK_CORE_OBJECT_TYPE_H

#include "segment/segment.h"
#include "ipk/kind.h"
#include "ipk/type.h"

enum ipk_type_of { IPK_TYPE_OF_VALUES, IPK_TYPE_OF_KEYS };

/*
 * The type that the header of an open object stores; its elements have to be of size bytes (0 where
 * they are variable). claim is what the caller takes it for, NULL: whatever it is. *ret_type is the
 * caller's, to be freed by ipk_type_free().
 * -EBADMSG (damaged, or another size), -EMEDIUMTYPE (another type than claimed), -EINVAL (claim is
 * no type), -ENOMEM.
 */
int ipk_obj_type(struct ipk_obj *obj, const char *name, enum ipk_type_of of, u64 size,
		 const char *claim, struct ipk_type **ret_type, struct ipk_error *err);

/* Bytes of an element of the type that text says (0: variable). -EBADMSG: it says none; -ENOMEM. */
int ipk_text_size(const char *text, u32 *ret_size);

/* ipk_object_new() with the options that most kinds have. NULL and 0: the kind's default. */
int ipk_object_new_typed(struct ipk_segment *seg, const char *name, const char *kind,
			 const char *type, const char *key, u64 cap, struct ipk_error *err);

/* A creation parameter as the number that is kept in opts[]: of a WORD its place, from 0. */
u64 ipk_param_number(const struct ipk_arg *spec, const struct ipk_argval *val);

#endif
