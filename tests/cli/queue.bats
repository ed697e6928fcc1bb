#!/usr/bin/env bats
# push pop peek lease drain close
load common

@test "lines of a stream are values, empty ones and an unterminated last one too" {
	ipcctl new -P S/q queue
	printf 'a\n\nb\nlast' | ipcctl push S/q -
	prints 'a

b
last' ipcctl pop S/q -n 4
	printf '' | ipcctl push S/q -
	[ "$(field S/q used)" = 0 ]
}

@test "records end in NUL with -0, in and out" {
	ipcctl new -P S/q queue
	printf 'a\nb\0\0c' | ipcctl push S/q -0 -
	[ "$(field S/q used)" = 3 ]
	ipcctl pop S/q -n 3 -0 | cmp - <(printf 'a\nb\0\0c\0')
}

@test "--raw is exact bytes, in records of the element's size" {
	ipcctl new -P S/q queue --type u32
	printf '\1\0\0\0\2\0\0\0' | ipcctl push -r S/q -
	prints '1
2' ipcctl peek S/q -n 2
	ipcctl pop -r S/q -n 2 | cmp - <(printf '\1\0\0\0\2\0\0\0')
	printf '\1\0\0\0\2' >short
	fails 6 ipcctl push -r S/q - <short
	says '1 went in'
}

@test "--frame=u32 carries values of any length" {
	ipcctl new -P S/q queue --type bytes
	head -c 100000 /dev/urandom >blob
	printf 'a\nb' | ipcctl push S/q -r -
	ipcctl push S/q -r --value-file blob
	printf '' >empty
	ipcctl push S/q -r --value-file empty
	ipcctl peek S/q -n 3 -r --frame=u32 >framed
	[ "$(stat -c %s framed)" -eq $((4 + 3 + 4 + 100000 + 4)) ]
	ipcctl drain S/q >/dev/null
	ipcctl push S/q -r --frame u32 - <framed
	ipcctl pop S/q -r -n 1 | cmp - <(printf 'a\nb')
	ipcctl pop S/q -r -n 1 | cmp - blob
	ipcctl pop S/q -r -n 1 | cmp - empty
	head -c 50 framed >cut
	fails 6 ipcctl push S/q -r --frame u32 - <cut
	says '1 went in'
}

@test "--value-file gives the value, text without its last newline" {
	ipcctl new -P S/q queue
	printf 'two\nlines\n' >file
	ipcctl push S/q --value-file file
	ipcctl pop S/q | cmp - file
	ipcctl push S/q -r --value-file file
	ipcctl pop S/q -r | cmp - file
	fails 3 ipcctl push S/q --value-file none
	fails 2 ipcctl push S/q --value-file file x
}

@test "all values are parsed before the first goes in" {
	ipcctl new -P S/q queue --type u8
	fails 6 ipcctl push S/q 1 2 x
	says x
	[ "$(field S/q used)" = 0 ]
}

@test "a stream that cannot be parsed says where, and how many went in" {
	ipcctl new -P S/q queue --type u8
	fails 6 ipcctl push S/q - < <(printf '1\n2\nx\n4\n')
	says 'line 3'
	says '2 went in'
	prints '1
2' ipcctl pop S/q -n 2
}

@test "push that is cut short says how many went in" {
	ipcctl new -P S/q queue --cap 2
	fails 5 ipcctl push S/q a b c --nowait
	says '2 of 3 went in'
	fails 5 ipcctl push S/q - --nowait < <(printf 'd\ne\n')
	says '0 went in'
	fails 124 ipcctl push S/q d -t 20ms
}

@test "pop -n prints what came and exits 5, 124 or 10 when cut short" {
	ipcctl new -P S/q queue
	ipcctl push S/q a b
	run --separate-stderr ipcctl pop S/q -n 3 --nowait
	[ "$status,$output" = $'5,a\nb' ]
	ipcctl push S/q a b
	run --separate-stderr ipcctl pop S/q -n 3 -t 20ms
	[ "$status,$output" = $'124,a\nb' ]
	ipcctl push S/q a b
	ipcctl close S/q
	run --separate-stderr ipcctl pop S/q -n 3
	[ "$status,$output" = $'10,a\nb' ]
}

