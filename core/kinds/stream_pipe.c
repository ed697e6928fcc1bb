/* SPDX-License-Identifier: MIT */
/* What operators do with elements: see stream_pipe.h, and for what each means ipk/derive.h. */
#include <stdlib.h>

#include "buf.h"
#include "kinds/stream_pipe.h"

#define VARIABLE 256u /* bytes that room is made for by default, for a value of a variable type */

enum { ZIP_NONE, ZIP_LEFT, ZIP_RIGHT }; /* kept.count of ZIP: whose value waits */

/* ---- one operator ----------------------------------------------------------------------- */

/* What run() makes of it is in out_buf. */
static int call(struct ipk_pipe_stage *s, const struct ipk_pipe_item *it, struct ipk_error *err)
{
	struct ipk_derive_in in = {
		.data = it->data, .len = it->len, .n = it->n, .ends = it->ends, .time = it->time};

	if (s->op.kind == IPK_DERIVE_FOLD || s->op.kind == IPK_DERIVE_SCAN)
		in.acc = ipk_values_at(&s->values, 0, s->out->size, &in.acc_len);
	s->out_buf.len = 0;
	return s->op.run(s->op.arg, &in, &s->out_buf, err);
}

/* It has become what is in out_buf. */
static int becomes(const struct ipk_pipe_stage *s, struct ipk_pipe_item *it)
{
	if (s->out->size && s->out_buf.len != s->out->size)
		return -EBADMSG;
	it->data = (const u8 *)(s->out_buf.data ? s->out_buf.data : "");
	it->len = s->out_buf.len;
	it->list = false;
	return 1;
}

static void list_of(struct ipk_pipe_stage *s, struct ipk_pipe_item *it)
{
	struct ipk_pipe_values *v = &s->values;

	it->data = v->data + v->from;
	it->len = v->to - v->from;
	it->ends = s->in->size ? NULL : v->ends;
	it->n = v->n;
	it->list = true;
}

static int accumulate(struct ipk_pipe_stage *s, struct ipk_pipe_item *it, struct ipk_error *err)
{
	int r = call(s, it, err);

	if (r >= 0)
		r = becomes(s, it);
	if (r < 0)
		return r;
	ipk_values_drop(&s->values, 1, s->out->size);
	r = ipk_values_push(&s->values, it->data, it->len, s->out->size);
	return r < 0 ? r : s->op.kind == IPK_DERIVE_SCAN;
}

/* What was given out is dropped when the next one comes: until then it is read. */
static int collect(struct ipk_pipe_stage *s, struct ipk_pipe_item *it)
{
	u64 n = s->op.n, step = s->op.kind == IPK_DERIVE_BATCH ? n : s->op.step;
	int r;

	if (s->values.n == n) {
		ipk_values_drop(&s->values, step < n ? step : n, s->in->size);
		s->kept.count = step > n ? step - n : 0;
	}
	if (s->kept.count) {
		s->kept.count--;
		return 0;
	}
	r = ipk_values_push(&s->values, it->data, it->len, s->in->size);
	if (r < 0 || s->values.n < n)
		return r;
	list_of(s, it);
	return 1;
}

static int distinct(struct ipk_pipe_stage *s, const struct ipk_pipe_item *it)
{
	size_t len;
	int r;

	for (u64 i = s->values.n; i-- > 0;) {
		const u8 *old = ipk_values_at(&s->values, i, s->in->size, &len);

		if (ipk_value_compare(s->in, old, len, it->data, it->len) == 0)
			return 0;
	}
	if (s->values.n == s->op.n)
		ipk_values_drop(&s->values, 1, s->in->size);
	r = ipk_values_push(&s->values, it->data, it->len, s->in->size);
	return r < 0 ? r : 1;
}

static int throttle(struct ipk_pipe_stage *s, const struct ipk_pipe_item *it)
{
	/* A time before the start, which a clock that was set back gives, begins anew. */
	if (!s->kept.count || it->time - s->kept.start >= s->op.step) {
		s->kept.start = it->time;
		s->kept.count = 0;
	}
	if (s->kept.count >= s->op.n)
		return 0;
	s->kept.count++;
	return 1;
}

