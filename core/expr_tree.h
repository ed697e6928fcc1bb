/* SPDX-License-Identifier: MIT */
/* An expression, inside: nodes in one array, operands before the operators they belong to. */
#ifndef IPK_EXPR_TREE_H
#define IPK_EXPR_TREE_H

#include "expr.h"
#include "type.h"

__extension__ typedef __int128 ipk_wide; /* whole numbers while they are computed */

#define IPK_WIDE_MIN ((ipk_wide)INT64_MIN)
#define IPK_WIDE_MAX ((ipk_wide)UINT64_MAX)
#define IPK_TWO_64 18446744073709551616.0

enum ipk_x_class {
	IPK_X_INT,
	IPK_X_UINT,
	IPK_X_FLOAT,
	IPK_X_BOOL,
	IPK_X_TEXT,
	IPK_X_LIST,
	IPK_X_STRUCT
};

enum ipk_x_op {
	IPK_X_CONST,
	IPK_X_ELEM,
	IPK_X_NAME,
	IPK_X_FIELD,
	IPK_X_INDEX,
	IPK_X_NEG,
	IPK_X_NOT,
	IPK_X_OR,
	IPK_X_AND,
	IPK_X_EQ,
	IPK_X_NE,
	IPK_X_LT,
	IPK_X_LE,
	IPK_X_GT,
	IPK_X_GE,
	IPK_X_ADD,
	IPK_X_SUB,
	IPK_X_MUL,
	IPK_X_DIV,
	IPK_X_MOD,
	IPK_X_ABS,
	IPK_X_FLOOR,
	IPK_X_CEIL,
	IPK_X_ROUND,
	IPK_X_SQRT,
	IPK_X_MIN,
	IPK_X_MAX,
	IPK_X_IF,
	IPK_X_SUM,
	IPK_X_MEAN,
	IPK_X_LEN,
	IPK_X_CONTAINS,
	IPK_X_STARTS,
	IPK_X_ENDS,
	IPK_X_LOWER,
	IPK_X_UPPER,
	IPK_X_I64,
	IPK_X_U64,
	IPK_X_F64,
	IPK_X_STR,
};

struct ipk_x_node {
	enum ipk_x_op op;
	enum ipk_x_class cls;
	bool place; /* its bytes are those of type */
	bool loose; /* LIST of items of type, whose bytes do not lie in an array */
	u16 depth, nkids;
	u16 kid[3];
	u32 at; /* NAME: id; FIELD: offset; CONST text: place in the pool */
	u32 col;
	struct ipk_type type; /* shallow: what it points to is the environment's */
	ipk_wide whole;       /* CONST of a whole number or bool; of text: its length */
	double real;
};

struct ipk_expr {
	struct ipk_x_node *nodes; /* the last one is the root */
	u32 n, room;
	u8 *pool; /* the text of all literals */
	u32 pool_len;
	struct ipk_type *result;
};

struct ipk_x_parser {
	const char *text;
	size_t len, pos, from;
	const struct ipk_expr_env *env;
	struct ipk_expr *e;
	struct ipk_error *err;
	unsigned nest;
};

static inline bool ipk_x_is_whole(enum ipk_x_class cls)
{
	return cls == IPK_X_INT || cls == IPK_X_UINT;
}

static inline bool ipk_x_is_number(enum ipk_x_class cls)
{
	return ipk_x_is_whole(cls) || cls == IPK_X_FLOAT;
}

/* Of what a value of the type is, and an item of a LIST. */
enum ipk_x_class ipk_x_class_of(const struct ipk_type *type);
struct ipk_type ipk_x_item(const struct ipk_x_node *list);

/* Fills err with the column and a sentence; returns code. */
int ipk_x_fail(struct ipk_x_parser *ps, int code, size_t pos, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Appends a node whose operands are there. -EMSGSIZE over a limit, -ENOMEM. */
int ipk_x_add(struct ipk_x_parser *ps, const struct ipk_x_node *node, u16 *ret);
/* Checks the operands' types and appends the operator or call; name is what the user wrote. */
int ipk_x_apply(struct ipk_x_parser *ps, enum ipk_x_op op, const char *name, size_t pos,
		const u16 *kids, u16 n, u16 *ret);
/* place.name and place[index]. */
int ipk_x_field(struct ipk_x_parser *ps, u16 place, const char *name, size_t len, size_t pos,
		u16 *ret);
int ipk_x_index(struct ipk_x_parser *ps, u16 place, u16 index, size_t pos, u16 *ret);

/* ---- computing -------------------------------------------------------------------------- */

/* A value: by its node's class one of the first four, and where the node is a place also its bytes.
 */
struct ipk_x_val {
	ipk_wide whole; /* also bool */
	double real;
	const u8 *p; /* text, or the place's bytes */
	u64 n;
	const struct ipk_expr_list *list; /* loose */
};

/* Text that was built on the way. */
struct ipk_x_block {
	struct ipk_x_block *next;
	u8 data[];
};

struct ipk_x_run {
	const struct ipk_expr *e;
	const struct ipk_expr_input *in;
	struct ipk_error *err;
	struct ipk_x_block *blocks;
	size_t built;
};

static inline double ipk_x_real(const struct ipk_x_node *n, const struct ipk_x_val *v)
{
	return n->cls == IPK_X_FLOAT ? v->real : (double)v->whole;
}

/* Fills the error with the node's column and a sentence; returns code. */
int ipk_x_fails(struct ipk_x_run *run, const struct ipk_x_node *n, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int ipk_x_not_of_type(struct ipk_x_run *run, const struct ipk_x_node *n);

/* The value of the type whose len bytes lie at p. */
void ipk_x_read(const struct ipk_type *type, const u8 *p, u64 len, struct ipk_x_val *ret);
u64 ipk_x_length(const struct ipk_x_node *list, const struct ipk_x_val *v);
/* i is less than the length. */
int ipk_x_item_at(struct ipk_x_run *run, const struct ipk_x_node *list, const struct ipk_x_val *v,
		  u64 i, struct ipk_x_val *ret);

/* a + b, lower(a) and upper(a), contains(a, b) and its like. */
int ipk_x_append(struct ipk_x_run *run, const struct ipk_x_node *n, const struct ipk_x_val *a,
		 const struct ipk_x_val *b, struct ipk_x_val *ret);
int ipk_x_change_case(struct ipk_x_run *run, const struct ipk_x_node *n, const struct ipk_x_val *a,
		      struct ipk_x_val *ret);
bool ipk_x_has_part(enum ipk_x_op op, const struct ipk_x_val *a, const struct ipk_x_val *b);
/* i64(a) and its like; and whether a whole number fits the node's type. */
int ipk_x_cast(struct ipk_x_run *run, const struct ipk_x_node *n, const struct ipk_x_node *from,
	       const struct ipk_x_val *a, struct ipk_x_val *ret);
int ipk_x_fit(struct ipk_x_run *run, const struct ipk_x_node *n, ipk_wide whole);

#endif
