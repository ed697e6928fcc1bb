/* SPDX-License-Identifier: MIT */
/* Which planted bug is there, in a build that has any. */
#include "base/base.h"

#ifdef IPK_BUGS

#include <stdio.h>
#include <stdlib.h>

enum ipk_bug ipk_bug;

static const char *const names[] = {
	"none",
#define IPK_BUG_IS(name, what) #name,
#include "base/bugs.def"
#undef IPK_BUG_IS
};

static __attribute__((constructor)) void choose(void)
{
	const char *name = getenv("IPK_BUG");

	for (unsigned i = 0; name && i < IPK_ARRAY_LEN(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			ipk_bug = (enum ipk_bug)i;
			return;
		}
	}
	if (name) {
		fprintf(stderr, "IPK_BUG: there is no bug \"%s\"\n", name);
		exit(2);
	}
}

#endif
