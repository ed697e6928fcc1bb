/* SPDX-License-Identifier: MIT */
/* fill FILE.ipk: makes a small segment that holds something of each kind. */
#include "fill.h"

int main(int argc, char **argv)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	int r;

	if (argc != 2 || (argv[1][0] != '/' && argv[1][0] != '.')) {
		fprintf(stderr, "usage: fill ./FILE.ipk\n");
		return 2;
	}
	options.size = 64 << 10;
	options.max = 1 << 20;
	r = ipk_segment_create(argv[1], &options, &seg, &err);
	if (r == 0) {
		r = fill_segment(seg, &err);
		ipk_segment_close(seg);
	}
	if (r != 0)
		fprintf(stderr, "fill: %s\n", err.text);
	return r != 0;
}
