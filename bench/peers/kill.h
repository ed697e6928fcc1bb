/* SPDX-License-Identifier: MIT */
#ifndef KILL_H
#define KILL_H

/* Kills producers and consumers of each peer in the middle of their work; prints a table. */
void kill_all(unsigned kills);

#endif
