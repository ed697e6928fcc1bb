#!/usr/bin/env bats
# new rm grow ls tree show mv cp
load common

@test "a segment is one file with the mode that was asked for, whatever the umask" {
	umask 077
	ipcctl new S
	ipcctl new T --mode 0640
	ipcctl new U --mode 666
	[ "$(stat -c %a "$IPK_DIR/S.ipk" "$IPK_DIR/T.ipk" "$IPK_DIR/U.ipk" | xargs)" = '600 640 666' ]
	[ "$(ls "$IPK_DIR" | xargs)" = 'S.ipk T.ipk U.ipk' ]
	fails 2 ipcctl new V --mode 9
	fails 2 ipcctl new V --mode rw
	fails 2 ipcctl new V --mode 01777
}

@test "--group sets the group, by number and by name" {
	[ "$(id -u)" -eq 0 ] || skip "only root may give a file to any group"
	ipcctl new S --group 65534
	ipcctl new T --group "$(getent group 65534 | cut -d: -f1)"
	[ "$(stat -c %g "$IPK_DIR/S.ipk" "$IPK_DIR/T.ipk" | xargs)" = '65534 65534' ]
	fails 2 ipcctl new U --group no-such-group
	fails 2 ipcctl new U --group -1
}

@test "creation is exclusive, and --if-absent takes what is there" {
	ipcctl new -P S/q queue
	ipcctl push S/q kept
	fails 4 ipcctl new S
	ipcctl new S --if-absent
	fails 4 ipcctl new S/q queue
	ipcctl new S/q queue --if-absent
	ipcctl new S/q queue --if-absent --type str
	fails 6 ipcctl new S/q queue --if-absent --type u8
	fails 4 ipcctl new S/q array --if-absent
	prints kept ipcctl pop S/q
}

@test "of many that create one name, one wins" {
	local i
	for i in 1 2 3 4 5 6 7 8; do
		ipcctl new S >"out$i" 2>&1 3>&- && touch "won$i" &
	done
	wait
	[ "$(ls won* | wc -l)" -eq 1 ]
	ipcctl fsck S
}

@test "-P makes the missing segment, and takes one that is there" {
	fails 3 ipcctl new S/q queue
	says 'with -P'
	ipcctl new -P S/q queue --size 2M --mode 0640
	[ "$(field S size)" -ge 2097152 ]
	[ "$(stat -c %a "$IPK_DIR/S.ipk")" = 640 ]
	ipcctl new -P S/r queue
	prints 'q
r' ipcctl ls S -o name --noheadings
}

@test "-P makes no segment for what cannot be made" {
	fails 2 ipcctl new -P S/q queue --cap 0
	fails 2 ipcctl new -P S/r ring --producers few
	fails 6 ipcctl new -P S/q queue --type foo
	fails 6 ipcctl new -P S/q quue
	fails 2 ipcctl new -P S/q queue --recursive
	fails 3 ipcctl show S
}

@test "every kind is made by its name alone" {
	local kind
	ipcctl new S
	for kind in $(ipcctl schema | jq -r '.kinds[].name'); do
		ipcctl new "S/$kind" "$kind"
		[ "$(field "S/$kind" kind)" = "$kind" ]
		[ "$(field "S/$kind" health)" = ok ]
		ipcctl fsck "S/$kind"
	done
	[ "$(field S/array type),$(field S/array cap)" = f64,1024 ]
	[ "$(field S/queue type),$(field S/queue cap)" = str,1024 ]
	[ "$(field S/semaphore cap)" = 1 ]
	[ "$(field S/map type),$(field S/map key)" = str,str ]
}