static int zip(struct ipk_pipe_stage *s, struct ipk_pipe_item *it, bool right)
{
	const struct ipk_field *f = s->out->fields;
	const u8 *other;
	size_t len;
	char *pair;

	if (!s->kept.count) {
		s->kept.count = right ? ZIP_RIGHT : ZIP_LEFT;
		return ipk_values_push(&s->values, it->data, it->len, f[right].type.size);
	}
	other = ipk_values_at(&s->values, 0, f[!right].type.size, &len);
	s->out_buf.len = 0;
	pair = ipk_buf_room(&s->out_buf, s->out->size);
	if (!pair)
		return -ENOMEM;
	memset(pair, 0, s->out->size);
	memcpy(pair + f[right].offset, it->data, it->len);
	memcpy(pair + f[!right].offset, other, len);
	s->out_buf.len = s->out->size;
	s->kept.count = ZIP_NONE;
	ipk_values_drop(&s->values, 1, (u32)len);
	return becomes(s, it);
}

/* 1: it goes on to the next; 0: nothing does. */
static int take(struct ipk_pipe_stage *s, struct ipk_pipe_item *it, bool aside,
		struct ipk_error *err)
{
	int r;

	switch (s->op.kind) {
	case IPK_DERIVE_MAP:
		r = call(s, it, err);
		return r < 0 ? r : becomes(s, it);
	case IPK_DERIVE_FILTER:
		r = call(s, it, err);
		return r > 0 ? 1 : r;
	case IPK_DERIVE_TAKE:
		if (++s->kept.count >= s->op.n)
			s->kept.ended = 1;
		return 1;
	case IPK_DERIVE_SKIP:
		return s->kept.count < s->op.n ? s->kept.count++, 0 : 1;
	case IPK_DERIVE_FOLD:
	case IPK_DERIVE_SCAN:
		return accumulate(s, it, err);
	case IPK_DERIVE_WINDOW:
	case IPK_DERIVE_BATCH:
		return collect(s, it);
	case IPK_DERIVE_ZIP:
		return zip(s, it, aside);
	case IPK_DERIVE_THROTTLE:
		return throttle(s, it);
	case IPK_DERIVE_DISTINCT:
		return distinct(s, it);
	default:
		return 1; /* MERGE */
	}
}

/* ---- elements through the pipeline ------------------------------------------------------ */

static int go(struct ipk_pipe *p, unsigned from, struct ipk_pipe_item *it, bool aside)
{
	for (unsigned i = from; i < p->n; i++) {
		struct ipk_error err = {0};
		int r = p->stage[i].kept.ended ? 0 : take(&p->stage[i], it, aside, &err);

		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			p->head.failed++;
			p->failure = err;
			if (!err.text[0])
				ipk_error_set(&p->failure, r, "%s: %s",
					      ipk_pipe_op_name(p->stage[i].op.kind),
					      ipk_strerror(r));
		}
		if (r <= 0)
			return 0;
		aside = false;
	}
	return p->sink(p->arg, it);
}

int ipk_pipe_feed(struct ipk_pipe *p, unsigned source, const void *data, size_t len, u64 time)
{
	struct ipk_pipe_item it = {.data = data, .len = len, .time = time};
	const struct ipk_pipe_source *s = &p->source[source];

	p->head.read++;
	if (s->type->size && len != s->type->size) {
		p->head.failed++;
		ipk_error_set(&p->failure, -EBADMSG, "a record of %s is not of its type",
			      s->place.name);
		return 0;
	}
	return go(p, s->stage, &it, source > 0);
}

/* ---- ends ------------------------------------------------------------------------------- */

