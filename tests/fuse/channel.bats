#!/usr/bin/env bats
# Channels in the mount.
load helper

@test "a channel shows what is in its buffer" {
	ipcctl new -P S/c channel --cap 4
	ipcctl send S/c one two three
	ipcctl recv S/c
	serve
	is 'all.json cap ctl health holders items kind push stats type used waiters ' \
		sh -c 'ls "$1" | tr "\n" " "' - "$M/S/c"
	is '2' cat "$M/S/c/used"
	is '1
2' ls "$M/S/c/items"
	is two cat "$M/S/c/items/1"
	is '"two"
"three"' cat "$M/S/c/all.json"
	is 'sent 3' grep sent "$M/S/c/stats"
}

@test "what is written to push is sent, and .wait/recv receives" {
	ipcctl new -P S/c channel --cap 0 --type u8
	serve --rw
	background head -n 1 "$M/S/c/.wait/recv"
	until_true ipcctl wait S/c --for 'receivers=1' -t 60s
	is '' bash -c 'echo 7 >"$1"' - "$M/S/c/push"
	until_true grep -qx 7 out
	refuses 'Invalid argument' bash -c 'echo abc >"$1"' - "$M/S/c/push"
	is '' bash -c 'echo close >"$1"' - "$M/S/c/ctl"
	is 'closed true' grep closed "$M/S/c/stats"
	is '' cat "$M/S/c/.wait/recv"
}
