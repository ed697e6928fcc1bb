#!/usr/bin/env bats
# acquire release wait
load common

@test "permits are taken and given back" {
	ipcctl new -P S/s semaphore --cap 2
	ipcctl acquire S/s
	ipcctl acquire S/s --nowait
	fails 5 ipcctl acquire S/s --nowait
	[ "$(field S/s used)" = 2 ]
	ipcctl release S/s
	ipcctl acquire S/s -t 60s
	ipcctl release S/s
	ipcctl release S/s
	[ "$(field S/s used)" = 0 ]
	run --separate-stderr ipcctl release S/s
	[ "$status" -ne 0 ] && [ "${#stderr_lines[@]}" -eq 1 ]
}

@test "who says that a permit taken without CMD is nobody's" {
	ipcctl new -P S/s semaphore
	ipcctl acquire S/s
	[ "$(ipcctl who S/s -j | jq -c '[.pid, .role, .alive]')" = '[0,"nobody",true]' ]
}

@test "acquire holds while CMD runs, and who names the holder" {
	ipcctl new -P S/s semaphore
	[ "$(ipcctl acquire S/s -- ipcctl who S/s -o ROLE,ALIVE --noheadings | xargs)" = 'holder yes' ]
	prints 5 bash -c 'ipcctl acquire S/s -- ipcctl acquire --nowait S/s 2>/dev/null; echo $?'
	[ "$(field S/s used)" = 0 ]
}

@test "a permit outlives a killed ipcctl as long as its CMD" {
	ipcctl new -P S/s semaphore
	mkfifo go
	background ipcctl acquire S/s -- sh -c 'echo $$ >child; read x <go'
	until_true test -s child
	pids+=("$(cat child)")
	kill -9 "$pid"
	wait "$pid" || true
	fails 5 ipcctl acquire S/s --nowait
	echo x >go
	ipcctl acquire S/s -t 60s
}

@test "a permit is held by what CMD left behind, too" {
	ipcctl new -P S/s semaphore
	mkfifo go
	ipcctl acquire S/s -- sh -c '(read x <go) >/dev/null 2>&1 3>&- &'
	fails 5 ipcctl acquire S/s --nowait
	echo x >go
	ipcctl acquire S/s -t 60s
}

@test "a waiter is woken by release" {
	ipcctl new -P S/s semaphore
	ipcctl acquire S/s
	background ipcctl acquire S/s
	until_true ipcctl wait S/s --for 'waiters>0' -t 60s
	ipcctl release S/s
	ends "$pid" 0
}

@test "a waiter is woken when the holder is killed" {
	ipcctl new -P S/s semaphore
	background ipcctl acquire S/s -- sleep 1000
	holder=$pid
	until_true ipcctl wait S/s --for 'used=1' -t 60s
	child_of "$holder"
	background ipcctl acquire S/s -- true
	until_true ipcctl wait S/s --for 'waiters>0' -t 60s
	kill -9 "$child"
	ends "$pid" 0
}

@test "wait looks at any field of show" {
	ipcctl new -P S/q queue --cap 4
	ipcctl push S/q a b
	ipcctl wait S/q --for 'used=2'
	ipcctl wait S/q --for 'used == 2'
	ipcctl wait S/q --for 'used>=2'
	ipcctl wait S/q --for 'used<=2'
	ipcctl wait S/q --for 'used<3'
	ipcctl wait S/q --for 'used>-1'
	ipcctl wait S/q --for 'used!=3'
	ipcctl wait S/q --for 'health=ok'
	ipcctl wait S --for 'objects>0'
	fails 5 ipcctl wait S/q --for 'used>2' --nowait
	fails 2 ipcctl wait S/q --for 'usde>2'
	says 'used'
	fails 2 ipcctl wait S/q --for 'used'
	fails 2 ipcctl wait S/q --for '<3'
	fails 2 ipcctl wait S/q --for 'used<'
	fails 2 ipcctl wait S/q --for 'used<many'
	fails 2 ipcctl wait S/q
	fails 3 ipcctl wait S/none --for 'used>2'
}

@test "wait sees what others do" {
	ipcctl new -P S/q queue
	background ipcctl wait S/q --for 'used>1'
	ipcctl push S/q a b
	ends "$pid" 0
	background ipcctl wait T/q --exists
	ipcctl new -P T/q queue
	ends "$pid" 0
	background ipcctl wait U/q --exists --for 'used=1'
	ipcctl new -P U/q queue
	ipcctl push U/q a
	ends "$pid" 0
}
