/* SPDX-License-Identifier: MIT */
/* Arguments of verbs and creation options, sizes, durations and index ranges. */
#include <stdio.h>

#include "ipk/kind.h"
#include "number.h"
#include "type.h"

/* ---- quantities: digits [. digits] unit ------------------------------------------------------ */

struct quantity {
	u64 whole;
	u64 num, den; /* fraction num/den; den is a power of ten */
	const char *unit;
	size_t unit_len;
};

static int scan_quantity(const char *text, size_t len, struct quantity *q)
{
	const char *p = text, *end = text + len, *start = p;

	*q = (struct quantity){.den = 1};
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		unsigned d = (unsigned)(*p - '0');

		if (q->whole > (UINT64_MAX - d) / 10)
			return -ERANGE;
		q->whole = q->whole * 10 + d;
	}
	if (p == start)
		return -EINVAL;
	if (p < end && *p == '.') {
		start = ++p;
		for (; p < end && *p >= '0' && *p <= '9'; p++) {
			if (*p == '0' && q->den >= UINT64_C(1000000000000000000))
				continue;
			if (q->den >= UINT64_C(1000000000000000000))
				return -EINVAL; /* finer than any unit needs */
			q->num = q->num * 10 + (u64)(*p - '0');
			q->den *= 10;
		}
		if (p == start)
			return -EINVAL;
	}
	q->unit = p;
	q->unit_len = (size_t)(end - p);
	return 0;
}

static bool unit_is(const struct quantity *q, const char *unit)
{
	return strlen(unit) == q->unit_len && memcmp(unit, q->unit, q->unit_len) == 0;
}

/* whole + num/den units of scale; *ret_exact: nothing was cut off. -ERANGE beyond max. */
static int scale_quantity(const struct quantity *q, u64 scale, u64 max, u64 *ret, bool *ret_exact)
{
	unsigned __int128 v = (unsigned __int128)q->num * scale;

	*ret_exact = v % q->den == 0;
	v = v / q->den + (unsigned __int128)q->whole * scale;
	if (v > max)
		return -ERANGE;
	*ret = (u64)v;
	return 0;
}

/* K, Ki, KiB: 1024; kB, KB: 1000; B or nothing: 1. 0: no such unit. */
static u64 size_unit(const struct quantity *q)
{
	static const char letters[] = "KMGTPE";
	const char *letter;
	u64 scale = 1;
	bool decimal;
	size_t n = q->unit_len;

	if (n == 0 || unit_is(q, "B"))
		return 1;
	letter = memchr(letters, q->unit[0] == 'k' ? 'K' : q->unit[0], sizeof(letters) - 1);
	if (!letter)
		return 0;
	decimal = n == 2 && q->unit[1] == 'B';
	if (!decimal && n != 1 && !(n == 2 && q->unit[1] == 'i') &&
	    !(n == 3 && q->unit[1] == 'i' && q->unit[2] == 'B'))
		return 0;
	for (long i = letter - letters; i >= 0; i--)
		scale *= decimal ? 1000 : 1024;
	return scale;
}

int ipk_parse_size(const char *text, size_t len, uint64_t *ret_size)
{
	struct quantity q;
	u64 scale, size;
	bool exact;
	int r;

	r = scan_quantity(text, len, &q);
	if (r < 0)
		return r;
	scale = size_unit(&q);
	if (scale == 0)
		return -EINVAL;
	r = scale_quantity(&q, scale, UINT64_MAX, &size, &exact);
	if (r < 0)
		return r;
	if (!exact)
		return -EINVAL; /* a part of a byte */
	*ret_size = size;
	return 0;
}

int ipk_parse_duration(const char *text, size_t len, int64_t *ret_ns)
{
	static const struct {
		const char *unit;
		u64 ns;
	} units[] = {
		{"ns", 1},
		{"us", 1000},
		{"\xc2\xb5s", 1000}, /* the micro sign and the Greek letter */
		{"\xce\xbcs", 1000},
		{"ms", 1000000},
		{"s", 1000000000},
		{"m", UINT64_C(60000000000)},
		{"min", UINT64_C(60000000000)},
		{"h", UINT64_C(3600000000000)},
		{"d", UINT64_C(86400000000000)},
	};
	struct quantity q;
	u64 ns;
	bool exact;
	int r;

	r = scan_quantity(text, len, &q);
	if (r < 0)
		return r;
	if (q.unit_len == 0) {
		if (q.whole || q.num)
			return -EINVAL; /* seconds or milliseconds? */
		*ret_ns = 0;
		return 0;
	}
	for (size_t i = 0; i < IPK_ARRAY_LEN(units); i++) {
		if (!unit_is(&q, units[i].unit))
			continue;
		r = scale_quantity(&q, units[i].ns, INT64_MAX, &ns, &exact);
		if (r < 0)
			return r;
		/* Up, so that a wait is never shorter than asked for, and never 0 ("do not wait").
		 */
		if (!exact && ns < INT64_MAX)
			ns++;
		*ret_ns = (int64_t)ns;
		return 0;
	}
	return -EINVAL;
}

/* ---- ranges --------------------------------------------------------------------------------- */

static int range_end(const char *p, const char *end, u64 none, u64 *ret_val)
{
	bool neg;
	u64 val;
	int r;

	if (p == end) {
		*ret_val = none;
		return 0;
	}
	for (const char *c = p; c < end; c++) {
		if (*c < '0' || *c > '9')
			return -EINVAL;
	}
	r = ipk_integer_parse(p, (size_t)(end - p), &neg, &val);
	if (r < 0)
		return r;
	if (val == UINT64_MAX)
		return -ERANGE; /* stands for "to the end" */
	*ret_val = val;
	return 0;
}