@test "pop -n 0 takes nothing" {
	ipcctl new -P S/q queue
	ipcctl push S/q a
	prints '' ipcctl pop S/q -n 0
	prints a ipcctl pop S/q
}

@test "peek leaves what it shows, and shows no more than there is" {
	ipcctl new -P S/q queue
	ipcctl push S/q a b c
	prints a ipcctl peek S/q
	prints 'a
b
c' ipcctl peek S/q -n 9
	[ "$(field S/q used)" = 3 ]
}

@test "drain takes all that is there, and an empty queue is no failure" {
	ipcctl new -P S/q queue
	seq 1000 | ipcctl push S/q -
	ipcctl drain S/q | cmp - <(seq 1000)
	prints '' ipcctl drain S/q
	ipcctl push S/q a b
	prints a ipcctl drain S/q -n 1
	ipcctl close S/q
	prints b ipcctl drain S/q
}

@test "pop waits for a push" {
	ipcctl new -P S/q queue
	background ipcctl pop S/q
	until_true ipcctl wait S/q --for 'waiters>0' -t 60s
	ipcctl push S/q hello
	ends "$pid" 0
	[ "$(cat out)" = hello ]
}

@test "push waits for room" {
	ipcctl new -P S/q queue --cap 1
	ipcctl push S/q a
	background ipcctl push S/q b
	until_true ipcctl wait S/q --for 'waiters>0' -t 60s
	prints a ipcctl pop S/q
	ends "$pid" 0
	prints b ipcctl pop S/q
}

@test "--follow prints each batch at once and ends with close" {
	ipcctl new -P S/q queue
	background ipcctl pop S/q --follow
	ipcctl push S/q a
	until_true grep -qx a out
	ipcctl push S/q b c
	until_true grep -qx c out
	ipcctl close S/q
	ends "$pid" 0
	[ "$(xargs <out)" = 'a b c' ]
}

@test "lines without end come out as they went in" {
	local n=200000
	[ "${IPK_TEST_LONG:-0}" = 0 ] || n=1000000
	ipcctl new -P S/q queue
	background ipcctl pop S/q -n "$n"
	seq "$n" | ipcctl push S/q -
	ends "$pid" 0
	seq "$n" | cmp - out
	[ "$(field S/q used)" = 0 ]
}

@test "two pushers and two poppers lose and double nothing" {
	local a b c
	ipcctl new -P S/q queue --cap 64
	ipcctl pop S/q --follow >out1 3>&- &
	a=$! pids+=("$!")
	ipcctl pop S/q --follow >out2 3>&- &
	b=$! pids+=("$!")
	seq 1 20000 | ipcctl push S/q - 3>&- &
	c=$! pids+=("$!")
	seq 20001 40000 | ipcctl push S/q -
	wait "$c"
	ipcctl close S/q
	wait "$a" "$b"
	sort -n out1 out2 | cmp - <(seq 40000)
}

@test "what could not be printed goes back, marked" {
	ipcctl new -P S/q queue
	ipcctl push S/q a b
	run bash -c 'ipcctl pop S/q -n 2 >/dev/full'
	[ "$status" -eq 11 ]
	[ "$(field S/q used)" = 2 ]
	prints '{"v":1,"pos":0,"value":"a","redelivered":true}' ipcctl pop S/q --meta
	prints '"b"' ipcctl pop S/q -j
}

@test "a reader that goes away loses nothing" {
	ipcctl new -P S/q queue --cap 100000
	seq 100000 | ipcctl push S/q -
	ipcctl pop S/q -n 100000 | head -n 1 >first || true
	[ "$(cat first)" = 1 ]
	[ "$(field S/q used)" -gt 0 ]
	[ "$(field S/q leased)" = 0 ]
	ipcctl drain S/q | tail -n 1 | grep -qx 100000
}

