#!/usr/bin/env bats
# force peek get set wait reset, on a lazy value
load common

@test "a command is run when the value is wanted, once" {
	ipcctl new -P S/l lazy --type f64 --command 'echo run >>ran; echo 4.5'
	fails 5 ipcctl peek S/l
	says 'not computed yet'
	fails 5 ipcctl get S/l
	fails 5 ipcctl wait S/l --nowait
	fails 124 ipcctl wait S/l -t 1ms
	[ ! -e ran ]
	prints 4.5 ipcctl force S/l
	prints 4.5 ipcctl force S/l
	prints 4.5 ipcctl peek S/l
	prints 4.5 ipcctl get -j S/l
	prints '' ipcctl wait S/l
	[ "$(cat ran)" = run ]
	[ "$(field S/l state)" = ready ]
	[ "$(field S/l command)" = 'echo run >>ran; echo 4.5' ]
	fails 4 ipcctl set S/l 5
	ipcctl reset S/l
	fails 5 ipcctl peek S/l
	prints 4.5 ipcctl force S/l
	[ "$(wc -l <ran)" -eq 2 ]
	prints '' ipcctl fsck S
}

@test "what the command prints is the value, in the words of its type" {
	ipcctl new -P S/s lazy --command 'printf "a b\n\n"'
	[ "$(ipcctl force -j S/s)" = '"a b\n"' ]
	ipcctl new S/r lazy --type '{u32 id; f64 px}' --command 'echo "{\"px\":1.5,\"id\":7}"'
	prints '{"id":7,"px":1.5}' ipcctl force S/r
	ipcctl new S/n lazy --command 'true'
	prints '' ipcctl force S/n
	[ "$(field S/n state)" = ready ]
	ipcctl new S/b lazy --command 'head -c 300000 /dev/zero | tr "\0" x'
	[ "$(ipcctl force S/b | wc -c)" -eq 300001 ]
	ipcctl new S/i lazy --command 'cat'
	prints '' ipcctl force S/i <<<'not for it'
	ipcctl new small --size 64KiB --max 64KiB
	ipcctl new small/b lazy --command 'yes'
	fails 1 ipcctl force small/b
	says 'more than the segment can hold'
}

@test "a failure is kept and told until it is reset" {
	ipcctl new -P S/l lazy --command 'echo run >>ran; [ -e good ] && echo good'
	fails 1 ipcctl force S/l
	says 'the command ended with status 1'
	touch good
	fails 1 ipcctl force S/l
	fails 1 ipcctl peek S/l
	says 'the command ended with status 1'
	fails 1 ipcctl wait S/l
	[ "$(wc -l <ran)" -eq 1 ]
	[ "$(field S/l state)" = failed ]
	[ "$(field S/l reason)" = 'the command ended with status 1' ]
	ipcctl reset S/l
	prints good ipcctl force S/l
	ipcctl new S/t lazy --type u8 --command 'echo abc'
	fails 1 ipcctl force S/t
	says 'what the command printed: wants u8, got "abc"'
	ipcctl new S/k lazy --command 'kill -9 $$'
	fails 1 ipcctl force S/k
	says 'the command was ended by signal 9'
	prints '' ipcctl fsck S
}

@test "one computes it and the others wait" {
	ipcctl new -P S/l lazy --command 'echo run >>ran; until [ -e go ]; do sleep 0.01; done; echo v'
	background ipcctl force S/l
	first=$pid
	until_true ipcctl wait S/l --for 'state=running' -t 60s
	[ "$(ipcctl who S/l -o PID,ROLE --noheadings | xargs)" = "$first evaluator" ]
	fails 5 ipcctl force S/l --nowait
	fails 124 ipcctl force S/l -t 1ms
	fails 5 ipcctl set S/l mine
	ipcctl force S/l >second &
	second=$!
	until_true ipcctl wait S/l --for 'waiters>0' -t 60s
	touch go
	ends "$first" 0
	wait "$second"
	[ "$(cat out second)" = $'v\nv' ]
	[ "$(cat ran)" = run ]
}

@test "who is killed while it is computed is replaced, by who waits" {
	ipcctl new -P S/l lazy --command 'echo run >>ran; until [ -e go ]; do sleep 0.01; done; echo v'
	background ipcctl force S/l
	first=$pid
	until_true ipcctl wait S/l --for 'state=running' -t 60s
	ipcctl force S/l >second &
	second=$!
	until_true ipcctl wait S/l --for 'waiters>0' -t 60s
	kill -9 "$first"
	wait "$first" || true
	until_true sh -c '[ "$(wc -l <ran)" -eq 2 ]'
	touch go
	wait "$second"
	[ "$(cat second)" = v ]
	[ "$(field S/l deaths)" = 1 ]
	[ "$(field S/l evaluations)" = 1 ]
	prints '' ipcctl fsck S
}

