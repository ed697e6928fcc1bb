/* SPDX-License-Identifier: MIT */
/* The verbs of maps. */
#include <stdlib.h>

#include "kinds/hooks.h"
#include "kinds/map_ops.h"
#include "type.h"

/* ---- out ------------------------------------------------------------------------------------- */

/* The value of a key, in place of what is in buf. */
static int read_value(struct ipk_map *map, const struct ipk_buf *key, struct ipk_buf *buf)
{
	size_t len = 0;
	char *data;
	int r;

	while ((r = ipk_map_get(map, bytes(key), key->len, buf->data, buf->cap, &len)) ==
	       -EMSGSIZE) {
		data = realloc(buf->data, len);
		if (!data)
			return -ENOMEM;
		buf->data = data;
		buf->cap = len;
	}
	buf->len = r ? 0 : len;
	return r;
}

struct giving {
	struct ipk_call *call;
	bool keys;
};

static int give(void *arg, const struct ipk_map_item *item)
{
	struct giving *g = arg;
	struct ipk_item out = {.key = item->key, .key_len = item->klen, .pos = g->call->done};
	int r;

	if (!g->keys) {
		out.data = item->value;
		out.len = item->vlen;
	}
	r = g->call->emit(g->call, &out);
	g->call->done += !r;
	return r;
}

static int give_all(struct ipk_call *call, bool keys)
{
	struct giving g = {.call = call, .keys = keys};
	int r = ipk_map_foreach(call->handle, give, &g);

	return r ? r : call->flush(call);
}

static int run_get(struct ipk_call *call)
{
	struct ipk_buf key = {0}, val = {0};
	int r;

	if (!call->key)
		return give_all(call, false);
	r = call_key(call, &key);
	if (!r)
		r = read_value(call->handle, &key, &val);
	if (!r) {
		struct ipk_item item = {.data = bytes(&val), .len = val.len};

		r = call->emit(call, &item);
		call->done = !r;
	}
	ipk_buf_free(&key);
	ipk_buf_free(&val);
	return r ? r : call->flush(call);
}

static int run_keys(struct ipk_call *call)
{
	return give_all(call, true);
}

/* ---- set ------------------------------------------------------------------------------------- */

/* The one value that comes with the REF's key. */
static int one_value(struct ipk_call *call, struct ipk_buf *ret)
{
	int r = ipk_call_one_value(call, ret);

	if (r == 0)
		return ipk_error_set(&call->err, -E2BIG, "one value is wanted");
	return r < 0 ? r : 0;
}

static int differs(struct ipk_call *call, const struct ipk_buf *has)
{
	struct ipk_map *map = call->handle;
	struct ipk_buf text = {0};
	int r = ipk_value_print(map->type, bytes(has), has->len, 0, &text);

	if (!r)
		r = ipk_error_set(&call->err, -EEXIST, "it is %.*s, not %.*s",
				  text.len < 80 ? (int)text.len : 80, (const char *)bytes(&text),
				  call->arg[0].len < 80 ? (int)call->arg[0].len : 80,
				  call->arg[0].text);
	ipk_buf_free(&text);
	return r;
}

/* Equal means equal as values, as everywhere: 0.0 and -0.0 are. */
static int set_if_equal(struct ipk_call *call, const struct ipk_buf *key, const struct ipk_buf *val)
{
	struct ipk_map *map = call->handle;
	struct ipk_buf want = {0}, has = {0};
	int r = ipk_value_parse(map->type, call->arg[0].text, call->arg[0].len, 0, &want,
				&call->err);

	while (!r) {
		r = read_value(map, key, &has);
		if (r)
			break;
		if (ipk_value_compare(map->type, bytes(&has), has.len, bytes(&want), want.len) !=
		    0) {
			r = differs(call, &has);
			break;
		}
		r = answer(call, ipk_map_cas(map, bytes(key), key->len, bytes(&has), has.len,
					     bytes(val), val->len, call_deadline(call)));
		if (r != -EEXIST)
			break;
		r = 0; /* it changed since */
	}
	ipk_buf_free(&want);
	ipk_buf_free(&has);
	return r;
}

static int store(struct ipk_call *call, const void *key, size_t klen, const void *val, size_t vlen)
{
	int r = answer(call, ipk_map_set(call->handle, key, klen, val, vlen, call->arg[1].set,
					 call_deadline(call), &call->err));

	call->done += !r;
	return r == -EEXIST ? ipk_error_set(&call->err, r, "the key is there already") : r;
}

