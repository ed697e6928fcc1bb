/* SPDX-License-Identifier: MIT */
/* Maps for tools: the descriptor, and reading without trust. */
#include "kinds/hooks.h"
#include "kinds/map.h"
#include "segment/view.h"

const struct ipk_arg ipk_map_params[] = {
	{.name = "cap",
	 .type = IPK_ARG_U64,
	 .min = 1,
	 .max = IPK_MAP_CAP_MAX,
	 .value = "1024",
	 .help = "entries that are expected; more are welcome"},
	{.name = "seed",
	 .type = IPK_ARG_U64,
	 .value = "0",
	 .help = "of the hash; a random one where strangers choose the keys"},
	{.type = IPK_ARG_END},
};

/* The type of the keys: of a kind without one, that of the entries. */
static const struct ipk_type *keys_of(const struct ipk_new *n)
{
	return n->key ? n->key : n->type;
}

int ipk_map_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	const struct ipk_type *keys = keys_of(n);

	if (keys->size > IPK_MAP_KEY_MAX)
		return ipk_error_set(
			err, -EMSGSIZE, "%s have at most %u bytes, those of type %s %u",
			n->key ? "keys" : "items", IPK_MAP_KEY_MAX, keys->text, keys->size);
	*ret_size = sizeof(struct ipk_map_body);
	return 0;
}

int ipk_map_make(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	struct ipk_map_body *b = body;

	(void)body_off;
	b->key_size = keys_of(n)->size;
	b->value_size = n->key ? n->type->size : 0;
	b->seed = n->param[1].u64;
	return ipk_map_init(tx, b, n->param[0].u64);
}

IPK_ATTACH_DETACH(map, ipk_map_open(seg, name, NULL, NULL, &handle, err))

/* ---- views ----------------------------------------------------------------------------------- */

static int read_body(const struct ipk_object_view *o, struct ipk_map_body *ret_b)
{
	int r;

	r = ipk_view_body(o, ret_b, sizeof(*ret_b));
	if (!r && !ipk_map_table_ok(ret_b->table))
		r = -EBADMSG;
	return r;
}

/*
 * Nothing limits a map. Until it has outgrown what was asked for, that is shown, and then how
 * many its table can hold before the next.
 */
int ipk_map_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_map_body b;
	u32 log2;
	int r = read_body(o, &b);

	if (r < 0)
		return r;
	log2 = ipk_map_log2(b.table);
	*ret_used = b.count;
	*ret_cap = log2 == b.min_log2 && b.count <= o->opts[0] ? o->opts[0] : ipk_map_room(log2);
	return 0;
}

int ipk_map_stats(const struct ipk_object_view *o, const char *const names[], struct ipk_visitor *v)
{
	struct ipk_map_body b;
	int i, r = read_body(o, &b);
	u64 val[] = {b.puts, b.deletes, b.changes, b.tables, 0, b.tombs};

	if (!r)
		val[4] = UINT64_C(1) << ipk_map_log2(b.table);
	for (i = 0; !r && names[i]; i++)
		r = v->u64(v, names[i], val[i]);
	return r;
}

static struct ipk_map_source source(const struct ipk_object_view *o)
{
	return (struct ipk_map_source){.view = o->view, .body = o->body};
}

static struct ipk_item item_of(const struct ipk_object_view *o, const struct ipk_buf *buf,
			       const struct ipk_map_copy *c, u64 pos)
{
	if (!o->key_type)
		return (struct ipk_item){.data = buf->data + c->key, .len = c->klen, .pos = pos};
	return (struct ipk_item){.data = buf->data + c->value,
				 .len = c->vlen,
				 .key = buf->data + c->key,
				 .key_len = c->klen,
				 .pos = pos};
}

int ipk_map_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		  void *arg)
{
	struct ipk_map_scan sc = {.src = source(o)};
	u64 pos = 0;
	u32 i;
	int n = 1, r = 0;

	while (!r && pos < to && (n = ipk_map_scan(&sc)) > 0) {
		for (i = 0; !r && i < sc.n && pos < to; i++, pos++) {
			struct ipk_item item = item_of(o, &sc.buf, &sc.v[i], pos);

			if (pos >= from)
				r = fn(arg, &item);
		}
	}
	ipk_map_scan_free(&sc);
	return r ? r : n < 0 ? n : 0;
}

