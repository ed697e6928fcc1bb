#!/usr/bin/env bats
# What a C or C++ programmer gets: headers, library, pkg-config and manual as they are installed.
load common

# Into a directory of its own; flags and libs are what pkg-config says, lib is the library.
installed() {
	local pc
	meson install -C "$BUILD" --no-rebuild --quiet --destdir "$PWD/root" >/dev/null
	pc=$(find root -name ipk.pc)
	export PKG_CONFIG_SYSROOT_DIR=$PWD/root PKG_CONFIG_LIBDIR=$PWD/${pc%/*}
	read -ra flags < <(pkg-config --cflags ipk)
	read -ra libs < <(pkg-config --libs ipk)
	lib=$(find "$PWD/root" -name libipk.so)
}

@test "each header stands by itself, in C and in C++, without a warning" {
	local header compiler level
	installed
	for header in root/usr/local/include/ipk/*.h; do
		# shellcheck disable=SC2086 # words
		for compiler in 'gcc -x c -std=c17 -Wconversion' 'clang -x c -std=c17 -Wconversion' \
			'g++ -x c++ -std=c++17' 'clang++ -x c++ -std=c++17'; do
			for level in -O0 -O2; do
				echo "#include <ipk/${header##*/}>" |
					$compiler $level -Wall -Wextra -Wpedantic -Werror -fsyntax-only "${flags[@]}" -
			done
		done
	done
}

@test "a program in C++ says what it wants of a segment and of a ring" {
	installed
	cat >program.cc <<-'END'
		#include <ipk/queue.h>
		#include <ipk/ring.h>

		int main()
		{
			struct ipk_segment_options of_segment = IPK_SEGMENT_OPTIONS_INIT;
			struct ipk_ring_options of_ring = IPK_RING_OPTIONS_INIT;
			struct ipk_segment *seg;
			struct ipk_queue *queue;
			struct ipk_ring *ring;
			uint64_t in = 7, out = 0, much = 0;

			of_segment.size = 1 << 20;
			of_ring.type = "u64";
			if (of_segment.group != -1 || ipk_segment_create("s", &of_segment, &seg, nullptr) ||
			    ipk_queue_create(seg, "q", "u64", 4, nullptr) ||
			    ipk_queue_open(seg, "q", "u64", &queue, nullptr) ||
			    ipk_ring_create(seg, "r", &of_ring, nullptr) ||
			    ipk_ring_open(seg, "r", "u64", &ring, nullptr))
				return 1;
			if (ipk_queue_push(queue, &in, sizeof(in), IPK_NOWAIT) ||
			    ipk_queue_pop(queue, &much, sizeof(much), nullptr, IPK_NOWAIT) ||
			    ipk_ring_push(ring, &much, sizeof(much), IPK_NOWAIT) ||
			    ipk_ring_pop(ring, &out, sizeof(out), nullptr, IPK_NOWAIT))
				return 2;
			ipk_ring_close(ring);
			ipk_queue_close(queue);
			ipk_segment_close(seg);
			return out == 7 ? 0 : 3;
		}
	END
	for level in -O0 -O2; do
		g++ -std=c++17 $level -Wall -Wextra -Wpedantic -Werror program.cc -o program "${flags[@]}" "${libs[@]}"
		LD_LIBRARY_PATH=${lib%/*} ./program
		rm "$IPK_DIR"/s.ipk
	done
}

@test "the examples are built by what is installed, also statically" {
	local source linked
	installed
	for source in "$BATS_TEST_DIRNAME"/../../examples/*.c; do
		gcc -Wall -Wextra -Wconversion -Wno-sign-conversion -Werror -O2 "$source" -o example "${flags[@]}" \
			"${libs[@]}"
	done
	read -ra linked < <(pkg-config --static --cflags --libs ipk)
	rm "$lib"*
	gcc "$BATS_TEST_DIRNAME/../../examples/prime.c" -o example "${linked[@]}"
	run -0 ./example 100
	[ "${lines[3]}" = 292681 ]
}

@test "what the manual shows can be compiled" {
	installed
	{
		printf '#include <ipk/%s.h>\n' segment queue mutex
		echo 'void work(const void *data, uint64_t len, uint32_t again); void mend(void); void change(void);'
		echo 'void consumer(void); void owner(struct ipk_mutex *mutex, int r);'
		echo 'void consumer(void) {'
		sed -n '/^A consumer/,/^A mutex/{/^\.Bd/,/^\.Ed/{/^\./d;p}}' root/usr/local/share/man/man3/ipk.3
		echo '} void owner(struct ipk_mutex *mutex, int r) {'
		sed -n '/^A mutex/,/^Whole/{/^\.Bd/,/^\.Ed/{/^\./d;p}}' root/usr/local/share/man/man3/ipk.3
		echo '}'
	} >manual.c
	[ "$(grep -c ipk_ manual.c)" -ge 10 ]
	gcc -Wall -Wextra -Werror -O2 -c manual.c "${flags[@]}"
}

@test "the library exports what its headers declare, and nothing else" {
	installed
	nm -D --defined-only "$lib" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >exported
	[ -s exported ]
	nm -g --defined-only "${lib%so}a" 2>/dev/null | awk 'NF == 3 { print $3 }' >static
	[ -s static ]
	run ! grep -v '^ipk_' exported static
	while read -r name; do
		grep -qw "$name" root/usr/local/include/ipk/*.h || { echo "$name: in no header"; return 1; }
	done <exported
}
