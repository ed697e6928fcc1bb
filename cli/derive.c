/* SPDX-License-Identifier: MIT */
/* derive: makes a stream that comes out of a pipeline over others, and runs one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipk/derive.h"

#include "cli.h"

const char cli_derive_text[] =
	"The pipeline, OPERATOR | OPERATOR ..., is stored in the new stream, which has the "
	"type of what comes out and takes --cap, --policy, --subs and --state as a new stream "
	"does. --run computes it until its sources are closed, or -n records came out, or "
	"with --nowait what is there now; one process at a time. What the operators keep is "
	"committed with what comes out: a runner that is killed is followed by the next "
	"without loss or repetition. dump and cp take its records along, and not its "
	"pipeline. Elements for which an expression has no value are left out and counted. At "
	"each source it has a place under its name, for its policy, until it ends; when the "
	"stream is removed before, ipcctl forget removes that too. Operators: map(EXPR) "
	"filter(EXPR) take(N) skip(N); scan(INIT, EXPR), where acc becomes EXPR and comes "
	"out, and fold(INIT, EXPR), where the last one does at the end; window(N[, STEP]) and "
	"batch(N), which give lists, and of a list sum mean min max count; distinct, of "
	"neighbours, distinct(N), of the last N; throttle(DUR) and throttle(N, DUR), by the "
	"records' times; merge(STREAM); zip(STREAM), which gives {a, b}. Expressions: $ is "
	"the element, with $.field and $[i]; numbers, \"text\", true and false; + - * / %, < "
	"<= > >= == !=, && || !; abs floor ceil round sqrt min max if len sum mean contains "
	"starts_with ends_with lower upper, and i64 u64 f64 str to convert. Whole numbers are "
	"exact: what needs more than 64 bits, or is divided by 0, has no value.";

/* ---- making --------------------------------------------------------------------------- */

static int number_option(struct cli *c, const char *name, uint64_t *ret)
{
	const struct ipk_arg *p = ipk_kind_by_name("stream")->params;
	const char *text = cli_given(c, name);
	struct ipk_argval val = {0};
	struct ipk_error err = {0};

	if (!text)
		return 0;
	while (strcmp(p->name, name) != 0)
		p++;
	if (ipk_arg_parse(p, text, strlen(text), &val, &err) < 0)
		return cli_usage(c, "%s", err.text);
	*ret = val.u64;
	return 0;
}

static int policy_option(struct cli *c, enum ipk_stream_policy *ret)
{
	static const char *const names[] = {"drop", "block", "reject"};
	const char *text = cli_given(c, "policy");

	for (unsigned i = 0; text && i < CLI_ARRAY_LEN(names); i++) {
		*ret = (enum ipk_stream_policy)i;
		if (!strcmp(text, names[i]))
			return 0;
	}
	return text ? cli_usage(c, "--policy is drop, block or reject, not \"%s\"", text) : 0;
}

static int stream_options(struct cli *c, struct ipk_stream_options *o)
{
	int r = number_option(c, "cap", &o->cap);

	if (r == 0)
		r = number_option(c, "subs", &o->subs);
	if (r == 0)
		r = number_option(c, "state", &o->state);
	if (r == 0 && cli_given(c, "derive"))
		r = cli_usage(c, "the pipeline is the third word, not --derive");
	return r ? r : policy_option(c, &o->policy);
}

static int make(struct cli *c, const struct ipk_ref *to, const struct ipk_ref *from)
{
	struct ipk_stream_options options = {0};
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	int r = stream_options(c, &options);

	if (r)
		return r;
	if (strcmp(to->segment, from->segment) != 0)
		return cli_usage(c,
				 "the stream and its source lie in one segment, not in %s and %s",
				 to->segment, from->segment);
	r = ipk_segment_open(to->segment, IPK_READ | IPK_WRITE, &seg, &err);
	if (r == 0)
		r = ipk_derive_create(seg, to->object, from->object, c->word[2], &options, &err);
	ipk_segment_close(seg);
	if (r == -EMEDIUMTYPE)
		return cli_fail(c, CLI_WRONG, r, "%s", err.text);
	return r < 0 ? cli_fail_code(c, r, &err) : 0;
}

