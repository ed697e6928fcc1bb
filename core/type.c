/* SPDX-License-Identifier: MIT */
/* The schema language of include/ipk/type.h: one recursive descent over the text. */
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "json.h"
#include "type.h"

struct parser {
	const char *text, *p, *end;
	struct ipk_error *err;
	unsigned level;
};

static const struct {
	const char *name;
	u8 size;    /* 0: variable, unless :N follows */
	bool sized; /* :N may follow */
} bases[] = {
	[IPK_I8] = {"i8", 1, false},         [IPK_I16] = {"i16", 2, false},
	[IPK_I32] = {"i32", 4, false},       [IPK_I64] = {"i64", 8, false},
	[IPK_U8] = {"u8", 1, false},         [IPK_U16] = {"u16", 2, false},
	[IPK_U32] = {"u32", 4, false},       [IPK_U64] = {"u64", 8, false},
	[IPK_F32] = {"f32", 4, false},       [IPK_F64] = {"f64", 8, false},
	[IPK_BOOL] = {"bool", 1, false},     [IPK_STR] = {"str", 0, true},
	[IPK_BYTES] = {"bytes", 0, true},    [IPK_JSON] = {"json", 0, false},
	[IPK_STRUCT] = {"struct", 0, false},
};

const char *ipk_base_name(enum ipk_base base)
{
	return bases[base].name;
}

static int parse_type(struct parser *ps, struct ipk_type *t);

static int fail(struct parser *ps, const char *at, int code, const char *what)
{
	return ipk_error_set(ps->err, code, "type: column %zu: %s", (size_t)(at - ps->text) + 1,
			     what);
}

static void blank(struct parser *ps)
{
	while (ps->p < ps->end &&
	       (*ps->p == ' ' || *ps->p == '\t' || *ps->p == '\n' || *ps->p == '\r'))
		ps->p++;
}

static bool take(struct parser *ps, char c)
{
	blank(ps);
	if (ps->p == ps->end || *ps->p != c)
		return false;
	ps->p++;
	return true;
}