@test "who is interrupted has not failed" {
	ipcctl new -P S/l lazy --command '[ -e good ] || { touch begun; exec sleep 1000; }; echo good'
	background ipcctl force S/l
	until_true [ -e begun ]
	kill -TERM "$pid"
	ends "$pid" 130
	[ "$(field S/l state)" = empty ]
	touch good
	prints good ipcctl force S/l
}

@test "what is reset while it is computed is computed anew" {
	ipcctl new -P S/l lazy --command 'echo run >>ran; until [ -e go ]; do sleep 0.01; done; wc -l <ran'
	background ipcctl force S/l
	until_true [ -e ran ]
	ipcctl reset S/l
	touch go
	ends "$pid" 0
	[ "$(cat out)" = 2 ]
	prints 2 ipcctl peek S/l
}

@test "a command that another user may have written is not run unless told to" {
	ipcctl new S --mode 0660
	ipcctl new S/l lazy --command 'touch ran; echo v'
	fails 8 ipcctl force S/l
	says 'may be another user'
	[ ! -e ran ]
	[ "$(field S/l state)" = empty ]
	prints v ipcctl force -y S/l
	prints v ipcctl force S/l
}

@test "what has no command is given its value" {
	ipcctl new -P S/l lazy --type u64
	fails 6 ipcctl force S/l
	says 'programs alone know how to compute it'
	fails 6 ipcctl set S/l abc
	ipcctl set S/l 7
	prints 7 ipcctl force S/l
	fails 2 ipcctl new S/m lazy --command ''
}

@test "dump, load and cp keep the command and the value" {
	ipcctl new -P S/l lazy --type i32 --command 'echo $((6 * 7)) # "quoted"'
	ipcctl dump S/l | ipcctl load S/m
	fails 5 ipcctl peek S/m
	prints 42 ipcctl force S/m
	ipcctl dump S/m | ipcctl load S/n
	prints 42 ipcctl peek S/n
	[ "$(field S/n command)" = 'echo $((6 * 7)) # "quoted"' ]
	ipcctl cp S/m S/o
	prints 42 ipcctl peek S/o
	ipcctl reset S/o
	prints 42 ipcctl force S/o
}

@test "an expression over other objects is computed when it is wanted, once" {
	ipcctl new -P S/price future --type f64
	ipcctl new S/qty array --type u32 --cap 5
	ipcctl set S/qty/3 4
	ipcctl new S/total lazy --type f64 --expr 'price * qty[3] + 1'
	fails 5 ipcctl force S/total
	says '"price" is not there yet'
	ipcctl set S/price 2.5
	prints 11 ipcctl force S/total
	ipcctl set S/qty/3 100
	prints 11 ipcctl force S/total
	ipcctl reset S/total
	prints 251 ipcctl force S/total
	ipcctl new S/all lazy --type 'f64[5]' --expr 'map(qty, $ * price)'
	ipcctl new S/sum lazy --type f64 --expr 'sum(all) + total'
	prints 501 ipcctl force S/sum
	prints '[0,0,0,250,0]' ipcctl peek S/all
	[ "$(field S/sum expression)" = 'sum(all) + total' ]
	ipcctl dump S/sum | ipcctl load S/copy
	ipcctl reset S/copy
	prints 501 ipcctl force S/copy
	prints '' ipcctl fsck S
}

@test "what is wrong with an expression is told when it is made, or forced" {
	ipcctl new -P S/q queue
	fails 2 ipcctl new S/l lazy --expr '1 +'
	says 'column 4'
	fails 2 ipcctl new S/l lazy --expr '1' --command 'echo 1'
	ipcctl new S/l lazy --type i64 --expr 'later + 1'
	fails 3 ipcctl force S/l
	says 'there is no object "later"'
	ipcctl new S/later lazy --type i64 --expr '1 / q.used'
	fails 1 ipcctl force S/l
	says '"later" failed: column 3: division by zero'
	ipcctl push S/q x
	fails 1 ipcctl force S/l
	ipcctl reset S/later
	ipcctl reset S/l
	prints 2 ipcctl force S/l
}
