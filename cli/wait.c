/* SPDX-License-Identifier: MIT */
/*
 * wait: until a field of show has a value, or until something exists. It only reads, so it cannot
 * announce itself to be woken: it looks again, slowly. Kinds with a wait of their own (latch,
 * barrier) have it run instead.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

#define SLOWEST INT64_C(50000000)

enum order { LT, LE, GT, GE, EQ, NE };

struct condition {
	char field[64];
	enum order order;
	const char *value;
	bool number, negative;
	uint64_t num;
};

static int no_number(struct cli *c, const struct condition *cond)
{
	return cli_usage(c, "--for: %s is compared with a whole number, got \"%s\"", cond->field,
			 cond->value);
}

static int parse_condition(struct cli *c, const char *text, struct condition *cond)
{
	static const struct {
		const char *text;
		enum order order;
	} ops[] = {{"<=", LE}, {">=", GE}, {"!=", NE}, {"==", EQ}, {"<", LT}, {">", GT}, {"=", EQ}};
	size_t len = strcspn(text, "<>=!");
	const char *p = text + len;
	unsigned i;

	while (len > 0 && text[len - 1] == ' ')
		len--;
	for (i = 0; i < CLI_ARRAY_LEN(ops); i++)
		if (!strncmp(p, ops[i].text, strlen(ops[i].text)))
			break;
	if (i == CLI_ARRAY_LEN(ops) || len == 0 || len >= sizeof(cond->field))
		return cli_usage(c, "--for wants FIELD, one of < <= > >= = !=, VALUE; got \"%s\"",
				 text);
	p += strlen(ops[i].text);
	p += strspn(p, " ");
	snprintf(cond->field, sizeof(cond->field), "%.*s", (int)len, text);
	cond->order = ops[i].order;
	cond->value = p;
	cond->negative = *p == '-';
	p += cond->negative;
	cond->num = !strcmp(p, "true");
	cond->number = cond->num || !strcmp(p, "false") ||
		       ipk_parse_size(p, strlen(p), &cond->num) == 0;
	if (!*p)
		return cli_usage(c, "--for \"%s\": a value is missing", text);
	if (!cond->number && cond->order < EQ)
		return no_number(c, cond);
	return 0;
}

static int compare(const struct cli_field *r, const struct condition *cond)
{
	bool a = r->negative && r->num, b = cond->negative && cond->num;

	if (!r->number || !cond->number)
		return strcmp(r->text, cond->value);
	if (a != b)
		return a ? -1 : 1;
	return ((r->num > cond->num) - (r->num < cond->num)) * (a ? -1 : 1);
}

static bool holds(const struct cli_field *r, const struct condition *cond)
{
	int d = compare(r, cond);

	switch (cond->order) {
	case LT:
		return d < 0;
	case LE:
		return d <= 0;
	case GT:
		return d > 0;
	case GE:
		return d >= 0;
	case EQ:
		return d == 0;
	case NE:
		return d != 0;
	}
	return false;
}

static int suggest_u64(struct ipk_visitor *v, const char *name, uint64_t val)
{
	(void)val;
	cli_suggest_try((struct cli_suggest *)(v + 1), name);
	return 0;
}

static int suggest_i64(struct ipk_visitor *v, const char *name, int64_t val)
{
	(void)val;
	return suggest_u64(v, name, 0);
}

static int suggest_bool(struct ipk_visitor *v, const char *name, bool val)
{
	(void)val;
	return suggest_u64(v, name, 0);
}

static int suggest_str(struct ipk_visitor *v, const char *name, const char *val)
{
	(void)val;
	return suggest_u64(v, name, 0);
}

static int no_field(struct cli *c, struct cli_object *ob, const char *field)
{
	struct {
		struct ipk_visitor v;
		struct cli_suggest s;
	} s = {.v = {suggest_u64, suggest_i64, suggest_bool, suggest_str}};
	char text[96];

	cli_suggest_init(&s.s, field);
	cli_fields(ob, &s.v);
	if (!*cli_suggest_text(&s.s, text))
		return cli_usage(c, "no field \"%s\"; see: ipcctl show %s", field, c->ref);
	return cli_usage(c, "no field \"%s\"%s", field, text);
}

/* 1 when the condition holds, 0 when not yet, else minus an exit status that was reported. */
static int look(struct cli *c, struct cli_object *ob, const struct condition *cond, bool exists)
{
	struct cli_field field;
	struct ipk_error err = {0};
	int r = cli_find(ob, &err);

	if (r == -ENOENT && exists)
		return 0;
	if (r < 0)
		return -cli_fail_code(c, r, &err);
	if (!cond)
		return 1;
	r = cli_field(ob, cond->field, &field);
	if (r == -ENOENT)
		return -no_field(c, ob, cond->field);
	if (r < 0)
		return -cli_fail_code(c, r, NULL);
	/* What can never be is no reason to wait for it. */
	if (field.number && !cond->number)
		return -no_number(c, cond);
	if (!field.number && cond->order < EQ)
		return -cli_usage(c, "--for: %s is no number: = and != alone compare it",
				  cond->field);
	return holds(&field, cond);
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int poll_until(struct cli *c, struct cli_object *ob, const struct condition *cond,
		      bool exists)
{
	int64_t start = now(), pause = 1000000, left;
	int r;

	for (;;) {
		r = look(c, ob, cond, exists);
		if (r)
			return r > 0 ? 0 : -r;
		if (c->opt.timeout == 0)
			return cli_fail(c, CLI_BLOCKED, -EAGAIN, "not yet");
		left = c->opt.timeout < 0 ? INT64_MAX : c->opt.timeout - (now() - start);
		if (left <= 0)
			return cli_fail(c, CLI_TIMEOUT, -ETIMEDOUT, "timed out");
		if (cli_sleep(c, left < pause ? left : pause))
			return cli_fail(c, CLI_INTERRUPTED, -EINTR, "interrupted");
		pause = pause * 2 > SLOWEST ? SLOWEST : pause * 2;
		/* Found again each time: what was there may be another by now. */
		if (ob->found) {
			ipk_object_view_free(&ob->o);
			ipk_type_free(ob->type);
			ipk_type_free(ob->key_type);
			ob->type = ob->key_type = NULL;
			ob->found = false;
		}
		if (ob->view) {
			ipk_view_close(ob->view);
			ob->view = NULL;
		}
	}
}

int cli_wait(struct cli *c)
{
	const char *text = cli_given(c, "for");
	bool exists = cli_given(c, "exists") != NULL;
	struct condition cond;
	struct cli_object ob = {0};
	int r;

	if (!text && !exists) {
		r = cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob);
		if (r == 0 && ob.kind && ipk_kind_op(ob.kind, "wait")) {
			cli_close(&ob);
			return cli_op(c);
		}
		cli_close(&ob);
		return r ? r : cli_usage(c, "says not what for: --for 'used<10' or --exists");
	}
	if (text && parse_condition(c, text, &cond))
		return CLI_USAGE;
	r = cli_ref(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob.ref);
	/* Absent and not waited for: cli_open() says it with a suggestion. */
	if (r == 0 && !exists) {
		cli_close(&ob);
		r = cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob);
	}
	if (r == 0)
		r = poll_until(c, &ob, text ? &cond : NULL, exists);
	cli_close(&ob);
	return r;
}
