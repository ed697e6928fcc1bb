/* SPDX-License-Identifier: MIT */
/* What a derived stream shows of its pipeline, read without trust. */
#include "kinds/stream_pipe.h"
#include "kinds/stream_view.h"

/* The beginning of the state that counts, at most size bytes; 0: there is none. */
static int read_state(struct ipk_stream_look *l, void *buf, u64 size, size_t *ret_len)
{
	u64 word_at = l->o->body + offsetof(struct ipk_stream_body, word), word, again, at, len;
	int r = ipk_view_u64(l->o->view, word_at, &again);

	/* As long as nobody committed twice meanwhile, it is whole. */
	for (int tries = 0; r == 0 && tries < 100; tries++) {
		word = again;
		at = l->o->body + l->s.states + (word & 1) * (8 + l->s.room);
		r = ipk_view_u64(l->o->view, at, &len);
		if (r == 0 && len > l->s.room)
			len = 0;
		*ret_len = len < size ? len : size;
		if (r == 0 && len)
			r = ipk_view_read(l->o->view, at + 8, buf, *ret_len);
		if (r == 0)
			r = ipk_view_u64(l->o->view, word_at, &again);
		if (r == 0 && again == word)
			return 0;
	}
	*ret_len = 0;
	return r;
}

/* How many records the stream retains from the place on. */
static u64 behind(struct ipk_stream_look *l, const char *name, u64 next)
{
	struct ipk_object_view o;
	struct ipk_stream_look source;
	u64 n = 0;

	if (ipk_view_object(l->o->view, name, &o, NULL) < 0)
		return 0;
	if (o.kind == ipk_kind_stream.id && o.version == ipk_kind_stream.version &&
	    ipk_stream_look(&o, &source) == 0 && source.next > next)
		n = source.next - (next > source.first ? next : source.first);
	ipk_object_view_free(&o);
	return n;
}

static u64 behind_all(struct ipk_stream_look *l, const char *text, const struct ipk_pipe_head *head,
		      const u8 *places, size_t len)
{
	struct ipk_pipe_place place;
	size_t name = strcspn(text, " |");
	u64 n = 0;

	if (!head->ran) {
		memset(&place, 0, sizeof(place));
		if (name >= sizeof(place.name))
			return 0;
		memcpy(place.name, text, name);
		return behind(l, place.name, 0);
	}
	for (u32 i = 0; i < head->sources && len >= sizeof(place); i++) {
		memcpy(&place, places, sizeof(place));
		if (memchr(place.name, 0, sizeof(place.name)) && ipk_stream_name_ok(place.name))
			n += behind(l, place.name, place.next);
		places += sizeof(place);
		len -= sizeof(place);
	}
	return n;
}

int ipk_stream_show_derived(struct ipk_stream_look *l, struct ipk_visitor *v,
			    const char *const names[4])
{
	u8 buf[sizeof(struct ipk_pipe_head) + IPK_EXPR_TEXT_MAX +
	       IPK_DERIVE_SOURCES * sizeof(struct ipk_pipe_place)];
	char shown[IPK_EXPR_TEXT_MAX + 1];
	struct ipk_pipe_head head;
	const char *text;
	size_t len = 0, at;
	int r = read_state(l, buf, sizeof(buf), &len);

	if (r < 0 || ipk_pipe_text(buf, len, &head, &text) < 0)
		return r;
	for (u32 i = 0; i < head.text_len; i++)
		shown[i] = (char)((u8)text[i] >= ' ' && text[i] != 127 ? text[i] : '?');
	shown[head.text_len] = '\0';
	at = sizeof(head) + ipk_align_up(head.text_len, 8);
	r = v->str(v, names[0], shown);
	if (r == 0)
		r = v->u64(v, names[1],
			   behind_all(l, shown, &head, buf + at, len > at ? len - at : 0));
	if (r == 0)
		r = v->u64(v, names[2], head.missed);
	return r == 0 ? v->u64(v, names[3], head.failed) : r;
}
