#!/usr/bin/env bats
# What scripts rely on: typed JSON, one field by name, one line whatever a value holds, the right status
load common

@test "ls -j of an object has keys and values as JSON of their types" {
	ipcctl new -P S/m map --key u32 --type '{u32 id; f64 px}'
	ipcctl set S/m/7 '{"id":1,"px":1.5}'
	prints '{"v":1,"key":7,"value":{"id":1,"px":1.5}}' ipcctl ls S/m -j -o key,value
	prints "$(ipcctl show S/m/7 -j)" ipcctl ls S/m -j
	ipcctl new S/a array --type i64 --cap 2
	ipcctl set S/a/1 -9223372036854775808
	prints '0,-9223372036854775808' bash -c 'ipcctl ls S/a -j -o value | sed "s/.*:\(.*\)}/\1/" | paste -sd,'
	printf '\xff' >bytes
	ipcctl new S/q queue
	ipcctl push S/q --value-file bytes
	prints '{"v":1,"value":{"$hex":"ff"}}' ipcctl ls S/q -j -o value
}

@test "ls and show keep a value on its line, with all of it" {
	ipcctl new -P S/q queue
	printf 'a\nb\0c\033[1m' >value
	ipcctl push S/q --value-file value
	prints 'a\x0ab\x00c\x1b[1m' ipcctl ls S/q -o value --noheadings
	prints 'value a\x0ab\x00c\x1b[1m' ipcctl show S/q/0 -o value
	prints '{"v":1,"value":"a\nb\u0000c\u001b[1m"}' ipcctl ls S/q -j -o value
}

@test "-o names fields of show and stat, and --noheadings leaves their values alone" {
	ipcctl new -P S/q queue --cap 8
	ipcctl push S/q x
	prints $'cap 8\nused 1' ipcctl show S/q -o used,CAP
	prints 1 ipcctl show S/q -o used --noheadings
	prints '{"v":1,"used":1}' ipcctl show S/q -o used -j
	prints x ipcctl show S/q/0 -o value --noheadings
	prints 1 ipcctl stat S/q -o pushed,PUSHED --noheadings
	prints '{"v":1,"objects":1}' ipcctl show S -o objects -j
	fails 2 ipcctl show S/q -o used,usde
	says 'no field "usde"'
	fails 2 ipcctl stat S/q -o ''
}

@test "how many values there are is usage; what they are is not" {
	ipcctl new -P S/m map
	ipcctl new S/a array --cap 4
	ipcctl new S/f future
	ipcctl new S/l lazy
	local ref
	for ref in S/m/k S/a/0 S/f S/l; do
		fails 2 ipcctl set $ref 1 2
		fails 2 ipcctl set $ref - <<<$'1\n2'
	done
	fails 2 ipcctl set S/a/0..3 1 2
	fails 2 ipcctl set S/a/0 1 2 --if-eq 0
	fails 2 ipcctl fill S/a 1 2
	fails 6 ipcctl set S/a/0 x
	prints 0 ipcctl get S/a/0
	fails 3 ipcctl get S/m/k
}

@test "of several values the one that is wrong is named by its number" {
	ipcctl new -P S/q queue --type str:4
	fails 6 ipcctl push S/q ab abcde c
	says 'value 2: 5 bytes do not fit str:4'
	fails 6 ipcctl push S/q abcde
	says 'S/q: 5 bytes do not fit str:4'
	prints 0 ipcctl show S/q -o used --noheadings
}

@test "--follow with -n takes no more than that" {
	ipcctl new -P S/q queue
	ipcctl new S/c channel
	ipcctl push S/q 1 2 3 4 5
	ipcctl send S/c 1 2 3
	prints $'1\n2' ipcctl pop S/q --follow -n 2
	prints $'1\n2' ipcctl recv S/c --follow -n 2
	prints 34 ipcctl lease S/q --follow -n 2 -- tr -d '\n'
	ipcctl close S/q
	prints 5 ipcctl pop S/q --follow -n 2
	prints 0 ipcctl show S/q -o used --noheadings
}

@test "wait does not wait for what can never be" {
	ipcctl new -P S/q queue
	ipcctl new S/s stream
	fails 2 ipcctl wait S/q --for used=abc -t 1s
	fails 2 ipcctl wait S/q --for 'health<5' -t 1s
	fails 2 ipcctl wait S/s --for closed=no -t 1s
	ipcctl wait S/q --for 'used<1K'
	local ref
	for ref in S/q S/s; do
		ipcctl wait $ref --for closed=false
		ipcctl wait $ref --for closed=0
		ipcctl close $ref
		ipcctl wait $ref --for closed=true -t 60s
		ipcctl wait $ref --for closed=1 -t 60s
	done
}

@test "a line of batch with a NUL in it is refused" {
	ipcctl new -P S/l latch
	printf 'countdown S/l\0ess\n' >file
	fails 2 ipcctl batch file
	says 'NUL'
	prints 1 ipcctl get S/l
}

@test "what is wrong with one of several channels is said of that one" {
	ipcctl new -P S/a channel
	ipcctl new S/q queue
	ipcctl new S/b channel --type u8
	fails 6 ipcctl select S/a S/q
	says 'select S/q: '
	fails 3 ipcctl select S/a S/none
	says 'select S/none: '
	fails 6 ipcctl select S/a S/b=x
	says 'select S/b: '
}

@test "a word that is missing is named as usage names it" {
	ipcctl new -P S/f future
	fails 2 ipcctl fail S/f
	says 'wants TEXT: the reason'
}

@test "errors are JSON also where -j is joined with another option" {
	fails 2 ipcctl -qj ls --frobnicate
	[ "$(jq -r .error.exit <<<"$line")" = 2 ]
}
