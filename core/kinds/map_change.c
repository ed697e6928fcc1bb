/* SPDX-License-Identifier: MIT */
/* Maps for C programs: put, compare-exchange, add, delete. */
#include "kinds/map_write.h"

static int check_value(const struct ipk_map *map, size_t len)
{
	if (map->value_size)
		return len == map->value_size ? 0 : -EINVAL;
	return len <= IPK_MAP_VALUE_MAX ? 0 : -EMSGSIZE;
}

int ipk_map_set(struct ipk_map *map, const void *key, size_t klen, const void *value, size_t vlen,
		bool if_absent, i64 deadline, struct ipk_error *err)
{
	struct ipk_map_write w;
	int r = check_value(map, vlen);

	if (!r)
		r = ipk_map_begin(&w, map, key, klen, deadline);
	if (r < 0)
		return r;
	w.err = err;
	return ipk_map_end(&w, if_absent && w.e ? -EEXIST : ipk_map_store(&w, value, vlen));
}

int ipk_map_put(struct ipk_map *map, const void *key, size_t klen, const void *value, size_t vlen,
		int64_t deadline)
{
	return ipk_map_set(map, key, klen, value, vlen, false, deadline, NULL);
}

int ipk_map_put_if_absent(struct ipk_map *map, const void *key, size_t klen, const void *value,
			  size_t vlen, int64_t deadline)
{
	return ipk_map_set(map, key, klen, value, vlen, true, deadline, NULL);
}

int ipk_map_cas(struct ipk_map *map, const void *key, size_t klen, const void *expected,
		size_t elen, const void *desired, size_t dlen, int64_t deadline)
{
	struct ipk_map_write w;
	const void *has;
	u32 len;
	int r = check_value(map, dlen);

	if (!r)
		r = ipk_map_begin(&w, map, key, klen, deadline);
	if (r < 0)
		return r;
	if (!w.e)
		return ipk_map_end(&w, -ENOENT);
	has = ipk_map_value(&w, &len);
	if (len != elen || !ipk_copy_same(has, expected, elen))
		return ipk_map_end(&w, -EEXIST);
	return ipk_map_end(&w, ipk_map_store(&w, desired, dlen));
}

/* sum = a + b in the arithmetic of base: integers modulo their size, in either signedness. */
static void add(enum ipk_base base, u32 size, const void *a, const void *b, void *sum)
{
	u64 x = 0, y = 0;
	double d[2];
	float f[2];

	if (base == IPK_F64) {
		memcpy(&d[0], a, 8);
		memcpy(&d[1], b, 8);
		d[0] += d[1];
		memcpy(sum, d, 8);
	} else if (base == IPK_F32) {
		memcpy(&f[0], a, 4);
		memcpy(&f[1], b, 4);
		f[0] += f[1];
		memcpy(sum, f, 4);
	} else {
		/* Where the lowest byte comes last, the number has to end with the word. */
		u32 at = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 8 - size : 0;

		memcpy((u8 *)&x + at, a, size);
		memcpy((u8 *)&y + at, b, size);
		x += y;
		memcpy(sum, (u8 *)&x + at, size);
	}
}

int ipk_map_add(struct ipk_map *map, const void *key, size_t klen, const void *delta, void *ret_new,
		int64_t deadline)
{
	const struct ipk_type *type = map->type;
	struct ipk_map_write w;
	u64 has = 0, sum = 0; /* as bytes */
	u32 len = type->size;
	int r;

	if (type->count || type->base > IPK_F64)
		return -EMEDIUMTYPE;
	r = ipk_map_begin(&w, map, key, klen, deadline);
	if (r < 0)
		return r;
	if (w.e)
		ipk_copy_out(&has, ipk_map_value(&w, &len), type->size);
	if (len != type->size)
		return ipk_map_end(&w, -EBADMSG);
	add(type->base, type->size, &has, delta, &sum);
	r = ipk_map_end(&w, ipk_map_store(&w, &sum, type->size));
	if (!r && ret_new)
		memcpy(ret_new, &sum, type->size);
	return r;
}

int ipk_map_del(struct ipk_map *map, const void *key, size_t klen, int64_t deadline)
{
	struct ipk_map_write w;
	int r = ipk_map_begin(&w, map, key, klen, deadline);

	if (r < 0)
		return r;
	return ipk_map_end(&w, w.e ? ipk_map_drop(&w) : -ENOENT);
}
