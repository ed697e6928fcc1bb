/* SPDX-License-Identifier: MIT */
/*
 * One walk, two forms: visitors and items as text or JSON bytes in a buffer. The command line and
 * the mount print through this alone, so that both say the same.
 *
 *	struct ipk_render r;
 *
 *	ipk_render_begin(&r, &buf, IPK_RENDER_JSON);
 *	kind->stats_visit(object, &r.visitor);
 *	ipk_render_end(&r);
 *
 * Text is a line "key value" for each field; JSON is one object, {"v":1,"key":value,...}, without a
 * newline. Nothing here does I/O. Functions return 0 or -ENOMEM unless they say more.
 */
#ifndef IPK_RENDER_H
#define IPK_RENDER_H

#include "ipk/kind.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define IPK_RENDER_JSON 1u
#define IPK_RENDER_META 2u /* items: a record with position and delivery, always JSON */
#define IPK_RENDER_BARE 4u /* JSON objects without "v": for objects inside others */

struct ipk_render {
	struct ipk_visitor visitor; /* pass &r.visitor to whoever visits */
	struct ipk_buf *out;
	unsigned flags;
	unsigned fields; /* visited so far */
};

int ipk_render_begin(struct ipk_render *r, struct ipk_buf *out, unsigned flags);
int ipk_render_end(struct ipk_render *r);

/*
 * A field that is an element; -EBADMSG as ipk_value_print(), and the field is there all the same.
 */
int ipk_render_value(struct ipk_render *r, const char *name, const struct ipk_type *type,
		     const void *data, size_t len);

/*
 * An item as the tools show it, without a newline:
 *	text                   the value; with a ref or a key: that, tab, value
 *	IPK_RENDER_JSON        the value; with a ref or a key: {"ref":R,"key":K,"value":V}
 *	IPK_RENDER_META        {"v":1,"pos":7,"key":K,"value":V,"redelivered":true,"leased":true},
 *	                       each of key, redelivered and leased only where it is so
 * -EBADMSG: the bytes are not of their type; they are shown, as $hex where they could not be read.
 */
int ipk_render_item(struct ipk_buf *out, const struct ipk_item *item, const struct ipk_type *type,
		    const struct ipk_type *key_type, unsigned flags);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
