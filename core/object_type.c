/* SPDX-License-Identifier: MIT */
/* The types in an object's header, for who opens it; see object_type.h. */
#include <stdio.h>
#include <stdlib.h>

#include "base/copy.h"
#include "object_type.h"
#include "type.h"
#include "ipk/kind.h"

/* The key's text stands behind the value's and its NUL. */
static int stored(struct ipk_obj *obj, enum ipk_type_of of, struct ipk_type **ret_type)
{
	u64 off = ipk_ld(&obj->o->type, relaxed), len = ipk_ld(&obj->o->type_len, relaxed);
	char *text;
	int r;

	if (of == IPK_TYPE_OF_KEYS) {
		off += len + 1;
		len = ipk_ld(&obj->o->key_len, relaxed);
	}
	if (off > obj->size || len > obj->size - off || len == 0)
		return -EBADMSG;
	text = malloc(len + 1);
	if (!text)
		return -ENOMEM;
	ipk_copy_out(text, (u8 *)obj->o + off, len);
	r = ipk_type_parse(text, len, ret_type, NULL);
	free(text);
	return r == -ENOMEM ? r : r < 0 ? -EBADMSG : 0;
}

static int compare(const struct ipk_type *own, const char *name, enum ipk_type_of of,
		   const char *text, struct ipk_error *err)
{
	struct ipk_type *claim;
	int r = ipk_type_parse(text, strlen(text), &claim, err);

	if (r < 0)
		return r;
	if (!ipk_type_equal(own, claim))
		r = ipk_error_set(err, -EMEDIUMTYPE, "\"%s\" has %s of type %s, not %s", name,
				  of == IPK_TYPE_OF_KEYS ? "keys" : "elements", own->text,
				  claim->text);
	ipk_type_free(claim);
	return r;
}

int ipk_obj_type(struct ipk_obj *obj, const char *name, enum ipk_type_of of, u64 size,
		 const char *claim, struct ipk_type **ret_type, struct ipk_error *err)
{
	struct ipk_type *own = NULL;
	int r = stored(obj, of, &own);

	if (!r && own->size != size)
		r = -EBADMSG;
	if (r)
		ipk_error_set(err, r,
			      "\"%s\" is damaged: its elements are not what its header says", name);
	else if (claim)
		r = compare(own, name, of, claim, err);
	if (r)
		ipk_type_free(own);
	else
		*ret_type = own;
	return r;
}

int ipk_text_size(const char *text, u32 *ret_size)
{
	struct ipk_type *type;
	int r = text ? ipk_type_parse(text, strlen(text), &type, NULL) : -EBADMSG;

	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	*ret_size = type->size;
	ipk_type_free(type);
	return 0;
}

int ipk_object_new_typed(struct ipk_segment *seg, const char *name, const char *kind,
			 const char *type, const char *key, u64 cap, struct ipk_error *err)
{
	struct ipk_param params[3];
	unsigned n = 0;
	char text[24];

	if (type)
		params[n++] = (struct ipk_param){"type", type};
	if (key)
		params[n++] = (struct ipk_param){"key", key};
	if (cap) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)cap);
		params[n++] = (struct ipk_param){"cap", text};
	}
	return ipk_object_new(seg, name, kind, params, n, err);
}
