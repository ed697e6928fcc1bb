#!/usr/bin/env bats
# Futures in the mount: value is empty until there is one, and setting is writing.
load helper

@test "value is empty until the future is set, and .wait/value waits for it" {
	ipcctl new -P S/f future --type i32
	serve
	is 'cap ctl health holders kind stats type used value waiters ' \
		sh -c 'ls "$1" | tr "\n" " "' - "$M/S/f"
	is '' cat "$M/S/f/value"
	equal "$(stat -c %s "$M/S/f/value")" 0
	background head -n 1 "$M/S/f/.wait/value"
	ipcctl set S/f 42
	until_true grep -qx 42 out
	is 42 cat "$M/S/f/value"
	is 1 cat "$M/S/f/used"
	is 'state set' grep state "$M/S/f/stats"
	ipcctl reset S/f
	ipcctl fail S/f why
	is '' cat "$M/S/f/value"
	is 'state failed' grep state "$M/S/f/stats"
}

@test "a value that is written sets it, and only once" {
	ipcctl new -P S/f future --type i32
	serve --rw
	refuses 'Invalid argument' bash -c 'echo abc >"$1"' - "$M/S/f/value"
	is '' bash -c 'echo 7 >"$1"' - "$M/S/f/value"
	is 7 ipcctl get S/f
	is '' bash -c 'echo 8 >"$1"' - "$M/S/f/value"
	is 7 ipcctl get S/f
	is '' bash -c 'echo reset >"$1"' - "$M/S/f/ctl"
	is '' bash -c 'echo 8 >"$1"' - "$M/S/f/value"
	is 8 cat "$M/S/f/value"
	py <<-'PY'
	import errno, os
	fd = os.open(os.environ['M'] + '/S/f/value', os.O_WRONLY | os.O_TRUNC)
	os.write(fd, b'9')
	try: os.close(fd)
	except OSError as e: assert e.errno == errno.EEXIST, e
	else: assert False, 'close said nothing'
	PY
}
