/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "ipk/render.h"

static void visit(struct ipk_visitor *v)
{
	assert_int_equal(v->u64(v, "used", UINT64_MAX), 0);
	assert_int_equal(v->i64(v, "delta", INT64_MIN), 0);
	assert_int_equal(v->boolean(v, "closed", true), 0);
	assert_int_equal(v->boolean(v, "full", false), 0);
	assert_int_equal(v->str(v, "comm", "a \"b\"\n\x1b[1m\xc3\xa4"), 0);
	assert_int_equal(v->str(v, "other", "\xff"), 0);
	assert_int_equal(v->str(v, "none", ""), 0);
}

static void rendered(struct ipk_buf *out, const char *want)
{
	ipk_buf_add(out, "", 1);
	assert_string_equal(out->data, want);
	ipk_buf_free(out);
}

static void fields_are_lines_of_text_or_one_json_object(void **state)
{
	struct ipk_buf out = {0};
	struct ipk_render r;

	(void)state;
	ipk_buf_str(&out, "before ");
	ipk_render_begin(&r, &out, 0);
	visit(&r.visitor);
	ipk_render_end(&r);
	rendered(&out, "before used 18446744073709551615\ndelta -9223372036854775808\nclosed true\n"
		       "full false\ncomm a \"b\"\\x0a\\x1b[1m\xc3\xa4\nother \xff\nnone \n");

	ipk_render_begin(&r, &out, IPK_RENDER_JSON);
	visit(&r.visitor);
	ipk_render_end(&r);
	rendered(&out,
		 "{\"v\":1,\"used\":18446744073709551615,\"delta\":-9223372036854775808,"
		 "\"closed\":true,\"full\":false,\"comm\":\"a \\\"b\\\"\\n\\u001b[1m\xc3\xa4\","
		 "\"other\":{\"$hex\":\"ff\"},\"none\":\"\"}");

	ipk_render_begin(&r, &out, IPK_RENDER_JSON | IPK_RENDER_BARE);
	r.visitor.u64(&r.visitor, "a", 1);
	r.visitor.u64(&r.visitor, "b", 2);
	ipk_render_end(&r);
	rendered(&out, "{\"a\":1,\"b\":2}");

	ipk_render_begin(&r, &out, IPK_RENDER_JSON | IPK_RENDER_BARE);
	ipk_render_end(&r);
	rendered(&out, "{}");
}

static void an_item_is_a_value_a_pair_or_a_record(void **state)
{
	static const struct ipk_type str = {.base = IPK_STR, .align = 1};
	static const struct ipk_type u16_type = {.base = IPK_U16, .size = 2, .unit = 2, .align = 2};
	u16 n = 513;
	struct ipk_item item = {.data = &n, .len = 2, .pos = 7};
	struct ipk_buf out = {0};

	(void)state;
	assert_int_equal(ipk_render_item(&out, &item, &u16_type, NULL, 0), 0);
	rendered(&out, "513");
	assert_int_equal(ipk_render_item(&out, &item, &u16_type, NULL, IPK_RENDER_JSON), 0);
	rendered(&out, "513");
	assert_int_equal(ipk_render_item(&out, &item, &u16_type, NULL, IPK_RENDER_META), 0);
	rendered(&out, "{\"v\":1,\"pos\":7,\"value\":513}");
	item.redelivered = 2;
	item.leased = true;
	item.key = "a\"";
	item.key_len = 2;
	assert_int_equal(ipk_render_item(&out, &item, &u16_type, &str, IPK_RENDER_META), 0);
	rendered(&out, "{\"v\":1,\"pos\":7,\"key\":\"a\\\"\",\"value\":513,\"redelivered\":true,"
		       "\"leased\":true}");
	assert_int_equal(ipk_render_item(&out, &item, &u16_type, &str, IPK_RENDER_JSON), 0);
	rendered(&out, "{\"key\":\"a\\\"\",\"value\":513}");
	assert_int_equal(ipk_render_item(&out, &item, &u16_type, &str, 0), 0);
	rendered(&out, "a\"\t513");
}

static void bytes_that_are_not_of_their_type_are_shown_and_told(void **state)
{
	static const struct ipk_type json = {.base = IPK_JSON, .align = 1};
	static const struct ipk_type u16_type = {.base = IPK_U16, .size = 2, .unit = 2, .align = 2};
	struct ipk_item item = {.data = "{x", .len = 2, .key = "abc", .key_len = 3};
	struct ipk_buf out = {0};

	(void)state;
	assert_int_equal(ipk_render_item(&out, &item, &json, &u16_type, IPK_RENDER_JSON), -EBADMSG);
	rendered(&out, "{\"key\":{\"$hex\":\"616263\"},\"value\":{\"$hex\":\"7b78\"}}");
	assert_int_equal(ipk_render_item(&out, &item, &json, &u16_type, 0), -EBADMSG);
	rendered(&out, "{\"$hex\":\"616263\"}\t{\"$hex\":\"7b78\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_lines_of_text_or_one_json_object),
		cmocka_unit_test(an_item_is_a_value_a_pair_or_a_record),
		cmocka_unit_test(bytes_that_are_not_of_their_type_are_shown_and_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
