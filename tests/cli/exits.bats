#!/usr/bin/env bats
# Each row of the table of exit statuses, and what leads there.
load common

@test "exit 0: done" {
	ipcctl new -P S/q queue
}

@test "exit 1: a negative answer" {
	ipcctl new -P S/m map
	run ipcctl has S/m k
	[ "$status" -eq 1 ] && [ "$output" = false ]
}

@test "exit 2: usage" {
	fails 2 ipcctl get
	fails 2 ipcctl get 'S/a b'
	fails 2 ipcctl get .hidden/x
	# what runs a command and got none; what cannot be read from
	ipcctl new -P S/m mutex
	ipcctl new S/o once
	ipcctl new S/q queue
	ipcctl new S/f future
	fails 2 ipcctl lock S/m
	fails 2 ipcctl lock S/o
	fails 2 ipcctl claim S/f
	fails 2 ipcctl lease S/q -n 0
	fails 2 bash -c 'ipcctl push S/q - <&-' # bats' own pipe would take the number
	fails 2 ipcctl push S/q - </
	fails 2 ipcctl push S/q - 0>written
	fails 2 ipcctl load S/q </
	ipcctl new S/p map
	fails 2 ipcctl set S/p/x --value-file /
	fails 2 ipcctl batch /
}

@test "exit 3: no such segment, object or key, or out of bounds" {
	fails 3 ipcctl show S
	fails 3 ipcctl rm S
	ipcctl new S
	fails 3 ipcctl show S/x
	fails 3 ipcctl rm S/x
	ipcctl new S/m map
	fails 3 ipcctl get S/m/k
	fails 3 ipcctl del S/m/k
	fails 3 ipcctl rm S/m/k
	ipcctl new S/a array --cap 3
	fails 3 ipcctl get S/a/3
	fails 3 ipcctl get S/a/2..4
	fails 3 ipcctl get S/a/18446744073709551615
	fails 3 ipcctl get S/a/99999999999999999999999
	fails 3 ipcctl set S/a/3 1
}

@test "exit 4: exists, or a comparison failed" {
	ipcctl new S
	fails 4 ipcctl new S
	ipcctl new S/m map
	fails 4 ipcctl new S/m map
	ipcctl set S/m/k v
	fails 4 ipcctl set S/m/k w --if-absent
	fails 4 ipcctl set S/m/k w --if-eq x
	ipcctl set S/m/k w --if-eq v
	prints w ipcctl get S/m/k
	ipcctl new S/n map
	fails 4 ipcctl mv S/n m
	ipcctl new T
	fails 4 ipcctl mv T S
	fails 4 ipcctl cp S/m S/n
}

@test "exit 5: would block" {
	ipcctl new -P S/q queue --cap 1
	fails 5 ipcctl pop S/q --nowait
	fails 5 ipcctl pop S/q -t 0
	fails 5 ipcctl pop S/q -t 0s
	fails 5 ipcctl peek S/q
	ipcctl push S/q a
	fails 5 ipcctl push S/q b --nowait
	ipcctl new S/s semaphore
	ipcctl acquire S/s
	fails 5 ipcctl acquire S/s --nowait
	fails 5 ipcctl wait S/q --for 'used>1' --nowait
}

@test "exit 6: wrong kind, type or value" {
	ipcctl new -P S/a array --cap 2
	fails 6 ipcctl push S/a 1
	says 'an array has no push'
	fails 6 ipcctl set S/a/0 abc
	fails 6 ipcctl get S/a/0 --type u8
	ipcctl new S/q queue --type u8
	fails 6 ipcctl push S/q 256
	fails 6 ipcctl push S/q -1
	fails 6 ipcctl push S/q 1.5
	fails 6 ipcctl push S/q ''
	fails 6 ipcctl get S/q
	fails 6 ipcctl new S/x frobnicate
	fails 6 ipcctl new S/x queue --type '{u32}'
	fails 6 ipcctl new S/x queue --type 'u7'
	fails 6 ipcctl new S/x queue --type ''
	fails 6 ipcctl set S/a/x 1
	ipcctl new S/b array --type u64 --cap 2
	fails 6 ipcctl load S/b <<<'{"v":1,"dump":"q","kind":"queue","type":"u64","params":{}}'
	fails 6 ipcctl load S/b <<<'{"v":1,"dump":"b","kind":"array","type":"f64","params":{}}'
}

