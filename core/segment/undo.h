/* SPDX-License-Identifier: MIT */
/*
 * What a repair changes, saved before it changes anything: a file beside the segment, FILE.undo.
 *
 *	header		which segment, how far the repair is
 *	pieces		{offset, length, the bytes before, the bytes after}, by offset; lengths are
 *			multiples of 64
 *
 *	killed before the file has its name	nothing has happened
 *	while the pieces are written		APPLYING: each byte is the old or the new one, and
 *						both are saved: whoever comes next puts the
 *						old ones back
 *	after that				APPLIED: can be taken back as long as the new
 *						bytes stand
 *	while they are put back			GOING_BACK: as APPLYING
 *	after that				the file is gone
 */
#ifndef IPK_UNDO_H
#define IPK_UNDO_H

#include "segment/salvage.h"

enum ipk_undo_state { IPK_UNDO_APPLYING, IPK_UNDO_APPLIED, IPK_UNDO_GOING_BACK };

struct ipk_undo_header {
	u64 magic;
	u32 version;
	u32 state;
	u64 sum;                 /* XXH3, 64 bits, of all that follows */
	u64 id[2], created, ino; /* the segment's */
	u64 old_len, new_len;    /* of its file */
	u64 npieces;
	u64 bytes; /* of all pieces */
	u64 spare[5];
};

struct ipk_undo_piece {
	u64 off, len;
	u8 bytes[]; /* len before, len after */
};

struct ipk_undo {
	u8 *data; /* the file's bytes */
	u64 len, cap;
};

enum ipk_undo_match {
	IPK_UNDO_NEW,    /* all bytes are the new ones */
	IPK_UNDO_MIXED,  /* each is an old or a new one */
	IPK_UNDO_STRANGE /* something else has been written since */
};

static inline struct ipk_undo_header *ipk_undo_header(const struct ipk_undo *u)
{
	return (struct ipk_undo_header *)(void *)u->data;
}

/* Collects where the copy differs from the segment behind fd. -ENOMEM -EIO -EBADMSG. */
int ipk_undo_collect(int fd, const struct ipk_salvage *s, struct ipk_undo *ret);
void ipk_undo_free(struct ipk_undo *u);

/*
 * Writes it to a file that has its name when it is complete and on the medium; replaces an older.
 */
int ipk_undo_save(const struct ipk_undo *u, const char *path, struct ipk_error *err);
/* -ENOENT none; -EBADMSG cut short or damaged; -EPERM somebody else's. */
int ipk_undo_load(const char *path, struct ipk_undo *ret, struct ipk_error *err);
/* Notes in the file and in u how far it is. */
int ipk_undo_mark(struct ipk_undo *u, const char *path, enum ipk_undo_state state,
		  struct ipk_error *err);
int ipk_undo_remove(const char *path);

/* Is it of the segment behind fd? */
bool ipk_undo_is_of(const struct ipk_undo *u, int fd);
enum ipk_undo_match ipk_undo_match(const struct ipk_undo *u, int fd);
/* Writes the new bytes, or with back the old ones, and brings them to the medium. Repeatable. */
int ipk_undo_write(const struct ipk_undo *u, int fd, bool back);

#endif
