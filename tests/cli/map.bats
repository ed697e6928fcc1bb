#!/usr/bin/env bats
# get set del incr keys has on maps
load common

@test "keys are taken literally, slashes and emptiness included" {
	ipcctl new -P S/m map
	ipcctl set S/m/a 1
	ipcctl set S/m/a/b 2
	ipcctl set S/m/ empty
	ipcctl set 'S/m/ä ö' 3
	prints 1 ipcctl get S/m/a
	prints 2 ipcctl get S/m/a/b
	prints empty ipcctl get S/m/
	prints 3 ipcctl get 'S/m/ä ö'
	[ "$(field S/m used)" = 4 ]
	prints ' a a/b ä ö' bash -c "ipcctl keys S/m | sort | tr '\n' ' ' | sed 's/ \$//'"
	ipcctl del S/m/a
	fails 3 ipcctl get S/m/a
	ipcctl rm S/m/a/b
	[ "$(field S/m used)" = 2 ]
}

@test "a whole map is pairs, JSON with -j" {
	ipcctl new -P S/m map --type u64
	ipcctl set S/m/k 7
	prints "k	7" ipcctl get S/m
	prints '{"key":"k","value":7}' ipcctl get S/m -j
	prints 7 ipcctl get S/m/k -j
	prints '"k"' ipcctl keys S/m -j
}

@test "has answers by its exit status" {
	ipcctl new -P S/m map
	ipcctl set S/m/k v
	prints true ipcctl has S/m k
	prints true ipcctl has S/m/k
	run -1 --separate-stderr ipcctl has S/m x
	[ "$output" = false ] && [ -z "$stderr" ]
	run -1 ipcctl has -q S/m x
	[ -z "$output" ]
	fails 2 ipcctl has S/m
	fails 2 ipcctl has S/m/k k
	fails 3 ipcctl has S/none x
}

@test "set replaces, and --if-absent and --if-eq guard it" {
	ipcctl new -P S/m map
	ipcctl set S/m/k a
	ipcctl set S/m/k b
	fails 4 ipcctl set S/m/k c --if-absent
	fails 4 ipcctl set S/m/k c --if-eq a
	ipcctl set S/m/k c --if-eq b
	prints c ipcctl get S/m/k
	ipcctl set S/m/new x --if-absent
	prints x ipcctl get S/m/new
}

@test "incr counts from nothing, and loses nothing" {
	local i
	ipcctl new -P S/m map --type i64
	prints 1 ipcctl incr S/m/n
	prints -4 ipcctl incr S/m/n -5
	for i in 1 2 3 4; do
		for _ in 1 2 3 4 5 6 7 8 9 10; do echo incr S/m/c; done | ipcctl batch - >/dev/null 3>&- &
	done
	wait
	prints 40 ipcctl get S/m/c
	ipcctl new S/str map
	ipcctl set S/str/k x
	fails 6 ipcctl incr S/str/k
}

@test "keys of a number type are numbers" {
	ipcctl new -P S/m map --key u32 --type str
	ipcctl set S/m/7 seven
	prints seven ipcctl get S/m/7
	fails 6 ipcctl get S/m/x
	fails 6 ipcctl set S/m/x y
	prints 7 ipcctl keys S/m
	prints 7 ipcctl keys S/m -j
}

@test "a thousand keys are all there, and the map grows" {
	local i
	ipcctl new -P S/m map --type u32
	for ((i = 0; i < 1000; i++)); do echo "set S/m/key$i $i"; done | ipcctl batch -
	[ "$(field S/m used)" = 1000 ]
	prints 777 ipcctl get S/m/key777
	[ "$(ipcctl keys S/m | sort -u | wc -l)" -eq 1000 ]
	for ((i = 0; i < 1000; i++)); do echo "del S/m/key$i"; done | ipcctl batch -
	[ "$(field S/m used)" = 0 ]
	ipcctl fsck S
}

@test "long values and long keys fit" {
	local key
	ipcctl new -P S/m map
	key=$(head -c 1000 /dev/zero | tr '\0' k)
	head -c 300000 /dev/urandom >blob
	ipcctl set "S/m/$key" -r --value-file blob
	ipcctl get -r "S/m/$key" | cmp - blob
}

@test "completion offers live keys" {
	ipcctl new -P S/m map
	ipcctl set S/m/apple 1
	ipcctl set S/m/apricot 2
	prints 'S/m/apple
S/m/apricot' bash -c 'ipcctl complete -- get S/m/a | sort'
}
