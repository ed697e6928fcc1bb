#!/usr/bin/env bats
# The programs under examples/, in shell and in C, run as they stand, say what they should, and leave nothing behind.
load common

# both PROGRAM WORD...: runs the one in shell and the one in C, whose output is to be the same; it is in $output
both() {
	local program=$1 shell
	shift
	run -0 "$BATS_TEST_DIRNAME/../../examples/$program" "$@"
	shell=$output
	run -0 "$BUILD/examples/$program" "$@"
	[ "$output" = "$shell" ] || { printf 'shell:\n%s\nC:\n%s\n' "$shell" "$output"; return 1; }
	[ -z "$(ls "$IPK_DIR")" ]
}

@test "philosophers eat, though one is killed with a fork in his hand" {
	both philosophers 4 2
	[ "$output" = $'meals: 2\nmeals: 2\nmeals: 2\nmeals: 2' ]
}

@test "workers take each job once" {
	both workers 3 8
	[ "$output" = "$(for i in {1..8}; do echo $((i * i)); done)" ]
}

@test "what is fanned out comes together" {
	both fan 5
	[ "$output" = "$(for f in 1 10 100; do seq "$f" "$f" $((5 * f)); done | sort -n)" ]
}

@test "a simulation goes in steps" {
	both steps 8 3
	[ "$output" = $'0 0 0 0 1 0 0 0\n0 0 0 1 0 1 0 0\n0 0 1 0 0 0 1 0\n0 1 0 1 0 1 0 1' ]
}

@test "what is derived from two sensors is whole, though the runner is killed" {
	both temperatures 30
	[ "$output" = $'21.5\n24.5\n21.5\n24.5\n21.5\n24.5' ]
}

@test "a value that several want is computed once for all, though who computes it is killed" {
	both prime 100
	[ "$output" = $'541\n541\n541\n292681' ]
}

@test "the examples in C refuse what makes no sense, and leave nothing behind" {
	local program
	for program in philosophers workers fan steps temperatures prime; do
		run -1 "$BUILD/examples/$program" 0
		[ -n "$output" ]
		[ -z "$(ls "$IPK_DIR")" ]
	done
}
