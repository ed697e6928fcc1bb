#!/usr/bin/env bats
# fsck --repair, --undo, and what gc makes of the bytes that are saved
load common

# poke OFFSET BYTES...: hexadecimal bytes into the segment S
poke() {
	local at=$1
	shift
	printf "$(printf '\\x%s' "$@")" | dd of="$IPK_DIR/S.ipk" bs=1 seek="$at" conv=notrunc status=none
}

# A queue and a map, and a header whose count of used bytes is wrong.
damaged() {
	ipcctl new -P S/q queue
	ipcctl push S/q a b c
	ipcctl new S/m map
	ipcctl set S/m/k v
	poke 104 01 00 00 00
	cp "$IPK_DIR/S.ipk" bad
	run -1 --separate-stderr ipcctl fsck S
}

@test "a repair says what it did, is silent afterwards, and can be taken back" {
	damaged
	run -0 --separate-stderr ipcctl fsck S --repair
	[[ $output == 'repaired pages: page table and free lists are made anew'* ]]
	prints '' ipcctl fsck S
	prints '' ipcctl fsck S --repair
	[ "$(stat -c %a "$IPK_DIR/S.ipk.undo")" = 600 ]
	prints v ipcctl get S/m/k
	prints '' ipcctl fsck S --undo
	cmp "$IPK_DIR/S.ipk" bad
	[ ! -e "$IPK_DIR/S.ipk.undo" ]
	fails 3 ipcctl fsck S --undo
	[[ $line == *'no repair to take back'* ]]
}

@test "a dry run changes nothing" {
	damaged
	run -0 --separate-stderr ipcctl fsck S --repair --dry-run
	[[ $output == 'would repair pages: '* ]]
	cmp "$IPK_DIR/S.ipk" bad
	[ ! -e "$IPK_DIR/S.ipk.undo" ]
	run -0 --separate-stderr ipcctl fsck S --repair -j
	[ "$(jq -c '[.v, .where, .repaired]' <<<"$output")" = '[1,"pages",true]' ]
	prints '' ipcctl fsck S --undo --dry-run
	[ -e "$IPK_DIR/S.ipk.undo" ]
}

@test "a repair is refused while somebody is attached, and where there is nothing to guess" {
	damaged
	ipcctl fsck S --repair
	background ipcctl lease S/q -- sleep 60
	until_true ipcctl wait S/q --for 'leased=1' -t 60s
	poke 104 01 00 00 00
	fails 5 ipcctl fsck S --repair
	[[ $line == *"in use by pid $pid (ipcctl)"* ]]
	fails 5 ipcctl fsck S --undo
	head -c 8192 /dev/urandom >junk.ipk
	fails 7 ipcctl fsck ./junk.ipk --repair
	fails 3 ipcctl fsck none --repair
	fails 2 ipcctl fsck S/q --repair
	fails 2 ipcctl fsck S --repair --undo
	fails 2 ipcctl fsck S --dry-run
}

@test "what has been changed since is not taken back" {
	damaged
	ipcctl fsck S --repair
	ipcctl new S/other array
	fails 4 ipcctl fsck S --undo
	prints '' ipcctl fsck S
}

@test "what cannot be mended is named and exits 1" {
	ipcctl new -P S/q queue
	ipcctl new S/a array
	# the kind of the first object
	at=$(grep -abo iobj "$IPK_DIR/S.ipk" | head -1 | cut -d: -f1)
	poke $((at + 4)) 63 00
	poke 104 01 00 00 00
	run -1 --separate-stderr ipcctl fsck S --repair
	[[ $output == *'repaired pages: '* ]]
	[[ $output == *'it is of kind 99, version 2, which this program cannot check'* ]]
	[[ $output != *'used is'* ]]
}

@test "saved bytes are no segment, and go with theirs" {
	damaged
	ipcctl fsck S --repair
	prints S bash -c 'ipcctl ls --noheadings -o NAME'
	prints '' ipcctl gc
	[ -e "$IPK_DIR/S.ipk.undo" ]
	ipcctl rm S
	prints "would remove $IPK_DIR/S.ipk.undo" ipcctl gc --dry-run
	prints "removed $IPK_DIR/S.ipk.undo" ipcctl gc
	[ ! -e "$IPK_DIR/S.ipk.undo" ]
}

@test "a segment at a path is repaired where it lies" {
	damaged
	cp bad there.ipk
	run -0 --separate-stderr ipcctl fsck ./there.ipk --repair
	[ -e there.ipk.undo ]
	prints '' ipcctl fsck ./there.ipk
	prints '' ipcctl fsck ./there.ipk --undo
	cmp there.ipk bad
}
