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
