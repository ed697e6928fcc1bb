/* SPDX-License-Identifier: MIT */
/*
 * Expressions over an element and over named values, for derived streams and lazy values.
 *
 *	expr    = expr op expr | -expr | !expr | place | call
 *	        | number | text | true | false | inf | nan | (expr)
 *	op      = ||   &&   == !=   < <= > >=   + -   * / %   the later, the tighter; as in C
 *	place   = $ | NAME | `any name` | place.FIELD | place[expr]   $ is the element
 *	number  = 12  0x1f  1.5  2e-3
 *	text    = "..." | '...'   with \\ \" \' \n \t \r \xHH
 *	call    = abs(n) floor(n) ceil(n) round(n) sqrt(n) min(a, b) max(a, b) if(bool, a, b)
 *	        | min(list) max(list) sum(list) mean(list) len(list or text)
 *	        | contains(text, part) starts_with(text, part) ends_with(text, part)
 *	        | lower(text) upper(text) | i64(x) u64(x) f64(x) str(x)
 *
 * TYPES are known before anything is computed: whole numbers (i8..i64 u8..u64), floats (f32 f64),
 * bool, text (str bytes json str:N, the last without the NULs at its end), structs and lists. A
 * whole number is exact: what is computed from whole numbers has any value from -2^63 to 2^64-1,
 * and beyond that fails (-ERANGE). As a result it is a u64 where a u64, or a literal from 2^63 on,
 * went in, else an i64 (a minus in front gives an i64), and fails (-ERANGE) when it does not fit.
 * With a float beside it a whole number becomes one (round to nearest), but they are compared
 * exactly. A result that is a place, as $.px, keeps that place's type.
 *
 *	/ %      of whole numbers: towards zero, as in C; by 0: fails (-EDOM).
 *	         Of floats: IEEE 754, % is fmod()
 *	NaN      as IEEE 754 has it: equal to nothing, itself included, neither less nor more.
 *	         min and max give it back
 *	round    half away from zero; floor, ceil, round of a whole number: itself
 *	&& ||    and if() compute only what they need
 *	[i]      -ERANGE beyond the end
 *	< == +   of text: by bytes, + joins. Structs and arrays: == and != of the same type alone
 *	i64 u64  of a float: towards zero, -ERANGE for NaN and what does not fit; of a bool: 1 or 0;
 *	         of text: its number, -EINVAL when it is none
 *	lower    and upper change A to Z alone
 *	sum      of whole numbers is exact. Of floats: from the left.
 *	         mean is an f64; of nothing: NaN. min and max of an empty list: -ERANGE
 *
 * Text may come from anywhere, also from memory that others write: everything is bounded by the
 * limits below, and nothing loops. Threads: an expression is immutable once parsed.
 */
#ifndef IPK_EXPR_H
#define IPK_EXPR_H

#include "base/base.h"
#include "ipk/type.h"

#define IPK_EXPR_TEXT_MAX 4096u
#define IPK_EXPR_NODES 1024u      /* operators, operands and calls of one expression */
#define IPK_EXPR_DEPTH 128u       /* of nesting */
#define IPK_EXPR_BYTES (1u << 20) /* of text that one evaluation may build */

struct ipk_expr;

/* What is known beforehand. The types have to outlive the expression. */
struct ipk_expr_env {
	const struct ipk_type *elem; /* of $, or with list: of an item of $; NULL: there is no $ */
	bool list;
	bool plain; /* the result is computed: of a place that is a number or text an i64 u64 f64 or
		       str */
	/*
	 * The type of a value called so, and an id to load it by. -ENOENT: there is none; with
	 * another error err is filled. NULL: there are no names.
	 */
	int (*find)(void *arg, const char *name, size_t len, u32 *ret_id,
		    const struct ipk_type **ret_type, struct ipk_error *err);
	void *arg;
};

/*
 * -EINVAL with one sentence that names the column; -EMSGSIZE over a limit; -ENOMEM. The expression
 * ends with text.
 */
int ipk_expr_parse(const char *text, size_t len, const struct ipk_expr_env *env,
		   struct ipk_expr **ret_expr, struct ipk_error *err);
/*
 * The same for an expression inside of text: begins at *pos, ends before what cannot belong to it,
 * as "," or ")", and moves *pos there. Columns are those of the whole text.
 */
int ipk_expr_parse_part(const char *text, size_t len, size_t *pos, const struct ipk_expr_env *env,
			struct ipk_expr **ret_expr, struct ipk_error *err);
void ipk_expr_free(struct ipk_expr *expr);

/*
 * The type of the result: i64 u64 f64 bool str, that of a place, or of a list of $'s items: json.
 */
const struct ipk_type *ipk_expr_type(const struct ipk_expr *expr);

/* Items side by side; those of a variable type end where ends says. */
struct ipk_expr_list {
	const u8 *data;
	const u64 *ends; /* NULL: of a fixed type */
	u64 n;
};

/* Appends the list as JSON. -ENOMEM. */
int ipk_expr_list_print(const struct ipk_type *item, const struct ipk_expr_list *list,
			struct ipk_buf *out);

/* What one evaluation goes by. Values are private copies: they must not change meanwhile. */
struct ipk_expr_input {
	const void *elem; /* $ */
	size_t len;
	const struct ipk_expr_list *list; /* $, with env.list */
	/* A named value; it has to hold until the evaluation ends. Fills err when it fails. */
	int (*load)(void *arg, u32 id, const void **ret_val, size_t *ret_len,
		    struct ipk_error *err);
	void *arg;
};

/*
 * Appends the result's bytes to out. -ERANGE -EDOM -EINVAL: it has no value here, err says why and
 * in which column; -EBADMSG: an input is not of its type; -EMSGSIZE more than IPK_EXPR_BYTES;
 * -ENOMEM; what load gave.
 */
int ipk_expr_eval(const struct ipk_expr *expr, const struct ipk_expr_input *in, struct ipk_buf *out,
		  struct ipk_error *err);

#endif