int ipk_range_parse(const char *key, size_t len, uint64_t *ret_from, uint64_t *ret_to,
		    bool *ret_one)
{
	const char *end = key + len, *dots = len >= 2 ? memmem(key, len, "..", 2) : NULL;
	u64 from, to;
	int r;

	if (len == 0)
		return -EINVAL;
	r = range_end(key, dots ? dots : end, 0, &from);
	if (r < 0)
		return r;
	if (!dots) {
		to = from + 1;
	} else {
		r = range_end(dots + 2, end, UINT64_MAX, &to);
		if (r < 0)
			return r;
		if (to < from)
			return -EINVAL;
	}
	*ret_from = from;
	*ret_to = to;
	*ret_one = !dots;
	return 0;
}

/* ---- arguments ------------------------------------------------------------------------------ */

/* `--cap` for an option, `count` for a positional argument. */
static const char *arg_label(const struct ipk_arg *spec, char *buf, size_t size)
{
	snprintf(buf, size, "%s%s", spec->positional ? "" : "--", spec->name);
	return buf;
}

static int wants(const struct ipk_arg *spec, const char *what, const char *text, size_t len,
		 struct ipk_error *err)
{
	char label[64], shown[64];

	arg_label(spec, label, sizeof(label));
	if (!text)
		return ipk_error_set(err, -EINVAL, "%s wants %s", label, what);
	return ipk_error_set(err, -EINVAL, "%s wants %s, got \"%s\"", label, what,
			     ipk_quote(text, len, shown, sizeof(shown)));
}

static int out_of_range(const struct ipk_arg *spec, const char *text, size_t len,
			struct ipk_error *err)
{
	char range[96], label[64], shown[64];

	if (spec->max)
		snprintf(range, sizeof(range), "goes from %llu to %llu",
			 (unsigned long long)spec->min, (unsigned long long)spec->max);
	else
		snprintf(range, sizeof(range), "goes from %llu to 2^64-1",
			 (unsigned long long)spec->min);
	return ipk_error_set(err, -EINVAL, "%s %s, got %s", arg_label(spec, label, sizeof(label)),
			     range, ipk_quote(text, len, shown, sizeof(shown)));
}

static int parse_u64(const struct ipk_arg *spec, const char *text, size_t len, u64 *ret_val,
		     struct ipk_error *err)
{
	u64 val, mag;
	bool neg;
	int r;

	r = ipk_parse_size(text, len, &val);
	if (r == 0 && val >= spec->min && (!spec->max || val <= spec->max)) {
		*ret_val = val;
		return 0;
	}
	/* "-1" is a number, though not one of these; "0x10" is not how one is written here. */
	if (r == -EINVAL &&
	    (len == 0 || text[0] != '-' || ipk_integer_parse(text, len, &neg, &mag) < 0))
		return wants(spec, "a number such as 1024 or 64K", text, len, err);
	return out_of_range(spec, text, len, err);
}

static int parse_i64(const struct ipk_arg *spec, const char *text, size_t len, i64 *ret_val,
		     struct ipk_error *err)
{
	bool neg;
	u64 mag;
	int r;

	r = ipk_integer_parse(text, len, &neg, &mag);
	if (r == 0 && mag > (u64)INT64_MAX + neg)
		r = -ERANGE;
	if (r < 0)
		return wants(spec, r == -ERANGE ? "a number of 64 bits" : "a whole number", text,
			     len, err);
	*ret_val = (i64)(neg ? 0 - mag : mag);
	return 0;
}

static bool is_word(const char *words, const char *text, size_t len)
{
	for (const char *p = words; *p;) {
		size_t n = strcspn(p, "|");

		if (n == len && memcmp(p, text, n) == 0)
			return true;
		p += n + (p[n] == '|');
	}
	return false;
}

static int check_type(const struct ipk_arg *spec, const char *text, size_t len,
		      struct ipk_error *err)
{
	struct ipk_error why = {0};
	struct ipk_type *type;
	char label[64];
	int r;

	r = ipk_type_parse(text, len, &type, &why);
	if (r < 0)
		return ipk_error_set(err, r, "%s: %s", arg_label(spec, label, sizeof(label)),
				     why.text);
	ipk_type_free(type);
	return 0;
}

int ipk_arg_parse(const struct ipk_arg *spec, const char *text, size_t len,
		  struct ipk_argval *ret_val, struct ipk_error *err)
{
	struct ipk_argval val = {.set = true, .text = text, .len = len};
	char label[64];
	int r = 0;

	if (!text != (spec->type == IPK_ARG_FLAG)) {
		if (text)
			return ipk_error_set(err, -EINVAL, "%s takes no value",
					     arg_label(spec, label, sizeof(label)));
		return wants(spec, "a value", NULL, 0, err);
	}
	switch (spec->type) {
	case IPK_ARG_U64:
		r = parse_u64(spec, text, len, &val.u64, err);
		break;
	case IPK_ARG_I64:
		r = parse_i64(spec, text, len, &val.i64, err);
		break;
	case IPK_ARG_TYPE:
		r = check_type(spec, text, len, err);
		break;
	case IPK_ARG_WORD:
		if (!is_word(spec->words, text, len))
			r = wants(spec, spec->words, text, len, err);
		break;
	case IPK_ARG_FLAG:
		val.u64 = 1;
		break;
	case IPK_ARG_VALUE:
	case IPK_ARG_TEXT:
	case IPK_ARG_END:
		break;
	}
	if (r == 0)
		*ret_val = val;
	return r;
}
