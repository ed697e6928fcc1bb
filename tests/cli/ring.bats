#!/usr/bin/env bats
# Rings: messages between one producer, or many, and one consumer
load common

@test "messages come out in order, empty ones too" {
	ipcctl new -P S/r ring
	ipcctl push S/r one '' 'three words here'
	prints 'one

three words here' ipcctl peek S/r -n 9
	[ "$(field S/r pushed)" = 3 ]
	prints 'one

three words here' ipcctl pop S/r -n 3
	[ "$(field S/r used)" = 0 ]
	[ "$(field S/r popped)" = 3 ]
	fails 5 ipcctl pop S/r --nowait
	says empty
	fails 124 ipcctl pop S/r -t 20ms
	fails 5 ipcctl peek S/r
}

@test "cap and used count bytes" {
	ipcctl new -P S/r ring --cap 100
	[ "$(field S/r cap)" = 128 ]
	ipcctl push S/r 12345678
	[ "$(field S/r used)" = 16 ]
	ipcctl new S/u ring --type u64 --cap 100
	[ "$(field S/u cap)" = 104 ]
	ipcctl push S/u 1 2
	[ "$(field S/u used)" = 16 ]
	fails 6 ipcctl push S/u 3 x
	[ "$(field S/u used)" = 16 ]
	prints '1
2' ipcctl pop S/u -n 2
}

@test "a message of nearly the capacity fits, a longer one is refused" {
	ipcctl new -P S/r ring --cap 4096
	head -c 4080 /dev/zero | tr '\0' x >fits
	head -c 4081 /dev/zero | tr '\0' x >long
	ipcctl push S/r a
	ipcctl pop S/r
	ipcctl push S/r --value-file fits
	ipcctl pop S/r -r | cmp - fits
	fails 11 ipcctl push S/r --value-file long
	says 4080
	ipcctl push S/r --value-file fits
	fails 5 ipcctl push S/r a --nowait
	says full
}

@test "options that contradict each other are refused" {
	ipcctl new S
	fails 2 ipcctl new S/r ring --stream --type u64
	says stream
	fails 2 ipcctl new S/r ring --cap 64 --max-message 60
	says max-message
	fails 2 ipcctl new S/r ring --producers few
	fails 2 ipcctl new S/r ring --checksum md5
}

@test "a second producer is refused by name, many are not" {
	local other
	ipcctl new -P S/r ring
	mkfifo in
	ipcctl push S/r - <in 3>&- &
	pid=$! pids+=("$!")
	exec 8>in
	echo first >&8
	until_true ipcctl wait S/r --for 'used>0' -t 60s
	fails 5 ipcctl push S/r second
	says "pid $pid"
	prints first ipcctl pop S/r
	[ "$(ipcctl who S/r -j | jq -r 'select(.role == "producer").pid')" = "$pid" ]
	kill -9 "$pid"
	wait "$pid" || true
	exec 8>&-
	ipcctl push S/r second
	prints second ipcctl pop S/r
	ipcctl new S/m ring --producers many --type u32
	seq 1 3000 | ipcctl push S/m - 3>&- &
	other=$! pids+=("$!")
	background ipcctl pop S/m -n 6000
	seq 3001 6000 | ipcctl push S/m -
	wait "$other"
	ends "$pid" 0
	sort -n out | cmp - <(seq 6000)
}

@test "a second consumer is refused by name" {
	ipcctl new -P S/r ring
	background ipcctl pop S/r
	until_true ipcctl wait S/r --for 'waiters>0' -t 60s
	fails 5 ipcctl pop S/r --nowait
	says "pid $pid"
	ipcctl push S/r x
	ends "$pid" 0
	[ "$(cat out)" = x ]
}

@test "lines without end come out as they went in" {
	ipcctl new -P S/r ring --cap 4K
	background ipcctl pop S/r -n 30000
	seq 30000 | ipcctl push S/r -
	ends "$pid" 0
	seq 30000 | cmp - out
}