/* Comes nothing more into it, or nothing that it could use? */
static bool input_ended(const struct ipk_pipe *p, unsigned i)
{
	const struct ipk_pipe_stage *s = &p->stage[i];
	bool left = i ? p->stage[i - 1].kept.ended : p->source[0].place.ended, right;

	right = p->source[s->source].place.ended;
	if (s->op.kind == IPK_DERIVE_MERGE)
		return left && right;
	if (s->op.kind == IPK_DERIVE_ZIP)
		return (left && s->kept.count != ZIP_LEFT) || (right && s->kept.count != ZIP_RIGHT);
	return left;
}

/* Has what comes out of this operator now to wait for a zip further on? */
static bool held_up(const struct ipk_pipe *p, unsigned i)
{
	while (++i < p->n) {
		const struct ipk_pipe_stage *s = &p->stage[i];

		if (!s->kept.ended && s->op.kind == IPK_DERIVE_ZIP && s->kept.count == ZIP_LEFT)
			return true;
	}
	return false;
}

int ipk_pipe_flush(struct ipk_pipe *p)
{
	struct ipk_pipe_item it = {0};
	struct ipk_pipe_stage *s = p->stage;
	unsigned i = 0;

	while (i < p->n && (s->kept.ended || !input_ended(p, i) || held_up(p, i))) {
		i++;
		s++;
	}
	if (i == p->n)
		return 0;
	s->kept.ended = 1;
	if (s->op.kind == IPK_DERIVE_FOLD)
		it.data = ipk_values_at(&s->values, 0, s->out->size, &it.len);
	else if (s->op.kind == IPK_DERIVE_BATCH && s->values.n && s->values.n < s->op.n)
		list_of(s, &it);
	if (it.data) {
		int r = go(p, i + 1, &it, false);

		if (r < 0)
			return r;
	}
	return 1;
}

bool ipk_pipe_done(const struct ipk_pipe *p)
{
	return p->stage[p->n - 1].kept.ended;
}

bool ipk_pipe_wants(const struct ipk_pipe *p, unsigned source)
{
	const struct ipk_pipe_source *src = &p->source[source];

	if (src->place.ended)
		return false;
	for (unsigned i = src->stage; i < p->n; i++) {
		const struct ipk_pipe_stage *s = &p->stage[i];
		bool aside = source && i == src->stage;

		if (s->kept.ended)
			return false;
		if (s->op.kind == IPK_DERIVE_ZIP && s->kept.count == (aside ? ZIP_RIGHT : ZIP_LEFT))
			return false;
	}
	return true;
}

/* ---- saving and loading ----------------------------------------------------------------- */

static u32 value_size(const struct ipk_pipe_stage *s)
{
	switch (s->op.kind) {
	case IPK_DERIVE_FOLD:
	case IPK_DERIVE_SCAN:
		return s->out->size;
	case IPK_DERIVE_ZIP:
		return s->out->fields[s->kept.count == ZIP_RIGHT].type.size;
	default:
		return s->in->size;
	}
}

static u64 values_max(const struct ipk_pipe_stage *s)
{
	switch (s->op.kind) {
	case IPK_DERIVE_WINDOW:
	case IPK_DERIVE_BATCH:
	case IPK_DERIVE_DISTINCT:
		return s->op.n;
	case IPK_DERIVE_FOLD:
	case IPK_DERIVE_SCAN:
	case IPK_DERIVE_ZIP:
		return 1;
	default:
		return 0;
	}
}

u64 ipk_pipe_room(const struct ipk_pipe *p)
{
	u64 room = sizeof(p->head) + ipk_align_up(strlen(p->text), 8) +
		   p->sources * sizeof(struct ipk_pipe_place);

	for (unsigned i = 0; i < p->n; i++) {
		const struct ipk_pipe_stage *s = &p->stage[i];
		u32 size = s->op.kind == IPK_DERIVE_ZIP ? s->out->size : value_size(s);
		u64 bytes = size ? ipk_align_up(values_max(s) * size, 8)
				 : values_max(s) * (8 + VARIABLE);

		if (!size && s->op.init_len > VARIABLE)
			bytes += ipk_align_up(s->op.init_len, 8);
		room += sizeof(s->kept) + bytes;
	}
	return room;
}

