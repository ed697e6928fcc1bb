#!/usr/bin/env bats
# get set fill incr on arrays
load common

@test "elements, ranges and the whole" {
	ipcctl new -P S/a array --type i32 --cap 5
	ipcctl set S/a/1..4 7 8 9
	prints 8 ipcctl get S/a/2
	prints '7
8' ipcctl get S/a/1..3
	prints '9
0' ipcctl get S/a/3..
	prints '0
7' ipcctl get S/a/..2
	prints '0 7 8 9 0' bash -c 'ipcctl get S/a | xargs'
	prints '' ipcctl get S/a/2..2
	prints '' ipcctl get S/a/5..
	prints '7' ipcctl get S/a/1 -j
}

@test "keys that are no index are refused" {
	ipcctl new -P S/a array --cap 4
	fails 3 ipcctl get S/a/4
	fails 3 ipcctl get S/a/0..5
	fails 3 ipcctl get S/a/5..
	fails 6 ipcctl get S/a/x
	fails 6 ipcctl get S/a/-1
	fails 6 ipcctl get S/a/3..1
	fails 6 ipcctl get S/a/1..2..3
	fails 6 ipcctl get S/a/
	fails 3 ipcctl set S/a/9 1
	fails 6 ipcctl set S/a/x 1
}

@test "fill sets all, or a range" {
	ipcctl new -P S/a array --cap 4
	ipcctl fill S/a 1.5
	ipcctl fill S/a/1..3 -2
	prints '1.5 -2 -2 1.5' bash -c 'ipcctl get S/a | xargs'
	fails 6 ipcctl fill S/a x
}

@test "set compares and sets with --if-eq" {
	ipcctl new -P S/a array --type u64 --cap 1
	fails 4 ipcctl set S/a/0 5 --if-eq 1
	prints 0 ipcctl get S/a/0
	ipcctl set S/a/0 5 --if-eq 0
	prints 5 ipcctl get S/a/0
	fails 6 ipcctl set S/a/0 5 --if-eq x
}

@test "incr adds and prints, and many at once lose nothing" {
	local i
	ipcctl new -P S/a array --type i64 --cap 2
	prints 1 ipcctl incr S/a/0
	prints 6 ipcctl incr S/a/0 5
	prints -4 ipcctl incr S/a/0 -10
	fails 6 ipcctl incr S/a/0 x
	for i in 1 2 3 4; do
		for _ in 1 2 3 4 5 6 7 8 9 10; do echo incr S/a/1; done | ipcctl batch - >/dev/null 3>&- &
	done
	wait
	prints 40 ipcctl get S/a/1
}

@test "--raw is what numpy would read" {
	ipcctl new -P S/a array --type u16 --cap 3
	ipcctl set S/a/0..3 1 2 3
	ipcctl get -r S/a | cmp - <(printf '\1\0\2\0\3\0')
	ipcctl set -r S/a/1 --value-file <(printf '\377\377')
	prints 65535 ipcctl get S/a/1
}

@test "variable types do not fit an array" {
	ipcctl new S
	fails 6 ipcctl new S/a array --type str
	ipcctl new S/a array --type str:4 --cap 2
	ipcctl set S/a/0 abcd
	fails 6 ipcctl set S/a/0 abcde
	prints abcd ipcctl get S/a/0
}