static int make_from_words(struct cli *c)
{
	struct ipk_ref to = {0}, from = {0};
	int r;

	if (c->nwords != 3)
		return cli_usage(c, "wants SEG/OBJ SEG/STREAM 'PIPELINE', or --run SEG/OBJ");
	r = cli_ref(c, c->word[0], CLI_REF_OBJECT, &to);
	if (r == 0)
		r = cli_ref(c, c->word[1], CLI_REF_OBJECT, &from);
	if (r == 0)
		r = make(c, &to, &from);
	ipk_ref_free(&to);
	ipk_ref_free(&from);
	return r;
}

/* ---- running -------------------------------------------------------------------------- */

static void report(struct cli *c, const struct ipk_derive *d, uint64_t emitted,
		   const struct ipk_derive_counts *before)
{
	struct ipk_derive_counts now;
	struct cli_record rec;

	ipk_derive_counts(d, &now);
	if (now.failed > before->failed)
		cli_note(c, "%s: %llu elements were left out, the last because of %s", c->ref,
			 (unsigned long long)(now.failed - before->failed), ipk_derive_failure(d));
	if (now.missed > before->missed)
		cli_note(c, "%s: %llu records were dropped before they were read", c->ref,
			 (unsigned long long)(now.missed - before->missed));
	if (!c->opt.json && !c->opt.verbose)
		return;
	cli_record_begin(&rec, c);
	rec.columns = NULL;
	rec.visitor.u64(&rec.visitor, "read", now.read - before->read);
	rec.visitor.u64(&rec.visitor, "emitted", emitted);
	rec.visitor.u64(&rec.visitor, "missed", now.missed - before->missed);
	rec.visitor.u64(&rec.visitor, "failed", now.failed - before->failed);
	cli_record_end(&rec);
}

/* Until there are enough, or the sources have ended, or nothing comes. */
static int follow(struct cli *c, struct ipk_derive *d)
{
	uint64_t want = c->opt.count_given ? c->opt.count : UINT64_MAX, emitted = 0;
	struct ipk_derive_counts before;
	struct ipk_error err = {0};
	int r = 0;

	ipk_derive_counts(d, &before);
	while (r == 0 && emitted < want) {
		int64_t deadline = c->opt.timeout < 0    ? IPK_FOREVER
				   : c->opt.timeout == 0 ? IPK_NOWAIT
							 : ipk_deadline(c->opt.timeout);

		r = ipk_derive_run(d, want - emitted, &emitted, deadline, &err);
		if (r == 0 && cli_interrupted())
			r = -ECANCELED;
	}
	report(c, d, emitted, &before);
	/* What is there now, or all there is: unless more were asked for, that was it. */
	if (r == -EPIPE || (r == -EAGAIN && c->opt.timeout == 0))
		return c->opt.count_given
			       ? cli_fail(c, cli_exit_of(r), r, "%llu of %llu records",
					  (unsigned long long)emitted, (unsigned long long)want)
			       : 0;
	return r < 0 ? cli_fail_code(c, r, &err) : 0;
}

static int run(struct cli *c)
{
	struct ipk_derive *d = NULL;
	struct ipk_error err = {0};
	struct cli_object ob;
	char kind[40];
	int r = cli_open(c, c->word[0], CLI_REF_OBJECT, &ob);

	if (r)
		return r;
	if (!ob.kind || strcmp(ob.kind->name, "stream") != 0)
		r = cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "it is %s, and no stream",
			     cli_a_kind(&ob, kind));
	if (r == 0)
		r = cli_attach(c, &ob, IPK_READ | IPK_WRITE);
	if (r == 0) {
		r = ipk_derive_open(ob.seg, ob.ref.object, NULL, 0, &d, &err);
		if (r == -EINVAL)
			r = cli_fail(c, CLI_WRONG, r, "%s", err.text);
		else
			r = r < 0 ? cli_fail_code(c, r, &err) : follow(c, d);
		ipk_derive_close(d);
	}
	cli_close(&ob);
	return r;
}

int cli_derive(struct cli *c)
{
	if (!cli_given(c, "run"))
		return make_from_words(c);
	if (c->nwords != 1)
		return cli_usage(c, "--run takes one stream alone");
	return run(c);
}
