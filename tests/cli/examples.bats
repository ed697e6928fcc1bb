#!/usr/bin/env bats
# The programs under examples/ run as they stand, say what they should, and leave nothing behind.
load common

examples=$BATS_TEST_DIRNAME/../../examples

@test "philosophers eat, though one is killed with a fork in his hand" {
	run -0 "$examples/philosophers" 4 2
	[ "$(grep -c '^meals: 2$' <<<"$output")" -eq 4 ]
	[ -z "$(ls "$IPK_DIR")" ]
}

@test "workers take each job once" {
	[ "$("$examples/workers" 3 8)" = "$(for i in {1..8}; do echo $((i * i)); done)" ]
	[ -z "$(ls "$IPK_DIR")" ]
}

@test "what is fanned out comes together" {
	[ "$("$examples/fan" 5)" = "$(for f in 1 10 100; do seq "$f" "$f" $((5 * f)); done | sort -n)" ]
	[ -z "$(ls "$IPK_DIR")" ]
}

@test "a simulation goes in steps" {
	[ "$("$examples/steps" 8 3)" = $'0 0 0 0 1 0 0 0\n0 0 0 1 0 1 0 0\n0 0 1 0 0 0 1 0\n0 1 0 1 0 1 0 1' ]
	[ -z "$(ls "$IPK_DIR")" ]
}
