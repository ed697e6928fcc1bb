#!/usr/bin/env bats
# dump and load: the round trip is exact
load common

@test "a queue's dump is a header and a JSON value a line" {
	ipcctl new -P S/q queue --cap 16
	ipcctl push S/q a 'b "c"'
	prints '{"v":1,"dump":"q","kind":"queue","type":"str","params":{"cap":"16"}}
"a"
"b \"c\""' ipcctl dump S/q
	prints 'a
b "c"' ipcctl peek S/q -n 2
}

@test "load makes the object as it was" {
	ipcctl new -P S/q queue --cap 16 --type '{u64 id; f64 px}'
	ipcctl push S/q '{"id":18446744073709551615,"px":0.1}' '{"id":0,"px":-0.0}'
	ipcctl dump S/q >d1
	ipcctl rm S/q
	ipcctl load S/q <d1
	ipcctl dump S/q | cmp - d1
	[ "$(field S/q cap),$(field S/q used)" = 16,2 ]
	ipcctl load S/other <d1
	ipcctl dump S/other | tail -n 2 | cmp - <(tail -n 2 d1)
}

@test "any bytes survive" {
	local i
	ipcctl new -P S/q queue --type bytes
	for i in 1 2 3 4 5 6 7 8; do
		head -c $((i * 997)) /dev/urandom >"blob$i"
		ipcctl push S/q -r --value-file "blob$i"
	done
	ipcctl push S/q ''
	ipcctl dump S/q | ipcctl load S/r
	for i in 1 2 3 4 5 6 7 8; do
		ipcctl pop S/r -r | cmp - "blob$i"
	done
	prints '' ipcctl pop S/r
}

@test "an array of floats survives to the last bit" {
	ipcctl new -P S/a array --cap 512
	head -c 4096 /dev/urandom | ipcctl set -r S/a/0..512 -
	ipcctl dump S/a | ipcctl load S/b
	cmp <(ipcctl get -r S/a) <(ipcctl get -r S/b)
}

@test "a map survives, with keys and values of any kind" {
	ipcctl new -P S/m map --type u64
	ipcctl set S/m/a/b 18446744073709551615
	ipcctl set S/m/ 0
	ipcctl set "S/m/with \"quotes\"" 7
	ipcctl dump S/m | ipcctl load S/n
	cmp <(ipcctl dump S/m | tail -n +2 | sort) <(ipcctl dump S/n | tail -n +2 | sort)
	prints 18446744073709551615 ipcctl get S/n/a/b
	prints 0 ipcctl get S/n/
	ipcctl new S/i map --key i32 --type str
	ipcctl set S/i/-5 minus
	ipcctl dump S/i | ipcctl load S/j
	prints minus ipcctl get S/j/-5
}

@test "load appends to what is there, and refuses another schema" {
	ipcctl new -P S/q queue
	ipcctl push S/q a
	ipcctl dump S/q >d
	ipcctl load S/q <d
	prints 'a
a' ipcctl pop S/q -n 2
	ipcctl new S/r queue --type u8
	fails 6 ipcctl load S/r <d
	ipcctl new S/a array
	fails 6 ipcctl load S/a <d
}

@test "a damaged dump names the line, and how many went in" {
	ipcctl new -P S/q queue --type u8
	ipcctl push S/q 1 2 3
	ipcctl dump S/q | sed '3s/.*/"x"/' >bad
	fails 6 ipcctl load S/r <bad
	says 'line 3'
	says '1 went in'
	fails 6 ipcctl load S/t </dev/null
	fails 6 ipcctl load S/t < <(echo garbage)
	fails 6 ipcctl load S/t < <(echo '{"v":1}')
	fails 6 ipcctl load S/t < <(echo '{"v":1,"dump":"q","kind":"nonsense","type":"u8","params":{}}')
	fails 6 ipcctl load S/t < <(echo '{"v":1,"dump":"q","kind":"queue","type":"u9","params":{}}')
	fails 6 ipcctl load S/t < <(echo '{"v":1,"dump":"q","kind":"queue","type":"u8","params":{"cap":"x"}}')
	fails 3 ipcctl show S/t
	ipcctl fsck S
}

@test "what holds no values says so" {
	ipcctl new -P S/s semaphore
	fails 6 ipcctl dump S/s
}

@test "a copied file is read like the segment, and nothing is written" {
	ipcctl new -P S/q queue
	ipcctl push S/q a b
	cp "$IPK_DIR/S.ipk" copy.ipk
	sum=$(sha256sum <copy.ipk)
	chmod 444 copy.ipk
	prints 'a
b' ipcctl peek ./copy.ipk/q -n 2
	ipcctl dump ./copy.ipk/q | ipcctl load S/r
	ipcctl ls ./copy.ipk
	ipcctl show ./copy.ipk
	ipcctl who ./copy.ipk
	ipcctl fsck ./copy.ipk
	ipcctl tree ./copy.ipk
	ipcctl stat ./copy.ipk/q
	ipcctl hexdump ./copy.ipk/q
	[ "$(sha256sum <copy.ipk)" = "$sum" ]
}

@test "load and cp say nothing on success, whatever the kind" {
	ipcctl new -P S/p pool --cap 3 --type i32
	ipcctl add S/p 5 6 >/dev/null
	ipcctl dump S/p >d
	prints '' ipcctl cp S/p S/r
	prints '' ipcctl cp S T
	ipcctl rm S/p
	prints '' bash -c 'ipcctl load S/p <d'
	ipcctl dump S/p | cmp - d
}
