#!/usr/bin/env bats
# What went wrong in other systems, each as something that must not happen here.
load common

@test "new never wipes a segment or an object that is there" { # ZeroIPC, ipmpsc, VenomMemory
	ipcctl new -P S/q queue --cap 4
	ipcctl push S/q kept
	run -4 ipcctl new S
	run -4 ipcctl new S/q queue --cap 8
	run -4 ipcctl new S/q array --cap 8
	prints kept ipcctl pop S/q --nowait
}

@test "waiting for a latch does not count it down" { # ZeroIPC
	ipcctl new -P S/l latch --cap 2
	run -5 ipcctl wait S/l --nowait
	run -124 ipcctl wait S/l -t 10ms
	prints 2 ipcctl get S/l
	ipcctl countdown S/l
	prints 1 ipcctl get S/l
}

@test "the type is the object's, and no guess" { # ZeroIPC
	ipcctl new -P S/f array --type f64 --cap 2
	ipcctl set S/f/0 1
	ipcctl new S/s queue --type str:8
	ipcctl push S/s 1234
	ipcctl new S/i array --type i8 --cap 1
	ipcctl set S/i/0 -1
	[ "$(ipcctl get S/f/0 -j)" = 1 ] || [ "$(ipcctl get S/f/0 -j)" = 1.0 ]
	[ "$(ipcctl pop S/s -j)" = '"1234"' ]
	prints -1 ipcctl get S/i/0
	run ipcctl set S/i/0 128
	[ "$status" -ne 0 ]
	run ipcctl push S/s 123456789
	[ "$status" -ne 0 ]
	prints -1 ipcctl get S/i/0
}

@test "a full queue is told by the exit status and loses nothing" { # Elgate, redis
	ipcctl new -P S/q queue --cap 2
	ipcctl push S/q a b
	run -5 ipcctl push S/q c --nowait
	prints $'a\nb' ipcctl pop S/q -n 2
	run -5 ipcctl pop S/q --nowait
}

@test "a value that cannot be written out is not lost" { # Elgate: short writes are ignored
	ipcctl new -P S/q queue
	ipcctl push S/q kept
	run bash -c 'ipcctl pop S/q >/dev/full'
	[ "$status" -ne 0 ]
	prints kept ipcctl pop S/q --nowait
}

@test "a killed ipcctl leaves its name usable" { # iceoryx2
	local i
	for i in 1 2 3 4 5 6 7 8; do
		ipcctl new -P S/q queue >/dev/null 2>&1 3>&- &
		pids+=($!)
		kill -9 $! 2>/dev/null || true
		wait $! 2>/dev/null || true
	done
	ipcctl rm S/q 2>/dev/null || true
	ipcctl new -P S/q queue
	ipcctl push S/q here
	prints here ipcctl pop S/q
}
