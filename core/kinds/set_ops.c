/* SPDX-License-Identifier: MIT */
/* The verbs of sets. */
#include "kinds/map_ops.h"
#include "kinds/set.h"

static int add_one(struct ipk_call *call, const struct ipk_item *item)
{
	int r = ipk_set_put(call->handle, item->data, item->len, call_deadline(call), &call->err);

	if (r == 0 && call->arg[0].set)
		return ipk_error_set(&call->err, -EEXIST, "the value is there already");
	if (r < 0)
		return answer(call, r);
	call->done++;
	return 0;
}

static int run_add(struct ipk_call *call)
{
	struct ipk_item items[64];
	int n, i, r = 0;

	if (call->key)
		return ipk_error_set(&call->err, -EINVAL, "wants SEGMENT/SET VALUE");
	while (!r && (n = call->next(call, items, (int)IPK_ARRAY_LEN(items))) != 0) {
		if (n < 0)
			return n;
		for (i = 0; !r && i < n; i++)
			r = add_one(call, &items[i]);
	}
	return r;
}

static int run_has(struct ipk_call *call)
{
	struct ipk_map *map = call->handle;
	struct ipk_buf value = {0};
	int r;

	if (!call->key == !call->arg[0].set)
		return ipk_error_set(&call->err, -EINVAL,
				     "wants SEGMENT/SET VALUE or SEGMENT/SET/VALUE");
	if (call->key)
		r = call_key(call, &value);
	else
		r = ipk_value_parse(map->key_type, call->arg[0].text, call->arg[0].len, 0, &value,
				    &call->err);
	if (!r)
		r = ipk_set_has(call->handle, bytes(&value), value.len);
	ipk_buf_free(&value);
	return r < 0 ? r : !r;
}

static int emit_one(struct ipk_call *call, const void *value, size_t len)
{
	struct ipk_item item = {.data = value, .len = len, .pos = call->done};
	int r = call->emit(call, &item);

	call->done += !r;
	return r;
}

static int give(void *arg, const void *value, size_t len)
{
	return emit_one(arg, value, len);
}

static int get_one(struct ipk_call *call)
{
	struct ipk_buf value = {0};
	int r = call_key(call, &value);

	if (!r)
		r = ipk_set_has(call->handle, bytes(&value), value.len);
	if (r >= 0)
		r = r ? emit_one(call, bytes(&value), value.len) : -ENOENT;
	ipk_buf_free(&value);
	return r;
}

static int run_get(struct ipk_call *call)
{
	int r = call->key ? get_one(call) : ipk_set_foreach(call->handle, give, call);

	return r ? r : call->flush(call);
}

static const struct ipk_arg add_args[] = {
	{.name = "if-absent",
	 .type = IPK_ARG_FLAG,
	 .help = "only if the value is not there; otherwise exit 4"},
	{.type = IPK_ARG_END},
};

static const struct ipk_arg has_args[] = {
	{.name = "value",
	 .type = IPK_ARG_VALUE,
	 .value = NULL,
	 .help = "what may be there",
	 .positional = true},
	{.type = IPK_ARG_END},
};

const struct ipk_op ipk_set_ops[] = {
	{.name = "add",
	 .summary = "add values; those that are there already stay",
	 .example = "ipcctl add S/x red green blue",
	 .flags = IPK_OP_WRITE | IPK_OP_IN,
	 .args = add_args,
	 .run = run_add},
	{.name = "has",
	 .summary = "true and exit 0 when the value is there, false and exit 1 when not",
	 .example = "ipcctl add S/x red; ipcctl has S/x red",
	 .flags = 0,
	 .args = has_args,
	 .run = run_has},
	{.name = "get",
	 .summary = "print all values",
	 .example = "ipcctl add S/x red green; ipcctl get S/x",
	 .flags = IPK_OP_OUT,
	 .run = run_get},
	{.name = "del",
	 .summary = "remove a value",
	 .example = "ipcctl add S/x red; ipcctl del S/x/red",
	 .flags = IPK_OP_WRITE | IPK_OP_KEY,
	 .run = ipk_map_run_del},
	{.name = NULL},
};
