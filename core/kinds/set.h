/* SPDX-License-Identifier: MIT */
/* A set is a map without a key type: its values are the keys, see map.h. Nothing else is stored. */
#ifndef IPK_KINDS_SET_H
#define IPK_KINDS_SET_H

#include "ipk/set.h"
#include "kinds/map.h"

struct ipk_set {
	struct ipk_map map;
};

extern const struct ipk_kind ipk_kind_set;
extern const struct ipk_op ipk_set_ops[];

/* As ipk_set_add(); err may be NULL. */
int ipk_set_put(struct ipk_set *set, const void *value, size_t len, i64 deadline,
		struct ipk_error *err);

#endif
