/* SPDX-License-Identifier: MIT */
/* Any text is a schema or is refused; what is accepted has a canonical text that means the same. */
#include <stdlib.h>

#include "base/base.h"
#include "ipk/type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipk_type *type, *again;
	struct ipk_error err;

	if (ipk_type_parse((const char *)data, size, &type, &err) != 0)
		return 0;
	if (ipk_type_parse(type->text, strlen(type->text), &again, &err) != 0 ||
	    !ipk_type_equal(type, again) || type->size != again->size ||
	    type->align != again->align)
		abort();
	ipk_type_free(type);
	ipk_type_free(again);
	return 0;
}