@test "absurd sizes are refused in a line each" {
	local size
	for size in 0 -1 x 1.5 1Q '' ' ' 9223372036854775808 18446744073709551616 99999999999999999999999E 16E; do
		fails 2 ipcctl new S --size "$size"
		[ ! -e "$IPK_DIR/S.ipk" ]
	done
	fails 2 ipcctl new S --size 4M --max 1M
	ipcctl new S
	for size in 0 -1 x 18446744073709551616; do
		fails 2 ipcctl new S/q queue --cap "$size"
	done
	for size in 9223372036854775808 18446744073709551615 1E; do
		run --separate-stderr ipcctl new S/q queue --cap "$size"
		[ "$status" -eq 2 ] || [ "$status" -eq 11 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		run --separate-stderr ipcctl new S/a array --type 'u8[1000]' --cap "$size"
		[ "$status" -eq 2 ] || [ "$status" -eq 11 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
	done
	prints '' ipcctl ls S --noheadings
	ipcctl fsck S
}

@test "a segment grows on demand and by grow, up to its maximum" {
	ipcctl new S --size 64K --max 4M
	[ "$(field S size)" = 65536 ]
	ipcctl grow S 1MiB
	[ "$(field S size)" = 1048576 ]
	ipcctl grow S 64K
	[ "$(field S size)" = 1048576 ]
	ipcctl new S/a array --type u8 --cap 2M
	[ "$(field S size)" -gt 2097152 ]
	fails 11 ipcctl grow S 8M
	fails 11 ipcctl new S/b array --type u8 --cap 4M
	fails 2 ipcctl grow S x
	fails 3 ipcctl grow T 1M
	ipcctl fsck S
}

@test "names that break the rules are refused" {
	local name long
	long=$(printf 'x%.0s' {1..64})
	for name in '' . .. .a -a 'a b' "$long" 'ä' $'a\nb' $'a\033[31mb' 'a*' version README by-pid; do
		run --separate-stderr ipcctl new -- "$name"
		[ "$status" -eq 2 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		[[ $stderr != *$'\033'* ]]
	done
	[ -z "$(ls -A "$IPK_DIR")" ]
	ipcctl new "${long:1}"
	for name in . .. .a 'a b' "$long" $'a\nb' info participants; do
		run --separate-stderr ipcctl new "${long:1}/$name" queue
		[ "$status" -eq 2 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
	done
	ipcctl new "${long:1}/${long:1}" queue
	ipcctl push "${long:1}/${long:1}" a
	prints a ipcctl pop "${long:1}/${long:1}"
	prints "${long:1}" ipcctl ls "${long:1}" -o NAME --noheadings
}

@test "a path names a segment too" {
	ipcctl new "$PWD/a.ipk"
	ipcctl new ./a.ipk/jobs queue
	ipcctl push ./a.ipk/jobs x
	mkdir sub
	cd sub
	prints x ipcctl pop ../a.ipk/jobs
	ipcctl rm ../a.ipk
	[ ! -e ../a.ipk ]
}

@test "foreign files and links are refused, never followed or changed" {
	echo precious >file
	cp file "$IPK_DIR/x.ipk"
	ln -s "$PWD/file" "$IPK_DIR/link.ipk"
	fails 4 ipcctl new x
	fails 4 ipcctl new link
	fails 7 ipcctl new -P x/q queue
	fails 7 ipcctl show x
	fails 7 ipcctl rm x
	run --separate-stderr ipcctl show link
	[ "$status" -eq 7 ] && [ "${#stderr_lines[@]}" -eq 1 ]
	run --separate-stderr ipcctl rm link
	[ "$status" -ne 0 ]
	cmp file "$IPK_DIR/x.ipk"
	[ -L "$IPK_DIR/link.ipk" ]
	ipcctl ls
}

@test "rm takes several, goes on after one that is missing, and ends with the first failure" {
	ipcctl new S
	ipcctl new -P T/q queue
	ipcctl new T/r queue
	fails 3 ipcctl rm none S T/q
	prints T ipcctl ls -o NAME --noheadings
	prints r ipcctl ls T -o NAME --noheadings
	prints 'would remove T/r
would remove T' ipcctl rm --dry-run T/r T
	ipcctl rm T/r T
	prints '' ipcctl ls --noheadings
}

@test "rm gives the memory back" {
	local used i
	ipcctl new S
	used=$(field S used)
	for i in 1 2 3; do
		ipcctl new S/q queue --cap 100
		ipcctl push S/q "$(head -c 100000 /dev/zero | tr '\0' x)"
		ipcctl new S/a array
		ipcctl rm S/q S/a
		[ "$(field S used)" = "$used" ]
	done
}

@test "rm of a segment wakes who waits in it" {
	ipcctl new -P S/q queue
	background ipcctl pop S/q
	until_true ipcctl wait S/q --for 'waiters>0' -t 60s
	ipcctl rm S
	[ ! -e "$IPK_DIR/S.ipk" ]
	ends "$pid" 3
}

@test "ls shows the columns of the contract, -l more, -o those that are named" {
	ipcctl new -P S/q queue --cap 16
	ipcctl push S/q a
	prints 'NAME KIND TYPE USED CAP BYTES ATTACHED DEAD' bash -c 'ipcctl ls S | head -1 | xargs'
	prints 'NAME KIND TYPE USED CAP BYTES ATTACHED DEAD' bash -c 'ipcctl ls | head -1 | xargs'
	prints 'q queue str 1 16' bash -c 'ipcctl ls S | tail -1 | xargs | cut -d" " -f1-5'
	ipcctl ls S -l | head -1 | grep -q HEALTH
	prints '1 q' bash -c 'ipcctl ls S -o used,NAME --noheadings | xargs'
	[[ $(ipcctl ls S -b -o BYTES --noheadings) =~ ^\ *[0-9]+$ ]]
	[ "$(ipcctl ls -b -o BYTES --noheadings | xargs)" = "$(field S size)" ]
	fails 2 ipcctl ls -o NAME,
	fails 2 ipcctl ls -o BYTE
	says 'BYTES'
	fails 3 ipcctl ls none
}

@test "a directory for segments that is not there is named as what it is" {
	IPK_DIR=$IPK_DIR/none
	for verb in ls tree gc; do
		fails 3 ipcctl "$verb"
		[[ $line == *"$IPK_DIR: no such directory" ]]
	done
}

@test "ls counts who has an object open" {
	ipcctl new -P S/q queue
	background ipcctl pop S/q
	until_true ipcctl wait S/q --for 'waiters>0' -t 60s
	prints '1 0' bash -c 'ipcctl ls S -o ATTACHED,DEAD --noheadings | xargs'
	prints '1 0' bash -c 'ipcctl ls -o ATTACHED,DEAD --noheadings | xargs'
}

@test "ls -j is a record a line, sorted by name" {
	ipcctl new -P S/b queue
	ipcctl new S/a array --cap 3
	ipcctl new S/c semaphore
	[ "$(ipcctl ls S -j | jq -rs 'map(.v | tostring) | join("")')" = 111 ]
	[ "$(ipcctl ls S -j | jq -r '.name + ":" + .kind' | xargs)" = 'a:array b:queue c:semaphore' ]
	[ "$(ipcctl ls -j | jq -r '.name, .kind, .attached, .dead' | xargs)" = 'S segment 0 0' ]
	[ "$(ipcctl ls S -j -o name | jq -c . | head -1)" = '{"v":1,"name":"a"}' ]
}

@test "ls of an object lists its items" {
	ipcctl new -P S/q queue
	ipcctl push S/q a bb
	prints 'KEY BYTES REDELIVERED LEASED VALUE 0 1 0 no a 1 2 0 no bb' bash -c 'ipcctl ls S/q -b | xargs'
}

@test "tree draws what there is" {
	ipcctl new -P S/q queue
	ipcctl new -P S/r array
	ipcctl new T
	prints 'S
├── q  queue str 0/1024
└── r  array f64 1024/1024
T' ipcctl tree
	LC_ALL=C ipcctl tree S | grep -q '^|-- q'
	[ "$(LC_ALL=C ipcctl tree S/r | cut -c1-5 | paste -sd,)" = 'S,`-- r' ]
	fails 3 ipcctl tree S/none
	[ "$(ipcctl tree -j | jq -r '.segment + "/" + .name' | xargs)" = 'S/q S/r' ]
}

@test "show of an object and of a segment has the fields of the contract" {
	ipcctl new -P S/q queue --type u32 --cap 5
	ipcctl push S/q 1 2
	[ "$(ipcctl show -j S/q | jq -r '[.v, .name, .kind, .type, .cap, .used, .health] | join(" ")')" = '1 q queue u32 5 2 ok' ]
	ipcctl show -j S/q | jq -e '.bytes > 0'
	ipcctl show -j S | jq -e '.v == 1 and .name == "S" and .size > 0 and .used > 0 and .free > 0 and
		.objects == 1 and .attached == 0 and .dead == 0 and .health == "ok"'
	ipcctl show S/q | grep -qx 'used 2'
	ipcctl show S/q | tail -1 | grep -qx 'next ipcctl pop S/q'
	ipcctl show S | tail -1 | grep -q '^next ipcctl '
	ipcctl show S/q -p | head -1 | grep -qx '{'
}

@test "what show says is next can be typed" {
	ipcctl new S
	$(ipcctl show S | sed -n 's/^next //p')
	ipcctl push S/jobs a
	$(ipcctl show S/jobs | sed -n 's/^next //p')
}

@test "what show says is next is what the object's state asks for" {
	ipcctl new -P S/l latch
	ipcctl show S/l | tail -1 | grep -qx 'next ipcctl countdown S/l'
	ipcctl countdown S/l
	ipcctl show S/l | tail -1 | grep -qx 'next ipcctl reset S/l'
	ipcctl new S/s semaphore
	ipcctl show S/s | tail -1 | grep -qx 'next ipcctl acquire S/s -- CMD'
	ipcctl acquire S/s
	ipcctl show S/s | tail -1 | grep -qx 'next ipcctl who S/s'
	ipcctl new S/f future
	ipcctl fail S/f why
	ipcctl show S/f | tail -1 | grep -qx 'next ipcctl reset S/f'
	ipcctl new S/p pool --cap 1
	ipcctl show S/p | tail -1 | grep -qx 'next ipcctl acquire S/p -- CMD'
	ipcctl add S/p x
	ipcctl show S/p | tail -1 | grep -qx 'next ipcctl who S/p'
	local kind verb
	for kind in queue stack ring stream channel; do
		ipcctl new S/$kind $kind
		verb=push
		[ $kind != channel ] || verb=send
		[ $kind = stream ] || ipcctl $verb S/$kind x
		ipcctl close S/$kind
		[ $kind = stream ] || ipcctl drain S/$kind
		ipcctl show S/$kind | tail -1 | grep -qx "next ipcctl rm S/$kind"
	done
}

@test "what show says is next looks after what is damaged, and what the dead left" {
	local at
	ipcctl new -P S/q queue
	at=$(grep -abo iobj "$IPK_DIR/S.ipk" | head -n 1)
	head -c 64 /dev/zero | tr '\0' '\377' |
		dd of="$IPK_DIR/S.ipk" bs=1 seek=$((${at%%:*} + 256)) conv=notrunc status=none
	ipcctl show S/q | tail -1 | grep -qx 'next ipcctl fsck S/q'
	ipcctl new -P T/q queue
	background ipcctl pop T/q
	until_true ipcctl wait T/q --for 'waiters>0' --nowait
	kill -9 "$pid"
	until_true ipcctl wait T --for dead=1 --nowait
	ipcctl show T | tail -1 | grep -qx 'next ipcctl gc'
}

@test "mv renames objects and segments" {
	ipcctl new -P S/q queue
	ipcctl push S/q a
	ipcctl mv S/q r
	ipcctl mv S/r S/s
	prints a ipcctl peek S/s
	fails 3 ipcctl peek S/q
	ipcctl mv S T
	prints a ipcctl peek T/s
	fails 3 ipcctl show S
	fails 2 ipcctl mv T/s U/s
	fails 2 ipcctl mv T/s 'a b'
	fails 3 ipcctl mv T/none x
	fails 3 ipcctl mv none x
	ipcctl fsck T
}

@test "cp copies objects and segments" {
	ipcctl new -P S/q queue --cap 7
	ipcctl push S/q a b
	ipcctl new S/a array --type u8 --cap 3
	ipcctl set S/a/1 9
	ipcctl cp S/q S/r
	ipcctl new T
	ipcctl cp S/a T
	ipcctl cp S/a T/b
	prints '0
9
0' ipcctl get T/b
	cmp <(ipcctl get T/a) <(ipcctl get T/b)
	prints 'a
b' ipcctl peek S/r -n 9
	[ "$(field S/r cap)" = 7 ]
	ipcctl cp S U
	prints 'a q r' bash -c 'ipcctl ls U -o NAME --noheadings | xargs'
	fails 4 ipcctl cp S U
	fails 3 ipcctl cp S/none S/x
	fails 2 ipcctl cp S S/x
}

@test "a hundred objects are found by name, and their removal leaves nothing" {
	local i used
	ipcctl new S
	used=$(field S used)
	for ((i = 0; i < 100; i++)); do echo "new S/o$i queue --cap 4"; done | ipcctl batch -
	[ "$(field S objects)" = 100 ]
	[ "$(ipcctl ls S --noheadings | wc -l)" -eq 100 ]
	for ((i = 0; i < 100; i++)); do echo "rm S/o$i"; done | ipcctl batch -
	[ "$(field S objects),$(field S used)" = "0,$used" ]
	ipcctl fsck S
}

@test "a full file system is an error at creation, and leaves nothing" {
	[ "$(id -u)" -eq 0 ] || skip "only root can mount a small tmpfs"
	mkdir small
	mount -t tmpfs -o size=2M tmpfs small || skip "no mount here"
	mounted=$PWD/small
	IPK_DIR=$mounted fails 11 ipcctl new S --size 4M
	[ -z "$(ls -A small)" ]
	IPK_DIR=$mounted ipcctl new S --size 1M --max 64M
	IPK_DIR=$mounted fails 11 ipcctl grow S 8M
	IPK_DIR=$mounted fails 11 ipcctl new S/a array --type u8 --cap 8M
	IPK_DIR=$mounted ipcctl new S/q queue
	IPK_DIR=$mounted ipcctl push S/q a
	IPK_DIR=$mounted prints a ipcctl pop S/q
	IPK_DIR=$mounted ipcctl fsck S
}

# refused CALL ARGUMENT ERRNO COMMAND...: runs it where a filter refuses the system call with that second argument (-1: any)
refused() {
	python3 -c '
import ctypes, os, struct, sys
nr, arg, error = (int(a) for a in sys.argv[1:4])
word = lambda code, jt, jf, k: struct.pack("HBBI", code, jt, jf, k & 0xffffffff)
second = [word(0x20, 0, 0, 24), word(0x15, 0, 1, arg)] if arg >= 0 else []
code = [word(0x20, 0, 0, 0), word(0x15, 0, len(second) + 1, nr)] + second
code += [word(6, 0, 0, 0x50000 | error), word(6, 0, 0, 0x7fff0000)]
text = ctypes.create_string_buffer(b"".join(code))
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
prctl = ctypes.CDLL(None).prctl
if prctl(38, 1, 0, 0, 0) or prctl(22, 2, ctypes.byref(Program(len(code), ctypes.addressof(text))), 0, 0):
    sys.exit(77)
os.execvp(sys.argv[4], sys.argv[4:])
' "$@"
}

@test "where file locks are refused nobody takes part unseen, and a line says why" {
	[ "$(uname -m)" = x86_64 ] || skip "the numbers of the system calls are those of x86-64"
	ipcctl new -P S/q queue
	ipcctl push S/q a
	for error in 1 22 38; do
		fails 11 refused 72 37 "$error" ipcctl pop S/q
		[[ $line == *'S: file locks (F_OFD_SETLK) are refused here'* ]]
	done
	[ "$(refused 72 37 1 ipcctl peek S/q)" = a ]
}

@test "where futex_waitv is refused waiting ends all the same" {
	[ "$(uname -m)" = x86_64 ] || skip "the numbers of the system calls are those of x86-64"
	ipcctl new -P S/q queue
	for error in 1 38; do
		background refused 449 -1 "$error" ipcctl pop S/q
		until_true eval 'ipcctl who S/q | grep -q waiter'
		ipcctl push S/q "$error"
		ends "$pid" 0
		[ "$(cat out)" = "$error" ]
	done
}

@test "a sparse segment on a full file system refuses what has no room, and keeps what it took" {
	[ "$(id -u)" -eq 0 ] || skip "only root can mount a small file system"
	local i n=0
	place=$(mktemp -d "${TMPDIR:-/tmp}/ipk-cli.XXXXXX")
	mounted=$place
	mount -t tmpfs -o size=1m none "$place"
	IPK_DIR=$place ipcctl new S --sparse --size 4M
	IPK_DIR=$place ipcctl new S/q queue --cap 100
	head -c 200000 /dev/zero | tr '\0' x >big
	for i in 1 2 3 4 5 6 7; do
		status=0
		IPK_DIR=$place ipcctl push S/q --value-file big 2>err || status=$?
		[ "$status" -eq 0 ] || [ "$status" -eq 11 ]
		[ "$status" -ne 0 ] || n=$((n + 1))
	done
	[ "$n" -gt 2 ] && [ "$n" -lt 7 ]
	# an array that is all holes takes what has room, and says when there is none
	IPK_DIR=$place ipcctl new S/a array --cap 400K
	IPK_DIR=$place fails 11 ipcctl fill S/a 7
	says 'file system is full'
	[ "$(IPK_DIR=$place ipcctl drain S/q -r | wc -c)" -eq $((n * 200000)) ]
	IPK_DIR=$place prints '' ipcctl fsck S
}

@test "a segment that a descriptor names has no name to remove" {
	ipcctl new -P "$PWD/S.ipk/q" queue
	exec 7<>S.ipk
	fails 2 ipcctl rm "/proc/$BASHPID/fd/7"
	exec 7>&-
	[ -e S.ipk ]
	cat >memfd.py <<-'E'
	import os, subprocess
	fd = os.memfd_create("x")
	os.write(fd, open("S.ipk", "rb").read())
	ref = "/proc/%d/fd/%d" % (os.getpid(), fd)
	for status, words in (0, ["push", ref + "/q", "a"]), (2, ["rm", ref]), (0, ["rm", ref + "/q"]):
	    assert subprocess.call(["ipcctl"] + words) == status, words
	E
	python3 memfd.py
}