@test "a killed consumer's items come back" {
	local i
	ipcctl new -P S/q queue
	for i in 1 2 3 4 5; do
		background ipcctl lease S/q -- sleep 1000
		ipcctl push S/q x
		until_true ipcctl wait S/q --for 'leased=1' -t 60s
		child_of "$pid"
		kill -9 "$pid"
		wait "$pid" || true
		kill -9 "$child"
		prints x ipcctl pop S/q -t 60s
	done
	[ "$(field S/q used)" = 0 ]
	ipcctl fsck S
}

@test "lease acknowledges on success, and gives back with the status of CMD" {
	ipcctl new -P S/q queue
	ipcctl push S/q a
	run --separate-stderr ipcctl lease S/q -- sh -c 'cat; exit 3'
	[ "$status,$output" = 3,a ]
	[ "$(field S/q used)" = 1 ]
	prints a ipcctl lease S/q -- cat
	[ "$(field S/q used)" = 0 ]
	fails 5 ipcctl lease S/q --nowait -- cat
	ipcctl push S/q a
	fails 127 ipcctl lease S/q -- /nonexistent
	fails 126 ipcctl lease S/q -- /etc/passwd
	run -143 ipcctl lease S/q -- sh -c 'kill $$'
	[ "$(field S/q used)" = 1 ]
}

@test "lease -n runs CMD for each item" {
	ipcctl new -P S/q queue
	ipcctl push S/q a b c
	prints '[a][b]' ipcctl lease S/q -n 2 -- sh -c 'printf "[%s]" "$(cat)"'
	ipcctl close S/q
	prints '[c]' ipcctl lease S/q --follow -- sh -c 'printf "[%s]" "$(cat)"'
}

@test "the item reaches CMD in the form that was asked for" {
	ipcctl new -P S/q queue
	ipcctl push S/q 'a"b' 'a"b'
	prints '"a\"b"' ipcctl lease -j S/q -- cat
	ipcctl lease -r S/q -- cat | cmp - <(printf 'a"b')
}

@test "structs are JSON with keys in any order" {
	ipcctl new -P S/q queue --type '{u32 id; f64 px; str:8 sym}'
	ipcctl push S/q '{"px":1.5,"sym":"IPK","id":7}'
	fails 6 ipcctl push S/q '{"px":"abc","sym":"IPK","id":7}'
	says '"px"'
	says f64
	fails 6 ipcctl push S/q '{"px":1,"id":7}'
	fails 6 ipcctl push S/q '{"px":1,"id":7,"sym":"x","more":1}'
	fails 6 ipcctl push S/q '{"px":1,"id":7,"sym":"longer than eight"}'
	prints '{"id":7,"px":1.5,"sym":"IPK"}' ipcctl pop S/q
}

@test "64-bit integers and odd floats survive JSON" {
	ipcctl new -P S/u queue --type u64
	ipcctl push S/u 18446744073709551615
	prints 18446744073709551615 ipcctl pop S/u -j
	ipcctl new S/f queue --type f64
	ipcctl push S/f nan inf -inf 0.1 1e300
	prints '"nan"
"inf"
"-inf"
0.1
1e+300' bash -c 'ipcctl pop S/f -n 5 -j | sed "s/^1e300$/1e+300/"'
}

@test "str is any bytes, and JSON shows what it cannot hold as hex" {
	ipcctl new -P S/q queue
	printf 'a\377b' | ipcctl push S/q -
	prints '{"$hex":"61ff62"}' ipcctl peek S/q -j
	ipcctl pop S/q -r | cmp - <(printf 'a\377b')
}

@test "values drive no terminal, and are exact off one" {
	command -v script >/dev/null || skip "no script(1)"
	ipcctl new -P S/q queue
	ipcctl push S/q $'\033[31mred'
	ipcctl peek S/q | cmp - <(printf '\033[31mred\n')
	script -qec 'ipcctl peek S/q' /dev/null </dev/null >seen
	lacks "$(printf '\033')" seen
	grep -qF '\x1b[31mred' seen
}

@test "a claim of another type is refused" {
	ipcctl new -P S/q queue --type u32
	ipcctl push S/q --type u32 1
	fails 6 ipcctl push S/q --type u64 1
	fails 6 ipcctl pop S/q --type str
	fails 6 ipcctl pop S/q --type 'u3 2'
	prints 1 ipcctl pop S/q --type u32
}
