#!/usr/bin/env bats
# Lazy values in the mount: value is empty until it is computed, and nothing there computes it by a command.
load helper

@test "value is empty until it is computed, and .wait/value waits for it" {
	ipcctl new -P S/l lazy --type i32 --command 'echo 42'
	serve
	is 'cap ctl health holders kind stats type used value waiters ' \
		sh -c 'ls "$1" | tr "\n" " "' - "$M/S/l"
	is '' cat "$M/S/l/value"
	is 'command echo 42' grep command "$M/S/l/stats"
	background head -n 1 "$M/S/l/.wait/value"
	ipcctl force S/l
	until_true grep -qx 42 out
	is 42 cat "$M/S/l/value"
	is 1 cat "$M/S/l/used"
	is 'state ready' grep state "$M/S/l/stats"
	refuses 'Read-only' bash -c 'echo 1 >"$1"' - "$M/S/l/value"
}

@test "no command is run there" {
	ipcctl new -P S/l lazy --command 'touch ran; echo v'
	serve --rw
	refuses 'not supported' cat "$M/S/l/.wait/force"
	[ ! -e ran ]
	is '' cat "$M/S/l/value"
}

@test "a value that is written is given, and ctl resets" {
	ipcctl new -P S/l lazy --type i32
	serve --rw
	refuses 'Invalid argument' bash -c 'echo abc >"$1"' - "$M/S/l/value"
	is '' bash -c 'echo 7 >"$1"' - "$M/S/l/value"
	is 7 ipcctl peek S/l
	is 7 head -n 1 "$M/S/l/.wait/force"
	is '' bash -c 'echo reset >"$1"' - "$M/S/l/ctl"
	is '' cat "$M/S/l/value"
	[ "$(ipcctl show -j S/l | grep -o '"state":"[a-z]*"')" = '"state":"empty"' ]
}
