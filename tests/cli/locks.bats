#!/usr/bin/env bats
# lock countdown await arrive reset: mutex, rwlock, once, latch, barrier
load common

@test "a mutex is held while CMD runs, and whichever way CMD ends" {
	ipcctl new -P S/m mutex
	prints free ipcctl get S/m
	prints held ipcctl lock S/m -- ipcctl get S/m
	prints 5 bash -c 'ipcctl lock S/m -- ipcctl lock S/m --nowait -- true 2>/dev/null; echo $?'
	prints 7 bash -c 'ipcctl lock S/m -- sh -c "exit 7"; echo $?'
	prints 137 bash -c 'ipcctl lock S/m -- sh -c "kill -9 \$\$"; echo $?'
	prints free ipcctl get S/m
	fails 2 ipcctl lock S/m
	ipcctl reset S/m
}

@test "a lock waits for the one before it" {
	ipcctl new -P S/m mutex
	mkfifo go
	background ipcctl lock S/m -- sh -c 'read x <go'
	until_true ipcctl wait S/m --for 'used=1' -t 60s
	fails 124 ipcctl lock S/m -t 10ms -- true
	fails 5 ipcctl reset S/m
	echo x >go
	ipcctl lock S/m -t 60s -- true
	ends "$pid" 0
}

@test "a rwlock is held by many readers or by one writer" {
	ipcctl new -P S/l rwlock --cap 4
	prints free ipcctl get S/l
	prints shared ipcctl lock S/l --shared -- ipcctl get S/l
	prints exclusive ipcctl lock S/l -- ipcctl get S/l
	prints 0 bash -c 'ipcctl lock S/l --shared -- ipcctl lock S/l --shared --nowait -- true; echo $?'
	prints 5 bash -c 'ipcctl lock S/l --shared -- ipcctl lock S/l --nowait -- true 2>/dev/null; echo $?'
	prints 5 bash -c 'ipcctl lock S/l -- ipcctl lock --shared S/l --nowait -- true 2>/dev/null; echo $?'
	prints 124 bash -c 'ipcctl lock S/l -- ipcctl lock --shared S/l -t 10ms -- true 2>/dev/null; echo $?'
	prints free ipcctl get S/l
	fails 2 ipcctl lock S/l --shared
	fails 2 ipcctl lock S/l --shred -- true
	ipcctl reset S/l
}

@test "who names the readers of a rwlock, and a killed one is none" {
	ipcctl new -P S/l rwlock
	mkfifo go
	background ipcctl lock S/l --shared -- sh -c 'read x <go'
	until_true ipcctl wait S/l --for 'used=1' -t 60s
	prints 'reader yes' ipcctl who S/l -o ROLE,ALIVE --noheadings
	[ "$(ipcctl stat S/l -j | jq .readers)" = 1 ]
	child_of "$pid"
	background ipcctl lock S/l -- true
	until_true ipcctl wait S/l --for 'waiters>0' -t 60s
	kill -9 "$child"
	ends "$pid" 0
	prints free ipcctl get S/l
}

@test "a once runs CMD until it has ended well, and never again" {
	ipcctl new -P S/o once
	prints pending ipcctl get S/o
	prints 3 bash -c 'ipcctl lock S/o -- sh -c "exit 3"; echo $?'
	prints pending ipcctl get S/o
	fails 5 ipcctl wait S/o --nowait
	prints 137 bash -c 'ipcctl lock S/o -- sh -c "kill -9 \$\$"; echo $?'
	prints running ipcctl lock S/o -- ipcctl get S/o
	prints done ipcctl get S/o
	prints '' ipcctl lock S/o -- echo again
	ipcctl wait S/o
	[ "$(ipcctl stat S/o -j | jq -c '[.done, .interrupted, .begun]')" = '[true,false,3]' ]
	ipcctl reset S/o
	prints again ipcctl lock S/o -- echo again
	fails 2 ipcctl lock S/o
}

@test "who comes while a once runs waits for its end" {
	ipcctl new -P S/o once
	mkfifo go
	background ipcctl lock S/o -- sh -c 'read x <go'
	first=$pid
	until_true ipcctl wait S/o --for 'running=true' -t 60s
	fails 5 ipcctl lock S/o --nowait -- echo second
	fails 5 ipcctl reset S/o
	prints 'runner yes' ipcctl who S/o -o ROLE,ALIVE --noheadings
	background ipcctl lock S/o -- echo second
	until_true ipcctl wait S/o --for 'waiters>0' -t 60s
	echo x >go
	ends "$pid" 0
	ends "$first" 0
	[ ! -s out ]
}

@test "a once whose ipcctl was killed is run again when CMD has ended" {
	ipcctl new -P S/o once
	mkfifo go
	background ipcctl lock S/o -- sh -c 'read x <go'
	until_true ipcctl wait S/o --for 'running=true' -t 60s
	child_of "$pid"
	kill -9 "$pid"
	wait "$pid" || true
	fails 5 ipcctl lock S/o --nowait -- echo second
	echo x >go
	prints second ipcctl lock S/o -t 60s -- echo second
	prints done ipcctl get S/o
}

@test "a latch lets through when it is counted down" {
	ipcctl new -P S/l latch --cap 3
	fails 5 ipcctl await S/l --nowait
	fails 11 ipcctl countdown S/l 4
	background ipcctl await S/l
	ipcctl countdown S/l
	prints 2 ipcctl get S/l
	ipcctl countdown S/l 2
	ends "$pid" 0
	ipcctl await S/l
	ipcctl reset S/l
	prints 3 ipcctl get S/l
}

@test "arrive --wait is a party: it waits, gives up without a trace, and breaks the barrier when it is killed" {
	ipcctl new -P S/b barrier
	fails 124 ipcctl arrive S/b --wait -t 50ms
	fails 5 ipcctl arrive S/b --wait --nowait
	[ "$(field S/b arrived)" = 0 ]
	background ipcctl arrive S/b --wait
	until_true sh -c '[ "$(ipcctl show -j S/b | jq .arrived)" = 1 ]'
	ipcctl who S/b | grep -q party
	ipcctl arrive S/b --wait
	ends "$pid" 0
	prints 1 ipcctl get S/b
	background ipcctl arrive S/b --wait
	until_true sh -c '[ "$(ipcctl show -j S/b | jq .arrived)" = 1 ]'
	kill -9 "$pid"
	ends "$pid" 137
	fails 9 ipcctl arrive S/b --wait
	ipcctl show S/b | tail -1 | grep -qx 'next ipcctl reset S/b'
	ipcctl reset S/b
	[ "$(field S/b broken)" = false ]
}

@test "a barrier opens when all have arrived" {
	ipcctl new -P S/b barrier
	fails 5 ipcctl wait S/b --nowait
	ipcctl arrive S/b
	fails 5 ipcctl reset S/b
	prints 0 ipcctl get S/b
	ipcctl arrive S/b
	prints 1 ipcctl get S/b
	ipcctl reset S/b
}
