#!/usr/bin/env bats
# Streams through the command line.
load common

@test "a stream is emitted to and read from the start, the end and N back" {
	ipcctl new -P S/x stream
	ipcctl emit S/x one two three
	[ "$(ipcctl sub S/x --from-start -n 3)" = $'one\ntwo\nthree' ]
	[ "$(ipcctl sub S/x --history 1 -n 1)" = three ]
	run -0 ipcctl sub S/x --from-start --nowait
	[ "$output" = $'one\ntwo\nthree' ]
	run -5 ipcctl sub S/x --nowait
	run -5 ipcctl sub S/x -n 1 --nowait
	run -124 ipcctl sub S/x -n 1 -t 20ms
	[ "$(ipcctl peek S/x)" = one ]
	[ "$(ipcctl get S/x/1)" = two ]
	[ "$(ipcctl show S/x -j | jq -c '[.used, .cap, .emitted, .dropped, .closed]')" = '[3,1024,3,0,false]' ]
	fails 3 ipcctl get S/x/7
}

@test "sub follows until the stream is closed" {
	ipcctl new -P S/x stream
	background ipcctl sub S/x
	until_true eval 'ipcctl who S/x | grep -q waiter'
	seq 1000 | ipcctl emit S/x -
	ipcctl push S/x last
	until_true grep -q last out
	ipcctl close S/x
	ends "$pid" 0
	cmp out <(seq 1000; echo last)
	fails 10 ipcctl emit S/x more
	[ "$(ipcctl sub S/x --from-start | wc -l)" -eq 1001 ]
	run -10 ipcctl sub S/x -n 1
}

@test "a named subscriber that is killed goes on where it was" {
	ipcctl new -P S/x stream --cap 5000
	seq 3000 | ipcctl emit S/x -
	ipcctl sub S/x --name me --from-start -n 1000 >first
	background ipcctl sub S/x --name me
	until_true eval '[ "$(wc -l <out)" -eq 2000 ]'
	fails 5 ipcctl sub S/x --name me -n 1
	kill -9 "$pid"
	wait "$pid" || true
	cmp <(cat first out) <(seq 3000)
	ipcctl emit S/x 3001
	# What was printed and not yet acknowledged may come again, never less.
	[ "$(ipcctl sub S/x --name me --nowait 2>/dev/null | tail -n 1)" = 3001 ]
	ipcctl forget S/x me
	fails 3 ipcctl forget S/x me
}

@test "without room the oldest goes, or the producer is refused or waits" {
	ipcctl new -P S/d stream --cap 2
	ipcctl emit S/d a b c
	[ "$(ipcctl sub S/d --from-start -n 2)" = $'b\nc' ]
	ipcctl new S/r stream --cap 2 --policy reject
	ipcctl emit S/r a b
	ipcctl sub S/r --name slow --from-start -n 1
	fails 5 ipcctl emit S/r c d
	[[ $line == *'1 of 2 went in' ]]
	ipcctl new S/b stream --cap 1 --policy block
	ipcctl emit S/b a
	ipcctl sub S/b --name slow --from-start -n 1
	ipcctl emit S/b b
	fails 124 ipcctl emit S/b c -t 20ms
	background ipcctl emit S/b c
	until_true eval 'ipcctl who S/b | grep -q waiter'
	[ "$(ipcctl sub S/b --name slow -n 1)" = b ]
	ends "$pid" 0
}

@test "records tell when they came, and keep their type" {
	ipcctl new -P S/x stream --type '{u32 id; f64 px}'
	ipcctl emit S/x '{"id":7,"px":1.5}'
	[[ "$(ipcctl sub S/x --from-start -n 1 --timestamps)" =~ ^20[0-9-]+T[0-9:.]+Z$'\t''{"id":7,"px":1.5}'$ ]]
	ipcctl sub S/x --from-start -n 1 --meta | jq -e '.pos == 0 and .time_ns > 1700000000000000000 and .value.id == 7'
	fails 6 ipcctl emit S/x '{"id":"no"}'
	fails 2 ipcctl new S/y stream --policy maybe
	fails 6 ipcctl pop S/x
	ipcctl dump S/x >dump
	ipcctl load S/z <dump
	cmp <(ipcctl dump S/z | tail -n +2) <(tail -n +2 dump)
}
