#!/usr/bin/env bats
# push pop peek lease drain close dump load on stacks
load common

@test "the newest comes first, and peek leaves it" {
	ipcctl new -P S/x stack
	ipcctl push S/x one two three
	prints three ipcctl peek S/x
	prints 'three
two' ipcctl peek S/x -n 2
	prints 'three
two' ipcctl pop S/x -n 2
	ipcctl push S/x four
	prints 'four
one' ipcctl drain S/x
	fails 5 ipcctl pop S/x -t 0
	says empty
	fails 5 ipcctl peek S/x
	fails 124 ipcctl pop S/x -t 20ms
	[ "$(field S/x pushed)" = 4 ] && [ "$(field S/x popped)" = 4 ]
}

@test "a full stack says how many went in" {
	ipcctl new -P S/x stack --type u32 --cap 3
	fails 5 ipcctl push S/x -t 0 1 2 3 4 5
	says '3 of 5 went in'
	fails 6 ipcctl push S/x x
	prints 3 ipcctl pop S/x
	fails 6 ipcctl push S/x 1 x
	[ "$(field S/x used)" = 2 ]
	run -5 --separate-stderr ipcctl pop S/x -t 0 -n 3
	[ "$output" = $'2\n1' ]
	[[ $stderr == *'empty after 2'* ]]
}

@test "positions count from the bottom" {
	ipcctl new -P S/x stack
	ipcctl push S/x a b c
	prints a ipcctl get S/x/0
	prints 'b
c' ipcctl get S/x/1..3
	fails 3 ipcctl get S/x/3
	prints '{"v":1,"pos":2,"value":"c"}' ipcctl peek S/x --meta
	ipcctl pop S/x
	ipcctl push S/x d
	prints d ipcctl get S/x/2
}

@test "what a command refuses is on top again, marked" {
	ipcctl new -P S/x stack
	ipcctl push S/x a b
	run -3 ipcctl lease S/x -- sh -c 'cat; exit 3'
	[ "$output" = b ]
	[ "$(ipcctl peek S/x --meta | jq -c '[.value, .redelivered]')" = '["b",true]' ]
	prints b ipcctl lease S/x -- cat
	prints a ipcctl pop S/x
	[ "$(field S/x redelivered)" = 1 ]
}

@test "what was popped and not delivered goes back" {
	ipcctl new -P S/x stack
	seq 1000 | ipcctl push S/x -
	run bash -c 'ipcctl pop S/x -n 1000 >/dev/full'
	[ "$status" -ne 0 ]
	[ "$(field S/x used)" = 1000 ]
	[ "$(ipcctl drain S/x | md5sum)" = "$(seq 1000 -1 1 | md5sum)" ]
}

@test "a killed command's value is on top again" {
	ipcctl new -P S/x stack
	ipcctl push S/x a b
	background ipcctl lease S/x -- sh -c 'echo >there; exec sleep 1000'
	until_true test -e there
	child_of "$pid"
	[ "$(field S/x leased)" = 1 ] && [ "$(field S/x used)" = 2 ]
	ipcctl who S/x | grep -qw "$pid.*lease"
	ipcctl dump S/x | tail -1 | grep -qx '"b"'
	kill -9 "$pid"
	wait "$pid" || true
	prints b ipcctl pop S/x -t 60s
	prints a ipcctl pop S/x -t 0
}

@test "a waiting pop gets what is pushed, and the end" {
	ipcctl new -P S/x stack
	background ipcctl pop S/x --follow
	until_true eval '[ "$(field S/x waiters)" = 1 ]'
	ipcctl push S/x hello
	until_true grep -qx hello out
	ipcctl close S/x
	ends "$pid" 0
	fails 10 ipcctl push S/x more
	fails 10 ipcctl pop S/x
}

@test "a dump is loaded again as it was, whatever the values" {
	ipcctl new -P S/x stack --type bytes --cap 7
	ipcctl push S/x '' 'a b' "$(head -c 3000 /dev/zero | tr '\0' x)"
	printf 'one\0two\n' | ipcctl push S/x -r -
	ipcctl dump S/x >dump
	ipcctl load S/y <dump
	ipcctl dump S/y | sed 's/"dump":"y"/"dump":"x"/' | cmp - dump
	ipcctl cp S/x S/z
	cmp <(ipcctl drain S/x -r | md5sum) <(ipcctl drain S/z -r | md5sum)
	ipcctl fsck S
}
