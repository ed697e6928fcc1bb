#!/usr/bin/env bats
# Somebody with permission to write destroys a segment that is mounted: reading the tree gives errors and odd data,
# it neither ends the mount nor stops it. IPK_TEST_LONG=1 looks for longer.
load helper

looks=5
[ "${IPK_TEST_LONG:-0}" = 0 ] || looks=60

# scribbling [keep]: somebody writes into S
scribbling() {
	cp "$IPK_DIR/S.ipk" whole
	"$BUILD/tests/scribble" "$IPK_DIR/S.ipk" 4711 "$@" >scribbled 2>&1 3>&- &
	scribbler=$!
	pids+=("$scribbler")
	until_true grep -q ready scribbled
}

# ends COMMAND...: in time, with whatever status
ends() {
	local status=0
	timeout -k 5 100 "$@" >/dev/null 2>&1 3>&- || status=$?
	if [ "$status" -ge 124 ]; then
		echo "$*: status $status"
		return 1
	fi
}

serves_on() {
	kill -TERM "$scribbler"
	wait "$scribbler"
	kill -0 "$server"
	is queue cat "$M/S/queue/kind"
	equal "$(find "$M/S" -type f | wc -l)" "$files"
	if grep -aE 'Sanitizer|runtime error:' served; then
		return 1
	fi
}

@test "a mounted segment is destroyed while its tree is read" {
	ipcctl new -P T/q queue
	"$BUILD/tests/fill" "$IPK_DIR/S.ipk"
	serve
	files=$(find "$M/S" -type f | wc -l)
	scribbling
	for ((look = 0; look < looks; look++)); do
		ends ls -lR "$M"
		ends find "$M/S" -type f -exec cat {} +
		ends grep -r needle "$M/S"
		ends tar cf tree.tar -C "$M" S
		ends du -a "$M"
		is queue cat "$M/T/q/kind"
	done
	serves_on
	cmp "$IPK_DIR/S.ipk" whole
}

@test "a segment that is emptied under a process that waits in the mount ends its wait, not the mount" {
	ipcctl new -P S/q queue
	ipcctl new -P T/q queue
	serve --rw
	background cat "$M/S/q/.wait/pop"
	until_true has_waiter q
	truncate -s 0 "$IPK_DIR/S.ipk"
	until_true ended "$pid"
	is queue cat "$M/T/q/kind"
	echo one >"$M/T/q/push"
	is one ipcctl pop T/q
}