@test "exit 7: corrupt, or a layout we cannot read" {
	ipcctl new S
	printf 'junk' >"$IPK_DIR/junk.ipk"
	fails 7 ipcctl show junk
	fails 7 ipcctl fsck junk
	fails 7 ipcctl rm junk
	[ "$(cat "$IPK_DIR/junk.ipk")" = junk ]
	head -c 65536 /dev/zero >"$IPK_DIR/zero.ipk"
	fails 7 ipcctl ls zero
	# another format version
	printf '\377' | dd of="$IPK_DIR/S.ipk" bs=1 seek=8 conv=notrunc status=none
	fails 7 ipcctl show S
	fails 7 ipcctl new S/q queue
}

@test "exit 8: permission" {
	[ "$(id -u)" -eq 0 ] || skip "only root can become somebody else"
	ipcctl new S
	place=$(mktemp -d "${TMPDIR:-/tmp}/ipk-cli.XXXXXX")
	chmod 755 "$place"
	cp "$(command -v ipcctl)" "$place/ipcctl"
	ipcctl new -P "$place/S.ipk/q" queue --mode 0644
	ipcctl push "$place/S.ipk/q" a
	ipcctl new "$place/T.ipk"
	nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups env "IPK_DIR=$place" "$place/ipcctl")
	prints a "${nobody[@]}" peek S/q
	"${nobody[@]}" show S/q
	"${nobody[@]}" who S
	"${nobody[@]}" ls
	prints '' "${nobody[@]}" fsck S
	fails 8 "${nobody[@]}" pop S/q
	fails 8 "${nobody[@]}" push S/q b
	fails 8 "${nobody[@]}" new S/r queue
	fails 8 "${nobody[@]}" show T
	fails 8 "${nobody[@]}" rm S
	fails 8 "${nobody[@]}" new U
}

@test "exit 9: owner died, state suspect" {
	IPK_FAULT=EOWNERDEAD fails 9 ipcctl ls
}

@test "exit 10: closed, end of stream" {
	ipcctl new -P S/q queue
	ipcctl close S/q
	fails 10 ipcctl pop S/q
	fails 10 ipcctl push S/q a
	ipcctl pop S/q --follow
}

@test "exit 11: no space, or a limit" {
	ipcctl new S --size 64K --max 64K
	fails 11 ipcctl new S/q queue --cap 1M
	fails 11 ipcctl grow S 1M
	ipcctl new S/q queue --cap 8 --type bytes
	head -c 1M /dev/zero >big
	fails 11 ipcctl push S/q --value-file big -r
	run bash -c 'ipcctl ls >/dev/full'
	[ "$status" -eq 11 ]
}

@test "exit 70: our bug" {
	export IPK_FAULT=internal
	fails 70 ipcctl ls
	fails 70 ipcctl -j get S/x
}

@test "exit 124: timed out" {
	ipcctl new -P S/q queue
	fails 124 ipcctl pop S/q -t 20ms
	fails 124 ipcctl wait S/q --for 'used>0' -t 20ms
	fails 124 ipcctl wait S/r --exists -t 20ms
	ipcctl new S/s semaphore
	ipcctl acquire S/s
	fails 124 ipcctl acquire S/s -t 250us
}

@test "exit 130: interrupted, by SIGINT and by SIGTERM" {
	local sig
	ipcctl new -P S/q queue
	for sig in INT TERM; do
		# a background job of a script ignores SIGINT: env gives it back
		background env --default-signal=INT ipcctl pop S/q
		until_true ipcctl wait S/q --for 'waiters>0' -t 60s
		kill -$sig "$pid"
		ends "$pid" 130
		[ "$(wc -l <err)" -eq 1 ]
	done
	[ "$(field S/q used)" = 0 ]
	ipcctl push S/q a
	prints a ipcctl pop S/q
}

@test "the status of CMD is passed on as env does" {
	ipcctl new -P S/s semaphore
	run ipcctl acquire S/s -- sh -c 'exit 42'
	[ "$status" -eq 42 ]
	run ipcctl acquire S/s -- sh -c 'kill -9 $$'
	[ "$status" -eq 137 ]
	fails 127 ipcctl acquire S/s -- /nonexistent
	fails 126 ipcctl acquire S/s -- /etc/passwd
	[ "$(field S/s used)" = 0 ]
}