static int parse_key(const struct ipk_object_view *o, const char *key, size_t len,
		     struct ipk_buf *ret_key)
{
	const char *text = o->key_type ? o->key_type : o->type;
	struct ipk_type *type;
	int r = ipk_type_parse(text, strlen(text), &type, NULL);

	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	r = ipk_value_parse(type, key, len, 0, ret_key, NULL);
	ipk_type_free(type);
	return r;
}

int ipk_map_item(const struct ipk_object_view *o, const char *text, size_t len, ipk_item_fn *fn,
		 void *arg)
{
	struct ipk_map_source src = source(o);
	struct ipk_buf key = {0}, buf = {0};
	struct ipk_map_body b;
	struct ipk_map_copy c;
	int r = read_body(o, &b);

	if (!r)
		r = parse_key(o, text, len, &key);
	if (!r)
		r = ipk_map_lookup(&src, b.seed, key.data ? key.data : "", key.len, &buf, &c);
	if (!r) {
		struct ipk_item item = item_of(o, &buf, &c, 0);

		r = fn(arg, &item);
	}
	ipk_buf_free(&key);
	ipk_buf_free(&buf);
	return r;
}

int ipk_map_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct ipk_map_body b;
	int r = read_body(o, &b);

	if (r < 0 || !(b.lock & IPK_LOCK_OWNER))
		return r;
	return fn(arg, (u32)(b.lock & IPK_LOCK_OWNER) - 1, "writer", 1);
}

#define BENCH_KEYS 1024u

static int bench_rounds(void *handle, uint64_t n)
{
	u64 val[8] = {0}, key[2] = {0}, len, left = BENCH_KEYS;
	const struct ipk_map *map = handle;
	int r = 0;

	if (map->value_size > sizeof(val))
		return -EMSGSIZE;
	while (ipk_map_count(map) < BENCH_KEYS && left && !r) {
		key[0] = --left;
		r = ipk_map_put(handle, key, sizeof(key), val, map->value_size, IPK_FOREVER);
	}
	while (n-- && !r) {
		key[0] = n % BENCH_KEYS;
		r = ipk_map_get(handle, key, sizeof(key), val, sizeof(val), &len);
	}
	return r;
}

static const struct ipk_bench bench = {
	.round = "get, key of 16 bytes",
	.rounds = bench_rounds,
	.elements = true,
	.options = (const struct ipk_param[]){{"key", "bytes:16"}, {NULL, NULL}},
};

/* ---- the descriptor ------------------------------------------------------------------------- */

static const char *const stat_names[] = {"puts",  "deletes",    "changes", "tables",
					 "slots", "tombstones", NULL};

static int map_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	return ipk_map_stats(o, stat_names, v);
}

const struct ipk_kind ipk_kind_map = {
	.id = 3,
	.version = 1,
	.name = "map",
	.summary = "values by key, both of any length, in a hash table that grows and shrinks",
	.text = "A map holds values by key. Keys and values are of any type, fixed or variable "
		"(--key and --type, both str by default). Its table grows and shrinks by itself; "
		"--cap says how many entries are expected and is no limit. Readers never wait: "
		"they get the old or the new value of a key, whole, whatever writers do, and "
		"also when a writer was stopped or killed in the middle. Writers take turns; a "
		"killed writer leaves the old value or the new one, and its turn passes on. "
		"Entries are listed by the hash of their keys, which is always the same order "
		"for the same keys and --seed.",
	.type = "str",
	.key = "str",
	.flags = IPK_KIND_KEYED | IPK_KIND_WRITE_ITEM | IPK_KIND_REMOVE_ITEM,
	.params = ipk_map_params,
	.ops = ipk_map_ops,
	.stats = stat_names,
	.size = ipk_map_size,
	.create = ipk_map_make,
	.attach = map_attach,
	.detach = map_detach,
	.attachable = ipk_map_attachable,
	.destroy = ipk_map_destroy,
	.recover = ipk_map_recover,
	.wake = ipk_map_wake,
	.inspect = ipk_map_inspect,
	.stats_visit = map_stats,
	.items = ipk_map_items,
	.item = ipk_map_item,
	.holders = ipk_map_holders,
	.check = ipk_map_check,
	.repair = ipk_map_repair,
	.bench = &bench,
};
