/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "ipk/kind.h"

static void same(const char *got, const char *want)
{
	assert_true(!got == !want);
	if (want)
		assert_string_equal(got, want);
}

static void is(const char *text, const char *segment, const char *object, const char *key)
{
	struct ipk_error err = {0};
	struct ipk_ref ref;

	if (ipk_ref_parse(text, &ref, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	same(ref.segment, segment);
	same(ref.object, object);
	same(ref.key, key);
	assert_int_equal(ref.key_len, key ? strlen(key) : 0);
	ipk_ref_free(&ref);
	assert_null(ref.segment);
}

static void refused(const char *text, const char *message)
{
	struct ipk_ref ref = {.key_len = 77};
	struct ipk_error err = {0};

	assert_int_equal(ipk_ref_parse(text, &ref, &err), -EINVAL);
	assert_int_equal(ref.key_len, 77);
	if (strcmp(err.text, message) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", text, err.text, message);
}

static void a_name_is_split_at_its_first_two_slashes(void **state)
{
	(void)state;
	is("trading", "trading", NULL, NULL);
	is("trading/orders", "trading", "orders", NULL);
	is("trading/orders/", "trading", "orders", "");
	is("trading/orders/7", "trading", "orders", "7");
	is("trading/map/a/b//c/", "trading", "map", "a/b//c/");
	is("trading/map/ \n\xff%", "trading", "map", " \n\xff%");
	is("_a.b-c/0", "_a.b-c", "0", NULL);
	is("x.ipk/y", "x.ipk", "y", NULL);
	is("info/README", "info", "README", NULL);
	is("a23456789012345678901234567890123456789012345678901234567890123/b",
	   "a23456789012345678901234567890123456789012345678901234567890123", "b", NULL);
}

static void a_name_against_the_rules_says_which(void **state)
{
	(void)state;
	refused("", "the segment's name is empty");
	refused("trading/", "the object's name is empty");
	refused("trading//7", "the object's name is empty");
	refused(".hidden", "segment name \".hidden\" must begin with a letter, a digit or _");
	refused("-x/y", "segment name \"-x\" must begin with a letter, a digit or _");
	refused("..", "segment name \"..\" must begin with a letter, a digit or _");
	refused("a b", "segment name \"a b\" may hold letters, digits and . _ - alone");
	refused("a/\x1b[31m", "object name \"?[31m\" may hold letters, digits and . _ - alone");
	refused("a/b\xc3\xa4",
		"object name \"b\xc3\xa4\" may hold letters, digits and . _ - alone");
	refused("~x", "segment name \"~x\" may hold letters, digits and . _ - alone");
	refused("README", "segment name \"README\" is reserved");
	refused("version/x", "segment name \"version\" is reserved");
	refused("by-pid", "segment name \"by-pid\" is reserved");
	refused("a/info", "object name \"info\" is reserved");
	refused("a/participants/7", "object name \"participants\" is reserved");
	refused("a234567890123456789012345678901234567890123456789012345678901234",
		"segment name \"a234567890123456789012345678901234567890123456789012345678901234\" "
		"is longer than "
		"63 characters");
}

static char dir[] = "/tmp/ipk-ref-XXXXXX";
static char old[64]; /* a directory that is called like a segment */

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(old, sizeof(old), "%s/old.ipk", dir);
	return mkdir(old, 0700);
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(old) | rmdir(dir);
}

static void a_path_ends_at_the_first_ipk_that_is_no_directory(void **state)
{
	char path[96], ref[160];

	(void)state;
	snprintf(ref, sizeof(ref), "%s/new.ipk/jobs/k/x.ipk", dir); /* does not exist yet */
	snprintf(path, sizeof(path), "%s/new.ipk", dir);
	is(ref, path, "jobs", "k/x.ipk");
	snprintf(ref, sizeof(ref), "%s/a.ipk/b", old);
	snprintf(path, sizeof(path), "%s/a.ipk", old);
	is(ref, path, "b", NULL);
	snprintf(ref, sizeof(ref),
		 "\"%s\" names no segment file: one of its parts must end in .ipk", old);
	refused(old, ref);
	is("./ring.ipk/jobs", "./ring.ipk", "jobs", NULL);
	is("../ring.ipk", "../ring.ipk", NULL, NULL);
	refused("/a.ipk//", "the object's name is empty");
}

static void a_descriptor_in_proc_is_a_segment(void **state)
{
	(void)state;
	is("/proc/4711/fd/3", "/proc/4711/fd/3", NULL, NULL);
	is("/proc/4711/fd/3/jobs/7", "/proc/4711/fd/3", "jobs", "7");
	is("/proc/self/fd/12/x", "/proc/self/fd/12", "x", NULL);
	refused("/proc/4711/fd/",
		"\"/proc/4711/fd/\" names no segment file: one of its parts must end in .ipk");
	refused("/proc/x/fd/3",
		"\"/proc/x/fd/3\" names no segment file: one of its parts must end in .ipk");
	refused("/proc/1/fd/3x",
		"\"/proc/1/fd/3x\" names no segment file: one of its parts must end in .ipk");
	is("/proc/1/root/tmp/a.ipk/b", "/proc/1/root/tmp/a.ipk", "b", NULL);
}

static void a_path_without_ipk_names_no_segment(void **state)
{
	(void)state;
	refused("/", "\"/\" names no segment file: one of its parts must end in .ipk");
	refused("./", "\"./\" names no segment file: one of its parts must end in .ipk");
	refused("/dev/shm/x",
		"\"/dev/shm/x\" names no segment file: one of its parts must end in .ipk");
	refused("./a.ipkx",
		"\"./a.ipkx\" names no segment file: one of its parts must end in .ipk");
	refused("/tmp/a.ipk/b c", "object name \"b c\" may hold letters, digits and . _ - alone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_split_at_its_first_two_slashes),
		cmocka_unit_test(a_name_against_the_rules_says_which),
		cmocka_unit_test_setup_teardown(a_path_ends_at_the_first_ipk_that_is_no_directory,
						make_directory, remove_directory),
		cmocka_unit_test(a_descriptor_in_proc_is_a_segment),
		cmocka_unit_test(a_path_without_ipk_names_no_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
