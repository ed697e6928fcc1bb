#!/usr/bin/env bats
# add has get del keys dump load on sets
load common

@test "a value is added once, found, and removed" {
	ipcctl new -P S/x set
	ipcctl add S/x red green red
	[ "$(field S/x used)" = 2 ]
	prints true ipcctl has S/x red
	prints true ipcctl has S/x/green
	run -1 --separate-stderr ipcctl has S/x blue
	[ "$output" = false ] && [ -z "$stderr" ]
	prints green ipcctl get S/x/green
	fails 3 ipcctl get S/x/blue
	ipcctl del S/x/red
	fails 3 ipcctl del S/x/red
	fails 3 ipcctl rm S/x/red
	ipcctl rm S/x/green
	prints '' ipcctl get S/x
	prints 0 field S/x used
	fails 6 ipcctl set S/x/a b
	says 'add has get del'
}

@test "--if-absent makes of a value a claim" {
	ipcctl new -P S/x set
	ipcctl add S/x --if-absent job1
	fails 4 ipcctl add S/x --if-absent job1
	says 'there already'
	fails 4 ipcctl add S/x --if-absent job2 job1 job3
	says '1 of 3 went in'
	prints true ipcctl has S/x job2
	run -1 ipcctl has -q S/x job3
}

@test "values are of the set's type, and all of them are read before the first is added" {
	ipcctl new -P S/x set --type '{u32 id; str:4 sym}'
	fails 6 ipcctl add S/x '{"id":1,"sym":"A"}' '{"id":"x"}'
	[ "$(field S/x used)" = 0 ]
	ipcctl add S/x '{"sym":"A","id":1}'
	prints true ipcctl has S/x '{"id":1,"sym":"A"}'
	prints '{"id":1,"sym":"A"}' ipcctl get S/x
	prints '{"id":1,"sym":"A"}' ipcctl keys S/x -j
	ipcctl new S/n set --type u8
	fails 6 ipcctl has S/n x
	fails 6 ipcctl get S/n/x
	says 'no u8'
	fails 2 ipcctl new S/k set --key str
}

@test "values come from standard input, and the set grows" {
	ipcctl new -P S/x set --cap 4
	seq 1000 | ipcctl add S/x -
	seq 500 1500 | ipcctl add S/x -
	[ "$(field S/x used)" = 1500 ]
	[ "$(ipcctl get S/x | sort -n | md5sum)" = "$(seq 1500 | md5sum)" ]
	[ "$(ipcctl keys S/x | wc -l)" = 1500 ]
	for i in 7 77 777; do echo "del S/x/$i"; done | ipcctl batch -
	run -1 ipcctl has -q S/x 777
	[ "$(field S/x used)" = 1497 ]
	ipcctl fsck S
}

@test "a dump is loaded again as it was" {
	ipcctl new -P S/x set --type bytes --cap 9
	ipcctl add S/x '' 'a b' '"q"' ü
	printf 'one\0\ntwo' | ipcctl add S/x -r -
	ipcctl dump S/x >dump
	[ "$(wc -l <dump)" = 6 ]
	ipcctl load S/y <dump
	ipcctl dump S/y | sed 's/"dump":"y"/"dump":"x"/' | cmp - dump
	ipcctl cp S/x S/z
	[ "$(field S/z used)" = 5 ]
	cmp <(ipcctl get S/x) <(ipcctl get S/z)
}

@test "help tells of the verb and of the kind, and completion offers live values" {
	run ipcctl help set
	[[ $output == *'store the value of a key'* && $output == *'Also a kind'* && $output == *'add SEG/OBJ'* ]]
	ipcctl new -P S/x set
	ipcctl add S/x apple apricot pear
	prints 'S/x/apple
S/x/apricot' bash -c 'ipcctl complete -- has S/x/a | sort'
	ipcctl show S/x | grep -qx 'next ipcctl get S/x'
	ipcctl show S/x/pear | grep -qx 'key pear'
	ipcctl new S/y set
	ipcctl show S/y | grep -qx 'next ipcctl add S/y VALUE'
	[ "$(ipcctl ls S/x --noheadings -o KEY | sort | xargs)" = 'apple apricot pear' ]
}
