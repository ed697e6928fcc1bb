#!/usr/bin/env bats
# send recv select close, on a channel
load common

@test "a buffered channel keeps the order and its limit" {
	ipcctl new -P S/c channel --cap 3 --type u16
	ipcctl send S/c 1 2 3
	fails 5 ipcctl send S/c 4 --nowait
	says full
	fails 124 ipcctl send S/c 4 -t 1ms
	fails 6 ipcctl send S/c abc
	[ "$(field S/c used)" = 3 ]
	prints '1
2' ipcctl recv S/c -n 2
	seq 7 8 | ipcctl send S/c -
	prints '3
7
8' ipcctl recv S/c -n 3
	fails 5 ipcctl recv S/c --nowait
	says empty
	fails 124 ipcctl recv S/c -t 1ms
	[ "$(field S/c sent) $(field S/c received)" = '5 5' ]
	prints '' ipcctl fsck S
}

@test "a closed one is drained before it ends" {
	ipcctl new -P S/c channel
	ipcctl send S/c a b
	ipcctl close S/c
	fails 10 ipcctl send S/c c
	prints a ipcctl recv S/c
	prints b ipcctl recv S/c --follow
	fails 10 ipcctl recv S/c
	[ "$(field S/c closed)" = true ]
}

@test "without a buffer send returns when it was received" {
	ipcctl new -P S/c channel --cap 0
	fails 5 ipcctl send S/c x --nowait
	says 'nobody waits to receive'
	fails 5 ipcctl recv S/c --nowait
	fails 124 ipcctl send S/c x -t 1ms
	fails 124 ipcctl recv S/c -t 1ms
	background ipcctl send S/c hello
	until_true ipcctl wait S/c --for 'senders=1' -t 60s
	[ "$(ipcctl who S/c -o ROLE,ALIVE --noheadings | head -1 | xargs)" = 'sender yes' ]
	kill -0 "$pid"
	prints hello ipcctl recv S/c
	ends "$pid" 0
	background ipcctl recv S/c
	until_true ipcctl wait S/c --for 'receivers=1' -t 60s
	ipcctl send S/c again --nowait
	ends "$pid" 0
	[ "$(cat out)" = again ]
}

@test "what a killed sender had offered is withdrawn" {
	ipcctl new -P S/c channel --cap 0
	background ipcctl send S/c hello
	until_true ipcctl wait S/c --for 'senders=1' -t 60s
	kill -9 "$pid"
	wait "$pid" || true
	fails 5 ipcctl recv S/c --nowait
	[ "$(field S/c senders)" = 0 ]
	prints '' ipcctl fsck S
}

@test "close ends who waits" {
	ipcctl new -P S/c channel --cap 0
	background ipcctl send S/c x
	sender=$pid
	until_true ipcctl wait S/c --for 'senders=1' -t 60s
	ipcctl close S/c
	ends "$sender" 10
	ipcctl new S/d channel
	background ipcctl recv S/d --follow
	until_true ipcctl wait S/d --for 'waiters>0' -t 60s
	ipcctl close S/d
	ends "$pid" 0
}

@test "select takes what there is, and says from where" {
	ipcctl new -P S/a channel
	ipcctl new S/b channel --type '{u32 id; f64 px}'
	fails 5 ipcctl select S/a S/b --nowait
	fails 124 ipcctl select S/a S/b -t 1ms
	ipcctl send S/b '{"id":1,"px":2}'
	prints $'S/b\t{"id":1,"px":2}' ipcctl select S/a S/b
	ipcctl send S/a x
	prints '{"ref":"S/a","value":"x"}' ipcctl select -j S/a S/b
	ipcctl send S/a x
	prints x ipcctl select --raw S/a
	background ipcctl select S/a S/b
	until_true ipcctl wait S/a --for 'waiters>0' -t 60s
	until_true ipcctl wait S/b --for 'waiters>0' -t 60s
	ipcctl send S/b '{"id":2,"px":3}'
	ends "$pid" 0
	[ "$(cat out)" = $'S/b\t{"id":2,"px":3}' ]
}

@test "select sends where a value follows" {
	ipcctl new -P S/a channel --cap 1
	ipcctl new S/b channel --cap 0 --type i32
	prints $'S/a\tx=y' ipcctl select S/a=x=y S/b
	prints $'S/a\tx=y' ipcctl select S/a S/b=5
	fails 6 ipcctl select S/a S/b=abc
	background ipcctl select S/a S/b=5
	until_true ipcctl wait S/b --for 'senders=1' -t 60s
	prints 5 ipcctl recv S/b
	ends "$pid" 0
	[ "$(cat out)" = $'S/b\t5' ]
	# Two selects meet.
	background ipcctl select S/b=6 S/a
	until_true ipcctl wait S/b --for 'senders=1' -t 60s
	prints $'S/b\t6' ipcctl select S/b -t 60s
	ends "$pid" 0
}

@test "a channel that is only ever closed ends a select" {
	ipcctl new -P S/work channel
	ipcctl new S/stop channel
	background ipcctl select S/work S/stop
	until_true ipcctl wait S/stop --for 'waiters>0' -t 60s
	ipcctl close S/stop
	ends "$pid" 10
	grep -q 'S/stop is closed' err
	fails 3 ipcctl select S/work S/none
	ipcctl new S/q queue
	fails 6 ipcctl select S/work S/q
	ipcctl new -P T/c channel
	fails 6 ipcctl select S/work T/c
}

@test "dump, load and peek leave a channel as it is" {
	ipcctl new -P S/c channel --cap 4 --type bytes
	ipcctl send S/c one two
	prints one ipcctl peek S/c
	ipcctl dump S/c | ipcctl load S/d
	[ "$(field S/d cap)" = 4 ]
	prints 'one
two' ipcctl recv S/d -n 2
	[ "$(field S/c used)" = 2 ]
	[ "$(ipcctl ls S/c --noheadings | wc -l)" = 2 ]
}

@test "what cannot be written goes back" {
	ipcctl new -P S/c channel
	ipcctl send S/c one two
	run bash -c 'ipcctl recv S/c >/dev/full'
	[ "$status" -ne 0 ]
	prints 'one
two' ipcctl recv S/c -n 2
}

@test "drain takes what is in the buffer" {
	ipcctl new -P S/c channel --cap 4
	prints '' ipcctl drain S/c
	ipcctl send S/c a b
	prints $'a\nb' ipcctl drain S/c
	prints '' ipcctl drain S/c
}
