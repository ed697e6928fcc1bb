/* SPDX-License-Identifier: MIT */
/* References, sizes, durations and ranges out of any text. */
#include <stdlib.h>

#include "base/base.h"
#include "ipk/kind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct ipk_error err;
	struct ipk_ref ref;
	uint64_t from, to;
	int64_t ns;
	bool one;

	memcpy(text, data, size);
	text[size] = '\0';
	if (ipk_ref_parse(text, &ref, &err) == 0) {
		/* The parts put together again are what was given. */
		size_t len = strlen(ref.segment) + (ref.object ? 1 + strlen(ref.object) : 0) +
			     (ref.key ? 1 + ref.key_len : 0);

		if (len != strlen(text) || strncmp(text, ref.segment, strlen(ref.segment)) != 0)
			abort();
		ipk_ref_free(&ref);
	}
	if (ipk_range_parse(text, size, &from, &to, &one) == 0 &&
	    (from > to || (one && to - from != 1)))
		abort();
	ipk_parse_size(text, size, &from);
	if (ipk_parse_duration(text, size, &ns) == 0 && ns < 0)
		abort();
	free(text);
	return 0;
}
