#!/usr/bin/env bats
# set fail get await claim then lease reset, on a future
load common

@test "a future has no value until it is set, once" {
	ipcctl new -P S/f future --type i64
	fails 5 ipcctl get S/f
	fails 5 ipcctl await S/f --nowait
	fails 124 ipcctl await S/f -t 1ms
	[ "$(field S/f state)" = pending ]
	fails 6 ipcctl set S/f abc
	ipcctl set S/f -12
	prints -12 ipcctl get S/f
	prints -12 ipcctl await S/f
	prints '' ipcctl wait S/f
	fails 4 ipcctl set S/f 13
	fails 4 ipcctl fail S/f why
	[ "$(field S/f state)" = set ]
	ipcctl reset S/f
	fails 5 ipcctl get S/f
	ipcctl set S/f 14
	prints 14 ipcctl get S/f
	prints '' ipcctl fsck S
}

@test "a value of any type, exact in JSON" {
	ipcctl new -P S/t future
	ipcctl set S/t 123
	prints '"123"' ipcctl get -j S/t
	prints '"123"' ipcctl await -j S/t
	ipcctl new S/u future --type u64
	ipcctl set S/u 18446744073709551615
	prints 18446744073709551615 ipcctl get -j S/u
	ipcctl new S/r future --type '{u32 id; f64 px}'
	ipcctl set S/r '{"px":1.5,"id":7}'
	prints '{"id":7,"px":1.5}' ipcctl get S/r
	ipcctl new S/l future
	head -c 200000 /dev/zero | tr '\0' x | ipcctl set S/l -
	[ "$(ipcctl get S/l | wc -c)" -eq 200001 ]
}

@test "await is woken by set, and by fail" {
	ipcctl new -P S/f future
	background ipcctl await S/f
	until_true ipcctl wait S/f --for 'waiters>0' -t 60s
	ipcctl set S/f hello
	ends "$pid" 0
	[ "$(cat out)" = hello ]
	ipcctl reset S/f
	background ipcctl await S/f
	until_true ipcctl wait S/f --for 'waiters>0' -t 60s
	ipcctl fail S/f 'no such host'
	ends "$pid" 1
	[ "$(cat err)" = 'ipcctl: await S/f: no such host' ]
	[ ! -s out ]
	fails 1 ipcctl get S/f
	says 'no such host'
	fails 1 ipcctl get -j S/f
}

@test "claim sets or breaks it by the end of its command" {
	ipcctl new -P S/f future
	fails 2 ipcctl claim S/f
	ipcctl claim S/f -- ipcctl set S/f done
	prints 'done' ipcctl get S/f
	ipcctl reset S/f
	run -3 ipcctl claim S/f -- sh -c 'exit 3'
	fails 9 ipcctl get S/f
	fails 9 ipcctl await S/f
	fails 9 ipcctl set S/f late
	[ "$(field S/f state)" = broken ]
	ipcctl reset S/f
	fails 5 ipcctl get S/f
}

@test "who waits learns that the claimant was killed" {
	ipcctl new -P S/f future
	background ipcctl claim S/f -- sleep 1000
	claimant=$pid
	child_of "$claimant"
	until_true ipcctl wait S/f --for 'claimed=true' -t 60s
	fails 5 ipcctl claim S/f -- true
	fails 5 ipcctl reset S/f
	[ "$(ipcctl who S/f -o ROLE,ALIVE --noheadings | xargs)" = 'holder yes' ]
	background ipcctl await S/f
	until_true ipcctl wait S/f --for 'waiters>0' -t 60s
	kill -9 "$claimant"
	wait "$claimant" || true
	# As with flock(1), what inherited the claim has it still.
	fails 5 ipcctl claim S/f -- true
	kill -9 "$child"
	ends "$pid" 9
	prints '' ipcctl fsck S
}

@test "then leaves texts, and lease runs a command on each when it is completed" {
	ipcctl new -P S/f future
	ipcctl then S/f 'echo one; ipcctl get S/f'
	ipcctl then S/f 'echo two'
	fails 5 ipcctl lease S/f --nowait -- sh
	[ "$(field S/f continuations)" = 2 ]
	ipcctl set S/f value
	run -3 ipcctl lease S/f -- sh -c 'exit 3'
	[ "$(field S/f continuations)" = 2 ]
	prints 'one
value' ipcctl lease S/f -- sh
	prints two ipcctl lease S/f -- sh
	fails 5 ipcctl lease S/f --nowait -- sh
	[ "$(field S/f continuations)" = 0 ]
}

@test "a worker that waits gets what is left before and after completion" {
	ipcctl new -P S/f future --type u8
	background ipcctl lease S/f -n 2 -- cat
	until_true ipcctl wait S/f --for 'waiters>0' -t 60s
	ipcctl then S/f first
	ipcctl set S/f 1
	until_true grep -qx first out
	ipcctl then S/f second
	ends "$pid" 0
	[ "$(xargs <out)" = 'first second' ]
}

@test "what a killed worker had is given to the next" {
	ipcctl new -P S/f future
	ipcctl then S/f work
	ipcctl set S/f v
	background ipcctl lease S/f -- sleep 1000
	worker=$pid
	child_of "$worker"
	fails 5 ipcctl lease S/f --nowait -- cat
	kill -9 "$worker"
	wait "$worker" || true
	prints work ipcctl lease S/f -t 60s -- cat
}

@test "dump and load keep the value, or that there is none" {
	ipcctl new -P S/f future --type '{u32 id; str:4 s}'
	ipcctl dump S/f | ipcctl load S/none
	fails 5 ipcctl get S/none
	ipcctl set S/f '{"id":1,"s":"ab"}'
	ipcctl dump S/f | ipcctl load S/g
	prints '{"id":1,"s":"ab"}' ipcctl get S/g
	ipcctl cp S/f S/h
	prints '{"id":1,"s":"ab"}' ipcctl get S/h
}