static bool name_char(char c, bool first)
{
	char l = (char)(c | 32);

	return (l >= 'a' && l <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* An identifier at the cursor; its length, 0 if there is none. */
static size_t word(struct parser *ps, const char **ret_word)
{
	blank(ps);
	*ret_word = ps->p;
	while (ps->p < ps->end && name_char(*ps->p, ps->p == *ret_word))
		ps->p++;
	return (size_t)(ps->p - *ret_word);
}

/* A decimal number from 1 to max. */
static int number(struct parser *ps, u32 max, const char *what, u32 *ret_n)
{
	const char *start;
	char msg[96];
	u64 n = 0;

	blank(ps);
	start = ps->p;
	for (; ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9'; ps->p++) {
		if (n <= max)
			n = n * 10 + (u64)(*ps->p - '0');
	}
	if (n >= 1 && n <= max) {
		*ret_n = (u32)n;
		return 0;
	}
	snprintf(msg, sizeof(msg), "%s goes from 1 to %u", what, max);
	return fail(ps, start, n > max ? -EMSGSIZE : -EINVAL, msg);
}

static void free_fields(struct ipk_type *t)
{
	for (u32 i = 0; i < t->nfields; i++) {
		free_fields(&t->fields[i].type);
		free(t->fields[i].name);
	}
	free(t->fields);
}

void ipk_type_free(struct ipk_type *type)
{
	if (!type)
		return;
	free_fields(type);
	free(type->text);
	free(type);
}

static int parse_scalar(struct parser *ps, struct ipk_type *t)
{
	const char *name;
	size_t len = word(ps, &name);
	u32 base;
	int r;

	if (len == 0)
		return fail(ps, name, -EINVAL,
			    "a type is missing, such as f64, str:8 or {u32 id; f64 px}");
	for (base = IPK_I8; base < IPK_STRUCT; base++) {
		if (strlen(bases[base].name) == len && memcmp(bases[base].name, name, len) == 0)
			break;
	}
	if (base == IPK_STRUCT)
		return fail(
			ps, name, -EINVAL,
			"no such type; there are i8 to i64, u8 to u64, f32, f64, bool, str, bytes, "
			"json, str:N, bytes:N, type[N] and {type name; ...}");
	t->base = (enum ipk_base)base;
	t->size = bases[base].size;
	t->align = t->size ? t->size : 1;
	if (ps->p < ps->end && *ps->p == ':') {
		if (!bases[base].sized)
			return fail(ps, ps->p, -EINVAL, "only str and bytes take a length");
		ps->p++;
		r = number(ps, IPK_TYPE_SIZE_MAX, "a length", &t->size);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(struct ipk_field *const *)a)->name, (*(struct ipk_field *const *)b)->name);
}

/* Sorted, because a schema of 64 KiB can hold 16,000 names. */
static int check_unique(struct parser *ps, const char *at, const struct ipk_type *t)
{
	struct ipk_field **order = malloc(t->nfields * sizeof(struct ipk_field *));
	char msg[96];
	int r = 0;

	if (!order)
		return -ENOMEM;
	for (u32 i = 0; i < t->nfields; i++)
		order[i] = &t->fields[i];
	qsort(order, t->nfields, sizeof(struct ipk_field *), compare_names);
	for (u32 i = 1; i < t->nfields && r == 0; i++) {
		if (strcmp(order[i - 1]->name, order[i]->name) == 0) {
			snprintf(msg, sizeof(msg), "two fields are called \"%.40s\"",
				 order[i]->name);
			r = fail(ps, at, -EINVAL, msg);
		}
	}
	free(order);
	return r;
}

static int add_field(struct ipk_type *t, u32 *cap, struct ipk_field **ret_field)
{
	struct ipk_field *fields;

	if (t->nfields == *cap) {
		fields = realloc(t->fields, (*cap ? *cap * 2 : 4) * sizeof(*fields));
		if (!fields)
			return -ENOMEM;
		t->fields = fields;
		*cap = *cap ? *cap * 2 : 4;
	}
	*ret_field = &t->fields[t->nfields];
	memset(*ret_field, 0, sizeof(**ret_field));
	t->nfields++;
	return 0;
}

static int parse_field(struct parser *ps, struct ipk_type *t, u32 *cap, u64 *size)
{
	struct ipk_field *f;
	const char *start, *name;
	size_t len;
	int r;

	r = add_field(t, cap, &f);
	if (r < 0)
		return r;
	blank(ps);
	start = ps->p;
	r = parse_type(ps, &f->type);
	if (r < 0)
		return r;
	if (f->type.size == 0)
		return fail(ps, start, -EINVAL,
			    "inside a struct str and bytes need a length (str:8), json cannot be");
	len = word(ps, &name);
	if (len == 0)
		return fail(ps, name, -EINVAL, "a field needs a name: letters, digits, _");
	f->name = strndup(name, len);
	if (!f->name)
		return -ENOMEM;
	if (take(ps, '['))
		return fail(ps, ps->p - 1, -EINVAL, "the count belongs to the type: f32[3] pos");
	*size = ipk_align_up(*size, f->type.align);
	f->offset = (u32)*size;
	*size += f->type.size;
	if (*size > IPK_TYPE_SIZE_MAX)
		return fail(ps, start, -EMSGSIZE, "an element may have 16 MiB at most");
	if (f->type.align > t->align)
		t->align = f->type.align;
	return 0;
}

static int parse_struct(struct parser *ps, struct ipk_type *t)
{
	const char *start = ps->p - 1;
	u64 size = 0;
	u32 cap = 0;
	int r;

	if (++ps->level > IPK_TYPE_LEVELS)
		return fail(ps, start, -EMSGSIZE, "more than 16 levels of structs");
	t->base = IPK_STRUCT;
	t->align = 1;
	do {
		if (t->nfields > 0 && take(ps, '}'))
			goto done;
		r = parse_field(ps, t, &cap, &size);
		if (r < 0)
			return r;
	} while (take(ps, ';'));
	if (!take(ps, '}'))
		return fail(ps, ps->p, -EINVAL, "\";\" or \"}\" is missing");
done:
	ps->level--;
	size = ipk_align_up(size, t->align);
	if (size > IPK_TYPE_SIZE_MAX)
		return fail(ps, start, -EMSGSIZE, "an element may have 16 MiB at most");
	t->size = (u32)size;
	return check_unique(ps, start, t);
}

static int parse_type(struct parser *ps, struct ipk_type *t)
{
	const char *bracket;
	int r;

	r = take(ps, '{') ? parse_struct(ps, t) : parse_scalar(ps, t);
	if (r < 0)
		return r;
	t->unit = t->size;
	if (!take(ps, '['))
		return 0;
	bracket = ps->p - 1;
	if (t->size == 0)
		return fail(ps, bracket, -EINVAL,
			    "an array needs items of fixed size, such as str:8[3]");
	r = number(ps, IPK_TYPE_COUNT_MAX, "an array's count", &t->count);
	if (r < 0)
		return r;
	if (!take(ps, ']'))
		return fail(ps, ps->p, -EINVAL, "\"]\" is missing");
	if ((u64)t->unit * t->count > IPK_TYPE_SIZE_MAX)
		return fail(ps, bracket, -EMSGSIZE, "an element may have 16 MiB at most");
	t->size = t->unit * t->count;
	if (take(ps, '['))
		return fail(ps, ps->p - 1, -EINVAL,
			    "an array of arrays is an array of structs: {f32[3] row}[3]");
	return 0;
}

int ipk_type_print(const struct ipk_type *t, struct ipk_buf *out)
{
	int r;

	if (t->base == IPK_STRUCT) {
		r = ipk_buf_str(out, "{");
		for (u32 i = 0; i < t->nfields && r == 0; i++) {
			r = i ? ipk_buf_str(out, "; ") : 0;
			if (r == 0)
				r = ipk_type_print(&t->fields[i].type, out);
			if (r == 0)
				r = ipk_buf_printf(out, " %s", t->fields[i].name);
		}
		if (r == 0)
			r = ipk_buf_str(out, "}");
	} else if (bases[t->base].sized && t->unit) {
		r = ipk_buf_printf(out, "%s:%u", bases[t->base].name, t->unit);
	} else {
		r = ipk_buf_str(out, bases[t->base].name);
	}
	if (r == 0 && t->count)
		r = ipk_buf_printf(out, "[%u]", t->count);
	return r;
}

static int parse_all(struct parser *ps, struct ipk_type *t)
{
	struct ipk_buf canonical = {0};
	int r;

	r = parse_type(ps, t);
	if (r < 0)
		return r;
	blank(ps);
	if (ps->p < ps->end)
		return fail(ps, ps->p, -EINVAL, "the type ends before this");
	r = ipk_type_print(t, &canonical);
	if (r == 0)
		r = ipk_buf_add(&canonical, "", 1);
	if (r == 0 && canonical.len - 1 > IPK_TYPE_TEXT_MAX)
		r = fail(ps, ps->text, -EMSGSIZE, "a type may have 65,535 bytes of text at most");
	if (r < 0)
		ipk_buf_free(&canonical);
	else
		t->text = canonical.data;
	return r;
}

int ipk_type_parse(const char *text, size_t len, struct ipk_type **ret_type, struct ipk_error *err)
{
	struct parser ps = {.text = text, .p = text, .end = text + len, .err = err};
	struct ipk_type *t;
	int r;

	if (len > IPK_TYPE_TEXT_MAX)
		return fail(&ps, text, -EMSGSIZE, "a type may have 65,535 bytes of text at most");
	t = calloc(1, sizeof(*t));
	r = t ? parse_all(&ps, t) : -ENOMEM;
	if (r < 0) {
		ipk_type_free(t);
		return r == -ENOMEM ? ipk_error_set(err, r, "type: out of memory") : r;
	}
	*ret_type = t;
	return 0;
}

bool ipk_type_equal(const struct ipk_type *a, const struct ipk_type *b)
{
	return strcmp(a->text, b->text) == 0;
}

const char *ipk_type_words(const struct ipk_type *t, char *buf, size_t size)
{
	char item[48];

	if (t->base == IPK_STRUCT)
		snprintf(item, sizeof(item), "%s", t->count ? "objects" : "an object");
	else if (bases[t->base].sized && t->unit)
		snprintf(item, sizeof(item), "%s:%u", bases[t->base].name, t->unit);
	else
		snprintf(item, sizeof(item), "%s", bases[t->base].name);
	if (t->count)
		snprintf(buf, size, "an array of %u %s", t->count, item);
	else
		snprintf(buf, size, "%s", item);
	return buf;
}

const char *ipk_quote(const char *text, size_t len, char *buf, size_t size)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;
	size_t n = 0;

	while (p < end) {
		size_t seq = ipk_utf8_sequence(p, end), take = seq ? seq : 1;
		/* Control characters, those of two bytes too, could speak to the terminal. */
		bool bad = seq == 0 || *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0);

		if (n + take + (p + take < end ? 4 : 1) > size) {
			memcpy(buf + n, "...", 3);
			n += 3;
			break;
		}
		if (bad)
			buf[n++] = '?';
		else
			n = (size_t)((char *)mempcpy(buf + n, p, take) - buf);
		p += take;
	}
	buf[n] = '\0';
	return buf;
}