static int set_one(struct ipk_call *call)
{
	struct ipk_buf key = {0}, val = {0};
	int r = call_key(call, &key);

	if (!r && call->arg[0].set && call->arg[1].set)
		r = ipk_error_set(&call->err, -EINVAL,
				  "--if-eq and --if-absent exclude each other");
	if (!r)
		r = one_value(call, &val);
	if (!r && call->arg[0].set) {
		r = set_if_equal(call, &key, &val);
		call->done = !r;
	} else if (!r) {
		r = store(call, bytes(&key), key.len, bytes(&val), val.len);
	}
	ipk_buf_free(&key);
	ipk_buf_free(&val);
	return r;
}

/* Without a key in the REF, items bring their own. */
static int run_set(struct ipk_call *call)
{
	struct ipk_item items[64];
	int n, i, r = 0;

	if (call->key)
		return set_one(call);
	while (!r && (n = call->next(call, items, (int)IPK_ARRAY_LEN(items))) != 0) {
		if (n < 0)
			return n;
		for (i = 0; !r && i < n; i++) {
			if (!items[i].key)
				return ipk_error_set(&call->err, -EINVAL,
						     "a key is wanted: SEGMENT/OBJECT/KEY");
			r = store(call, items[i].key, items[i].key_len, items[i].data,
				  items[i].len);
		}
	}
	return r;
}

/* ---- incr, del ------------------------------------------------------------------------------- */

static int run_incr(struct ipk_call *call)
{
	struct ipk_map *map = call->handle;
	struct ipk_buf key = {0};
	u8 delta[8], sum[8];
	int r = ipk_delta_parse(map->type, call->arg[0].text, call->arg[0].len, delta, &call->err);

	if (!r)
		r = call_key(call, &key);
	if (!r)
		r = answer(call,
			   ipk_map_add(map, bytes(&key), key.len, delta, sum, call_deadline(call)));
	if (!r) {
		struct ipk_item item = {.data = sum, .len = map->type->size};

		call->done = 1;
		r = call->emit(call, &item);
	}
	ipk_buf_free(&key);
	return r ? r : call->flush(call);
}

int ipk_map_run_del(struct ipk_call *call)
{
	struct ipk_buf key = {0};
	int r = call_key(call, &key);

	if (!r)
		r = answer(call,
			   ipk_map_del(call->handle, bytes(&key), key.len, call_deadline(call)));
	call->done = !r;
	ipk_buf_free(&key);
	return r;
}

static const struct ipk_arg set_args[] = {
	{.name = "if-eq",
	 .type = IPK_ARG_VALUE,
	 .help = "only if the key has this value; otherwise exit 4"},
	{.name = "if-absent",
	 .type = IPK_ARG_FLAG,
	 .help = "only if the key is not there; otherwise exit 4"},
	{.type = IPK_ARG_END},
};

static const struct ipk_arg incr_args[] = {
	{.name = "by",
	 .type = IPK_ARG_TEXT,
	 .value = "1",
	 .help = "what to add, may be negative",
	 .positional = true},
	{.type = IPK_ARG_END},
};

const struct ipk_op ipk_map_ops[] = {
	{.name = "set",
	 .summary = "store the value of a key",
	 .example = "ipcctl set S/x/color blue",
	 .flags = IPK_OP_WRITE | IPK_OP_IN | IPK_OP_KEY,
	 .args = set_args,
	 .run = run_set},
	{.name = "get",
	 .summary = "print the value of a key, or all keys and values",
	 .example = "ipcctl get S/x",
	 .flags = IPK_OP_OUT,
	 .run = run_get},
	{.name = "keys",
	 .summary = "print the keys",
	 .example = "ipcctl keys S/x",
	 .flags = IPK_OP_OUT,
	 .run = run_keys},
	{.name = "incr",
	 .summary = "add to the number of a key, which counts as 0 where it is not there, and "
		    "print the sum",
	 .example = "ipcctl rm S/x; ipcctl new S/x map --type i64; ipcctl incr S/x/hits 5",
	 .flags = IPK_OP_WRITE | IPK_OP_OUT | IPK_OP_KEY,
	 .args = incr_args,
	 .run = run_incr},
	{.name = "del",
	 .summary = "delete a key",
	 .example = "ipcctl set S/x/color blue; ipcctl del S/x/color",
	 .flags = IPK_OP_WRITE | IPK_OP_KEY,
	 .run = ipk_map_run_del},
	{.name = NULL},
};
