#!/usr/bin/env bats
# Somebody with permission to write destroys a segment while it is looked at: errors and odd data are fine, a crash
# or a hang is not. IPK_TEST_LONG=1 looks for longer.
load common

looks=2
[ "${IPK_TEST_LONG:-0}" = 0 ] || looks=60

# scribbling [keep]: S, which holds something of each kind, and who writes into it
scribbling() {
	"$BUILD/tests/fill" "$IPK_DIR/S.ipk"
	cp "$IPK_DIR/S.ipk" whole
	"$BUILD/tests/scribble" "$IPK_DIR/S.ipk" 4711 "$@" >scribbled 2>&1 3>&- &
	scribbler=$!
	pids+=("$scribbler")
	until_true grep -q ready scribbled
}

# whole_again: who scribbled has ended; he saw to it that the segment is whole, and nobody else wrote
whole_again() {
	kill -TERM "$scribbler"
	wait "$scribbler"
	cmp "$IPK_DIR/S.ipk" whole
	prints '' ipcctl fsck S
}

# survives COMMAND...: ends by itself, in time and not by a signal
survives() {
	local status=0
	timeout -k 5 100 "$@" >out 2>err 3>&- || status=$?
	if [ "$status" -ge 124 ] || grep -aE 'Sanitizer|runtime error:' err; then
		echo "$*: status $status"
		tail -n 40 err
		return 1
	fi
}

look_at_all() {
	local kind
	printf '%s S\n' ls 'ls -l' 'ls -j' tree show 'show -j' who 'who -j' fsck 'fsck -j' stat dump hexdump
	for kind in $(ipcctl schema | jq -r '.kinds[].name'); do
		printf "%s S/$kind\n" show 'show -j' ls get 'get -j' peek dump who stat hexdump keys fsck
		printf "get S/$kind/%s\n" 0 7 1..3 key5
	done
}

@test "who looks while a segment is destroyed gets an error or something" {
	look_at_all >commands
	scribbling
	for ((look = 0; look < looks; look++)); do
		survives ipcctl batch commands
	done
	whole_again
}

@test "so does who begins to look meanwhile" {
	scribbling
	for ((look = 0; look < 2 * looks; look++)); do
		for verb in ls tree show who fsck stat hexdump; do
			survives ipcctl "$verb" S
			survives ipcctl "$verb" S/map
		done
		survives ipcctl dump S/stream
		survives ipcctl cp S "T$look"
		rm -f "$IPK_DIR/T$look.ipk"
	done
	whole_again
}

@test "who waits in a segment that is emptied is told" {
	ipcctl new -P S/q queue
	background ipcctl pop S/q
	until_true eval '[ "$(field S/q waiters)" = 1 ]'
	truncate -s 0 "$IPK_DIR/S.ipk"
	ends "$pid" 3
	grep removed err
}
