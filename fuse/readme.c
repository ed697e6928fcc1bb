/* SPDX-License-Identifier: MIT */
/* /README */
#include "ipcfs.h"

static const char text[] =
	"Structures in shared memory, as files. See ipcfs(1).\n"
	"\n"
	"README                    this text\n"
	"version                   the version of ipcfs\n"
	"by-pid/PID/               links to what a process holds and waits for\n"
	"SEG/info                  size, used, free, objects, attached, dead, health, format\n"
	"SEG/participants          who is attached\n"
	"SEG/OBJ/kind type cap used health\n"
	"                          one value each; poll(2) on used tells of changes\n"
	"SEG/OBJ/stats             counters and positions, monotonic\n"
	"SEG/OBJ/holders waiters   pid, start, comm, role, since, alive; separated by tabs\n"
	"SEG/OBJ/items/0007        an item by its position, with leading zeros or without\n"
	"SEG/OBJ/items/KEY         an item by its key; / % NUL, control characters and a leading\n"
	"                          dot as %XX, beyond 255 bytes cut and hashed\n"
	"SEG/OBJ/value             of what is one value\n"
	"SEG/OBJ/all.json          all items, one JSON value a line\n"
	"SEG/OBJ/raw               the elements' bytes, as numpy.fromfile reads them\n"
	"SEG/OBJ/log               retained records; grows, for tail -f\n"
	"SEG/OBJ/push              write a line to push a record\n"
	"SEG/OBJ/ctl               write close, reset or repair\n"
	"SEG/OBJ/.wait/pop sub value events\n"
	"                          not listed: reads that wait for a record and take it\n"
	"\n"
	"Nothing that is listed blocks or consumes. An opened file is a snapshot; reading from "
	"its\n"
	"beginning again renders it anew. Items, values, push and ctl are written when mounted "
	"with\n"
	"--rw: an item is stored when it is closed, one trailing newline dropped.\n";

int render_readme(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	(void)j, (void)s, (void)p;
	return ipk_buf_str(out, text);
}
