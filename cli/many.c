/* SPDX-License-Identifier: MIT */
/* Verbs that choose from several objects of one segment: REF[=VALUE]... */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct many {
	struct cli *c;
	unsigned n;
	struct cli_object *ob;
	struct ipk_choice *choice;
	struct ipk_buf *value;
	const struct ipk_op *op;
};

/*
 * Where the value of REF=VALUE begins, or NULL. Names have no '='; a path may have some, before its
 * last part that ends in .ipk.
 */
static char *split(char *word)
{
	char *from = word, *p;

	if (word[0] == '/' || word[0] == '.') {
		p = strstr(word, ".ipk/");
		from = p ? p : word;
	}
	from = strchr(from, '=');
	if (from)
		*from++ = '\0';
	return from;
}

static int take_value(struct many *m, unsigned i, const char *text)
{
	struct ipk_error err = {0};
	struct ipk_buf *b = &m->value[i];
	int r = ipk_value_parse(m->ob[i].type, text, strlen(text), 0, b, &err);

	if (r < 0)
		return cli_fail(m->c, CLI_WRONG, r, "%s",
				err.text[0] ? err.text : ipk_strerror(r));
	m->choice[i].given = true;
	m->choice[i].value = (struct ipk_item){.data = b->data ? b->data : "", .len = b->len};
	return 0;
}

/* The first one's attachment serves all that are in its segment. */
static int attach(struct many *m, unsigned i)
{
	struct cli_object *ob = &m->ob[i];
	struct ipk_error err = {0};
	int r;

	if (i == 0 || strcmp(ob->ref.segment, m->ob[0].ref.segment))
		return cli_attach(m->c, ob, IPK_READ | IPK_WRITE);
	r = ob->kind->attach(m->ob[0].seg, ob->ref.object, &ob->handle, &err);
	return r < 0 ? cli_fail_code(m->c, r, &err) : 0;
}

static int open_one(struct many *m, unsigned i)
{
	const char *value = split(m->c->word[i]), *first = m->c->ref;
	const struct ipk_op *op = NULL;
	int r;

	m->c->ref = m->c->word[i]; /* what is wrong with it is said of it */
	r = cli_open(m->c, m->c->word[i], CLI_REF_OBJECT, &m->ob[i]);
	if (r == 0)
		r = cli_needs_op(m->c, &m->ob[i], m->c->verb, &op);
	if (r == 0 && m->op && op != m->op)
		r = cli_usage(m->c, "all have to be of one kind");
	m->op = op;
	m->choice[i].ref = m->c->word[i];
	if (r == 0 && value)
		r = take_value(m, i, value);
	if (r == 0)
		r = attach(m, i);
	if (r == 0)
		m->c->ref = first;
	m->choice[i].handle = m->ob[i].handle;
	return r;
}

static int choose(struct many *m)
{
	struct cli_tool t = {.c = m->c, .ob = m->ob};
	struct ipk_call call = {0};
	int r, used = 0;

	r = cli_call(&t, m->op, NULL, 0, &call, &used);
	if (r)
		return r;
	call.choice = m->choice;
	call.nchoices = m->n;
	cli_flush(m->c);
	m->c->out->hold = true;
	r = ipk_op_run(m->op, &call);
	r = cli_call_status(&t, m->op, &call, r, 0);
	m->c->out->hold = false;
	free((void *)call.arg);
	return r;
}

int cli_op_many(struct cli *c)
{
	struct many m = {.c = c, .n = (unsigned)c->nwords};
	unsigned i, opened = 0;
	int r = 0;

	m.ob = calloc(m.n, sizeof(*m.ob));
	m.choice = calloc(m.n, sizeof(*m.choice));
	m.value = calloc(m.n, sizeof(*m.value));
	if (!m.ob || !m.choice || !m.value)
		r = cli_fail_code(c, -ENOMEM, NULL);
	for (i = 0; r == 0 && i < m.n; i++, opened++)
		r = open_one(&m, i);
	if (r == 0)
		r = choose(&m);
	while (opened > 0)
		cli_close(&m.ob[--opened]);
	for (i = 0; m.value && i < m.n; i++)
		ipk_buf_free(&m.value[i]);
	free(m.ob);
	free(m.choice);
	free(m.value);
	return r;
}