int ipk_pipe_save(const struct ipk_pipe *p, struct ipk_buf *out)
{
	static const u8 zero[8];
	struct ipk_pipe_head head = p->head;
	int r;

	head.magic = IPK_PIPE_MAGIC;
	head.text_len = (u32)strlen(p->text);
	head.ran = 1;
	head.sources = p->sources;
	r = ipk_buf_add(out, &head, sizeof(head));
	if (r == 0)
		r = ipk_buf_add(out, p->text, head.text_len);
	if (r == 0)
		r = ipk_buf_add(out, zero, -head.text_len & 7);
	for (unsigned i = 0; r == 0 && i < p->sources; i++)
		r = ipk_buf_add(out, &p->source[i].place, sizeof(p->source[i].place));
	for (unsigned i = 0; r == 0 && i < p->n; i++) {
		const struct ipk_pipe_stage *s = &p->stage[i];
		struct ipk_pipe_kept kept = s->kept;

		kept.n = s->values.n;
		r = ipk_buf_add(out, &kept, sizeof(kept));
		if (r == 0)
			r = ipk_values_save(&s->values, value_size(s), out);
	}
	return r;
}

int ipk_pipe_text(const void *saved, size_t len, struct ipk_pipe_head *ret_head,
		  const char **ret_text)
{
	struct ipk_pipe_head head;

	if (len == 0)
		return -EINVAL;
	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, saved, sizeof(head));
	if (head.magic != IPK_PIPE_MAGIC || head.text_len > len - sizeof(head) ||
	    head.text_len > IPK_EXPR_TEXT_MAX)
		return -EBADMSG;
	*ret_head = head;
	*ret_text = (const char *)saved + sizeof(head);
	return 0;
}

/* An operator's part, at the beginning of saved; how many bytes it took. */
static i64 load_stage(struct ipk_pipe_stage *s, const u8 *saved, size_t len)
{
	struct ipk_pipe_kept kept;
	u64 most = values_max(s);
	i64 n;

	if (len < sizeof(kept))
		return -EBADMSG;
	memcpy(&kept, saved, sizeof(kept));
	if (kept.ended > 1 || kept.n > most)
		return -EBADMSG;
	if (s->op.kind == IPK_DERIVE_ZIP &&
	    (kept.count > ZIP_RIGHT || kept.n != (kept.count != ZIP_NONE)))
		return -EBADMSG;
	if ((s->op.kind == IPK_DERIVE_FOLD || s->op.kind == IPK_DERIVE_SCAN) && kept.n != 1)
		return -EBADMSG;
	s->kept = kept;
	n = ipk_values_load(&s->values, kept.n, value_size(s), saved + sizeof(kept),
			    len - sizeof(kept));
	return n < 0 ? n : n + (i64)sizeof(kept);
}

int ipk_pipe_load(struct ipk_pipe *p, const void *saved, size_t len)
{
	const u8 *at = saved, *end = at + len;
	const char *text;
	int r = ipk_pipe_text(saved, len, &p->head, &text);
	u64 skip;

	if (r < 0)
		return r;
	if (!p->head.ran)
		return 0;
	skip = sizeof(p->head) + ipk_align_up(p->head.text_len, 8);
	if (p->head.sources != p->sources || skip > len ||
	    len - skip < p->sources * sizeof(struct ipk_pipe_place))
		return -EBADMSG;
	at += skip;
	for (unsigned i = 0; i < p->sources; i++, at += sizeof(struct ipk_pipe_place)) {
		struct ipk_pipe_place place;

		memcpy(&place, at, sizeof(place));
		if (place.ended > 1 ||
		    memcmp(place.name, p->source[i].place.name, sizeof(place.name)) != 0)
			return -EBADMSG;
		p->source[i].place = place;
	}
	for (unsigned i = 0; i < p->n; i++) {
		i64 n = load_stage(&p->stage[i], at, (size_t)(end - at));

		if (n < 0)
			return (int)n;
		at += n;
	}
	return 0;
}
