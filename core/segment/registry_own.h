/* SPDX-License-Identifier: MIT */
/* What slot.c, registry.c, registrar.c, sweep.c and process.c share and nobody else needs. */
#ifndef IPK_REGISTRY_OWN_H
#define IPK_REGISTRY_OWN_H

#include "segment/registry.h"

/* slot.c */
bool ipk_own_byte(struct ipk_segment *seg, u32 slot); /* locked by seg->fd's description */
int ipk_byte_lock(struct ipk_segment *seg, u32 slot, int cmd);
void ipk_byte_unlock(struct ipk_segment *seg, u32 slot);
int ipk_slot_claim(struct ipk_segment *seg, int fd, u32 *ret_slot, u64 *ret_gen,
		   struct ipk_participant **ret_page);
void ipk_slot_fill(struct ipk_participant *p, enum ipk_role role);

/* registry.c */
void ipk_node_drop(struct ipk_self *s, bool own);

/* registrar.c */
int ipk_registry_grow(struct ipk_segment *seg); /* 0: look for a slot again */
void ipk_registrar_sweep(struct ipk_segment *seg);
void ipk_registrar_mutex_lock(void);
void ipk_registrar_mutex_unlock(void);

/* process.c: pid, start, pid namespace, command, since */
void ipk_process_describe(struct ipk_participant *p, u32 pid);
void ipk_process_forget(void);
u64 ipk_process_start(u32 pid);

#endif
