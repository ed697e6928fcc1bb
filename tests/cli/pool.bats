#!/usr/bin/env bats
# acquire add release get: pool
load common

@test "objects are taken for nobody and given back once" {
	ipcctl new -P S/p pool --cap 2 --type u64
	prints 0 ipcctl acquire S/p
	prints 1 ipcctl add S/p 42
	fails 5 ipcctl acquire S/p --nowait
	fails 5 ipcctl add S/p 43 --nowait
	fails 124 ipcctl acquire S/p -t 10ms
	prints 42 ipcctl get S/p/1
	[ "$(ipcctl get S/p | xargs)" = '0 42' ]
	ipcctl release S/p/0
	fails 3 ipcctl release S/p/0
	fails 3 ipcctl get S/p/0
	fails 3 ipcctl release S/p/2
	fails 2 ipcctl release S/p
	fails 6 ipcctl add S/p x
	[ "$(field S/p used)" = 1 ]
	[ "$(ipcctl who S/p -j | jq -c '[.pid, .role]')" = '[0,"nobody"]' ]
	ipcctl add S/p 7
	[ "$(ipcctl get S/p | xargs)" = '7 42' ]
}

@test "an object is held while CMD runs, and CMD knows which" {
	ipcctl new -P S/p pool --cap 2
	ipcctl acquire S/p
	prints 1 ipcctl acquire S/p -- sh -c 'echo $IPK_INDEX'
	[ "$(ipcctl acquire S/p -- ipcctl who S/p -o ROLE --noheadings | xargs)" = 'holder nobody' ] ||
		[ "$(ipcctl acquire S/p -- ipcctl who S/p -o ROLE --noheadings | xargs)" = 'nobody holder' ]
	prints 5 bash -c 'ipcctl acquire S/p -- ipcctl release S/p/1 2>/dev/null; echo $?'
	[ "$(field S/p used)" = 1 ]
}

@test "who waits gets the object of a killed process" {
	ipcctl new -P S/p pool --cap 1
	background ipcctl acquire S/p -- sleep 1000
	until_true ipcctl wait S/p --for 'used=1' -t 60s
	child_of "$pid"
	background ipcctl acquire S/p
	until_true ipcctl wait S/p --for 'waiters>0' -t 60s
	kill -9 "$child"
	ends "$pid" 0
	[ "$(cat out)" = 0 ]
}

@test "the values of a pool are dumped and loaded" {
	ipcctl new -P S/p pool --cap 4 --type str:8
	ipcctl add S/p a b c
	ipcctl dump S/p >dump
	ipcctl new S/q pool --cap 4 --type str:8
	ipcctl load S/q <dump
	[ "$(ipcctl get S/q | xargs)" = 'a b c' ]
	[ "$(ipcctl dump S/q | tail -n +2)" = "$(tail -n +2 dump)" ]
}