@test "--follow ends with close, and close lets nothing in" {
	ipcctl new -P S/r ring
	background ipcctl pop S/r --follow
	ipcctl push S/r a b
	until_true grep -qx b out
	ipcctl close S/r
	ends "$pid" 0
	[ "$(xargs <out)" = 'a b' ]
	fails 10 ipcctl push S/r c
	fails 10 ipcctl pop S/r
	[ "$(field S/r closed)" = 1 ]
}

@test "what could not be printed stays, marked" {
	ipcctl new -P S/r ring
	ipcctl push S/r a b
	run bash -c 'ipcctl pop S/r -n 2 >/dev/full'
	[ "$status" -eq 11 ]
	[ "$(field S/r pushed)" = 2 ]
	prints '{"v":1,"pos":0,"value":"a","redelivered":true}' ipcctl pop S/r --meta
	prints b ipcctl pop S/r
}

@test "drain takes all that is there, reset drops it" {
	ipcctl new -P S/r ring
	seq 1000 | ipcctl push S/r -
	ipcctl drain S/r | cmp - <(seq 1000)
	prints '' ipcctl drain S/r
	ipcctl push S/r a b
	ipcctl reset S/r
	[ "$(field S/r used)" = 0 ]
	ipcctl push S/r c
	prints c ipcctl pop S/r
}

@test "a stream carries bytes without boundaries" {
	ipcctl new -P S/r ring --stream --type bytes --cap 4K
	head -c 100000 /dev/urandom >blob
	background ipcctl pop S/r -r --follow
	ipcctl push S/r -r --value-file blob
	until_true cmp blob out
	ipcctl close S/r
	ends "$pid" 0
	cmp blob out
}

@test "a changed message is reported and dropped" {
	ipcctl new -P S/r ring --checksum xxh3
	ipcctl push S/r first needle-in-it third
	[ "$(grep -abo needle-in-it "$IPK_DIR/S.ipk" | wc -l)" = 1 ]
	printf N | dd of="$IPK_DIR/S.ipk" bs=1 conv=notrunc status=none \
		seek="$(grep -abo needle-in-it "$IPK_DIR/S.ipk" | cut -d: -f1)"
	run -1 ipcctl fsck S
	[[ $output == *checksum* ]]
	prints first ipcctl pop S/r
	fails 7 ipcctl pop S/r
	says checksum
	prints third ipcctl pop S/r
	[ "$(field S/r corrupt)" = 1 ]
	ipcctl fsck S
}

@test "dump and load restore messages and options" {
	ipcctl new -P S/r ring --checksum xxh3 --cap 2K --producers many
	ipcctl push S/r a '' 'b c'
	ipcctl dump S/r >d
	ipcctl load S/copy <d
	ipcctl cp S/r S/other
	prints 'a

b c' ipcctl pop S/copy -n 3
	prints 'a

b c' ipcctl pop S/other -n 3
	[ "$(field S/copy cap)" = 2048 ]
	ipcctl dump S/r | cmp - d
}

@test "a ring in a file goes on where it stood" {
	ipcctl new "$PWD/file.ipk"
	ipcctl new "$PWD/file.ipk/r" ring --cap 1K
	for i in 1 2 3 4 5 6; do
		ipcctl push "$PWD/file.ipk/r" "message $i a" "message $i b"
		prints "message $i a
message $i b" ipcctl pop "$PWD/file.ipk/r" -n 2
	done
	cp file.ipk copy.ipk
	ipcctl push "$PWD/copy.ipk/r" x
	prints x ipcctl pop "$PWD/copy.ipk/r"
	ipcctl fsck "$PWD/copy.ipk"
}

@test "items have positions" {
	ipcctl new -P S/r ring --type u16
	ipcctl push S/r 5 6 7
	ipcctl pop S/r >/dev/null
	prints 6 ipcctl get S/r/1
	prints '6
7' ipcctl get S/r/1..
	fails 3 ipcctl get S/r/0
}
