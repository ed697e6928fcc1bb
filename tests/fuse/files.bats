#!/usr/bin/env bats
# What the files are called, what is in them, how large and whose they are.
load helper

@test "every file of the table is there, with its mode and its value" {
	ipcctl new S --mode 0600
	ipcctl new S/q queue --cap 8 --type u32
	ipcctl push S/q 5 6 7
	ipcctl new S/a array --type f64 --cap 3
	ipcctl new S/m map
	ipcctl set S/m/k v
	ipcctl new S/s semaphore --cap 3
	serve
	is 'README
S
by-pid
version' ls "$M"
	is 'a
info
m
participants
q
s' ls "$M/S"
	is 'all.json cap ctl health holders items kind push stats type used waiters ' \
		sh -c 'ls "$1" | tr "\n" " "' - "$M/S/q"
	is 'all.json cap ctl health holders items kind raw stats type used waiters ' \
		sh -c 'ls "$1" | tr "\n" " "' - "$M/S/a"
	is 'all.json cap ctl health holders items kind stats type used waiters ' \
		sh -c 'ls "$1" | tr "\n" " "' - "$M/S/m"
	is 'cap ctl health holders kind stats type used value waiters ' \
		sh -c 'ls "$1" | tr "\n" " "' - "$M/S/s"
	is 'queue
u32
8
3
ok' sh -c 'cd "$1" && cat kind type cap used health' - "$M/S/q"
	is '3' cat "$M/S/s/value"
	is '5
6
7' cat "$M/S/q/all.json"
	is '{"key":"k","value":"v"}' cat "$M/S/m/all.json"
	is '0
0
0' cat "$M/S/a/items/0" "$M/S/a/items/1" "$M/S/a/items/2"
	is '' cat "$M/S/q/holders" "$M/S/q/waiters" "$M/S/q/push" "$M/S/q/ctl"
	is '500
400
400
600
600
500
400' stat -c %a "$M/S" "$M/S/info" "$M/S/q/used" "$M/S/q/push" "$M/S/q/ctl" "$M/S/a/items" "$M/S/a/items/0"
}

@test "info and stats are lines of key and value, and agree with ipcctl" {
	ipcctl new S --size 2MiB --max 2MiB
	ipcctl new S/q queue
	ipcctl push S/q a b c
	ipcctl pop S/q
	serve
	for key in size used free objects attached dead health; do
		equal "$(sed -n "s/^$key //p" "$M/S/info")" "$(ipcctl show -j S | jq -r ".$key")"
	done
	equal "$(sed -n 's/^format //p' "$M/S/info")" 1
	is 3 sed -n 's/^pushed //p' "$M/S/q/stats"
	is 1 sed -n 's/^popped //p' "$M/S/q/stats"
	run grep -vE '^[a-z_]+ [^ ]+$' "$M/S/q/stats"
	[ -z "$output" ]
}

@test "an item is found with leading zeros and without, listed with the width of the last" {
	ipcctl new -P S/a array --type u8 --cap 12
	ipcctl set S/a/7 77
	serve
	is '00
01
02
03
04
05
06
07
08
09
10
11' ls "$M/S/a/items"
	is 77 cat "$M/S/a/items/7"
	is 77 cat "$M/S/a/items/07"
	is 77 cat "$M/S/a/items/0007"
	equal "$(stat -c %i "$M/S/a/items/7")" "$(stat -c %i "$M/S/a/items/0007")"
	for name in 12 -1 x 7x 0x7 ' 7' 99999999999999999999999; do
		refuses 'No such file' cat "$M/S/a/items/$name"
	done
	ipcctl new S/q queue --cap 4
	for i in 1 2 3 4 5 6 7 8 9 10 11; do
		ipcctl push S/q "v$i"
		[ "$i" -ge 11 ] || ipcctl pop S/q >/dev/null
	done
	is 10 ls "$M/S/q/items"
	is v11 cat "$M/S/q/items/0010"
	refuses 'No such file' cat "$M/S/q/items/9"
}

@test "keys are names: what a name cannot hold is escaped, what is too long is cut and hashed" {
	long=$(printf 'k%.0s' $(seq 300))
	other=${long}x
	umlauts=$(printf 'ü%.0s' $(seq 200))
	control=$(printf 'a\tb\nc\177')
	ipcctl new -P S/m map
	ipcctl set 'S/m/plain key' 1
	ipcctl set 'S/m/with/slash' 2
	ipcctl set 'S/m/100%' 3
	ipcctl set 'S/m/.hidden' 4
	ipcctl set 'S/m/not.hidden' 5
	ipcctl set "S/m/$control" 6
	ipcctl set 'S/m/' 7
	ipcctl set "S/m/$long" 8
	ipcctl set "S/m/$other" 9
	ipcctl set "S/m/$umlauts" 10
	serve
	cd "$M/S/m/items"
	is '1 2 3 4 5 6 7' sh -c 'cat "plain key" with%2Fslash 100%25 %2Ehidden not.hidden a%09b%0Ac%7F % | paste -sd" "'
	# Each long one has a name of at most 255 bytes that leads to it, and no two the same.
	equal "$(ls | wc -l)" 10
	equal "$(ls | sort -u | wc -l)" 10
	equal "$(ls | LC_ALL=C awk 'length > 255' | wc -l)" 0
	is '8
9' sh -c 'cat k*~* | sort'
	is 10 sh -c 'cat ü*~*'
	# As a command line sees them, no directory shows a hidden file.
	equal "$(ls -A | grep -c '^\.')" 0
	refuses 'No such file' cat 'with%2'
	refuses 'No such file' cat "kkkk~0123456789abcdef"
}

@test "sizes are exact, of the path and of the open file, for every file" {
	ipcctl new -P S/q queue
	ipcctl push S/q one 'second line' ''
	ipcctl new S/a array --type '{u32 id; f64 px}' --cap 5
	ipcctl new S/m map --type json
	ipcctl set S/m/k '{"a":[1,2,3]}'
	ipcctl new S/s semaphore
	serve
	py <<-'EOF'
	import os
	n = 0
	for d, dirs, files in os.walk(os.environ['M']):
	    for f in files:
	        p = os.path.join(d, f)
	        with open(p, 'rb') as o:
	            size = os.fstat(o.fileno()).st_size
	            data = o.read()
	            assert size == len(data) == os.stat(p).st_size == os.fstat(o.fileno()).st_size, p
	            assert o.seek(0, 2) == size, p
	            if f not in ('raw', 'holders', 'waiters', 'push', 'ctl'):
	                assert data.endswith(b'\n'), p
	            n += 1
	assert n > 50, n
	EOF
}

@test "sizes are exact while others push and pop" {
	ipcctl new -P S/q queue --cap 64
	serve
	(while kill -0 $$; do
		ipcctl push S/q abc defgh --nowait
		ipcctl pop S/q -n 2 --nowait
		ipcctl push S/q 1 22 333 4444 --nowait
		ipcctl pop S/q -n 4 --nowait
	done) >/dev/null 2>&1 3>&- &
	pids+=($!)
	py <<-'EOF'
	import os, time
	p = os.environ['M'] + '/S/q/all.json'
	seen = set()
	end = time.monotonic() + 60
	i = -1
	while True:
	    i += 1
	    with open(p, 'rb', buffering=0) as f:
	        a = os.fstat(f.fileno()).st_size
	        data = b''
	        while True:
	            c = f.read(1 + i % 50)
	            if not c: break
	            data += c
	        b = os.fstat(f.fileno()).st_size
	        assert a == b == len(data), (a, b, len(data))
	        for l in data.splitlines():
	            assert l in (b'"abc"', b'"defgh"', b'"1"', b'"22"', b'"333"', b'"4444"'), l
	        seen.add(data)
	    if i >= 200 and len(seen) > 3: break
	    if i >= 200 and time.monotonic() > end: break
	assert len(seen) > 1, 'nothing changed'
	EOF
}

@test "an opened file is a snapshot; read from its beginning again it is rendered anew" {
	ipcctl new -P S/q queue
	ipcctl push S/q one two
	serve
	py <<-'EOF'
	import os, subprocess
	p = os.environ['M'] + '/S/q/'
	def run(*a): subprocess.run(a, check=True, timeout=60)
	a = os.open(p + 'all.json', os.O_RDONLY)
	u = os.open(p + 'used', os.O_RDONLY)
	assert os.read(u, 100) == b'2\n'
	assert os.read(a, 3) == b'"on'
	run('ipcctl', 'push', 'S/q', 'three')
	assert os.read(a, 100) == b'e"\n"two"\n'
	assert os.fstat(a).st_size == 12
	assert os.stat(p + 'all.json').st_size == 20
	b = os.open(p + 'all.json', os.O_RDONLY)
	assert os.fstat(b).st_size == 20 and os.fstat(a).st_size == 12
	assert os.pread(a, 100, 0) == b'"one"\n"two"\n"three"\n'
	assert os.fstat(a).st_size == 20
	assert os.read(u, 100) == b''
	assert os.pread(u, 100, 0) == b'3\n'
	# A reader who comes by way of the descriptor has a snapshot of his own.
	run('ipcctl', 'push', 'S/q', 'four')
	with open('/proc/self/fd/%d' % u) as f: assert f.read() == '4\n'
	assert os.pread(b, 100, 6) == b'"two"\n"three"\n'
	EOF
}

@test "what appears and disappears is seen at once" {
	serve
	for i in 1 2; do
		refuses 'No such file' stat "$M/S"
		ipcctl new S
		is directory stat -c %F "$M/S"
		is 'info
participants' ls "$M/S"
		ipcctl new S/q queue
		is queue cat "$M/S/q/kind"
		first=$(stat -c %i "$M/S/q")
		ipcctl push S/q "v$i"
		is "v$i" cat "$M/S/q/items/0"
		ipcctl pop S/q >/dev/null
		refuses 'No such file' cat "$M/S/q/items/0"
		ipcctl rm S/q
		refuses 'No such file' cat "$M/S/q/kind"
		ipcctl new S/q array --cap 2
		is array cat "$M/S/q/kind"
		[ "$(stat -c %i "$M/S/q")" != "$first" ]
		ipcctl mv S/q r
		refuses 'No such file' stat "$M/S/q"
		is array cat "$M/S/r/kind"
		ipcctl rm S
		refuses 'No such file' stat "$M/S/r"
		run ls "$M"
		[[ $output != *S* ]]
	done
}

@test "a directory that was removed while somebody is in it says so" {
	ipcctl new -P S/q queue
	ipcctl push S/q x
	serve
	cd "$M/S/q"
	exec 8<used
	ipcctl rm S/q
	run cat kind
	[ "$status" -ne 0 ]
	run ls
	[ "$status" -ne 0 ]
	ipcctl new S/q queue
	is 0 cat "$M/S/q/used"
	exec 8<&-
	cd /
}

@test "inode numbers stay the same, and those of the listing are those of the files" {
	ipcctl new -P S/q queue
	ipcctl push S/q a b
	ipcctl new S/m map
	ipcctl set S/m/k v
	serve
	find "$M" -printf '%i %p\n' | sort >one
	exec 8<"$M/S/q/used"
	find "$M" -printf '%i %p\n' | sort >two
	exec 8<&-
	cmp one two
	equal "$(cut -d' ' -f1 one | sort | uniq -d)" ""
	py <<-'EOF'
	import os
	for d, dirs, files in os.walk(os.environ['M']):
	    for e in os.scandir(d):
	        assert e.inode() == os.lstat(e.path).st_ino, e.path
	EOF
}

@test "modes are those of the table and of the segment, owner and group those of its file" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to give files away"
	serve
	ipcctl new S --mode 0640
	ipcctl new S/q queue
	ipcctl push S/q x
	chown 1:2 "$IPK_DIR/S.ipk"
	modes() { stat -c '%a %u:%g' "$M/S" "$M/S/info" "$M/S/q" "$M/S/q/used" "$M/S/q/items/0" "$M/S/q/push"; }
	equal "$(modes)" "550 1:2
440 1:2
550 1:2
440 1:2
440 1:2
600 1:2"
	chmod 0444 "$IPK_DIR/S.ipk"
	equal "$(modes)" "555 1:2
444 1:2
555 1:2
444 1:2
444 1:2
400 1:2"
	equal "$(stat -c %a "$M" "$M/README" "$M/by-pid")" "555
444
555"
}

@test "a file that is no segment is a directory that says why, and does not disturb" {
	ipcctl new -P S/q queue
	echo garbage >"$IPK_DIR/x.ipk"
	: >"$IPK_DIR/empty.ipk"
	head -c 300000 /dev/urandom >"$IPK_DIR/noise.ipk"
	cp "$IPK_DIR/S.ipk" "$IPK_DIR/cut.ipk"
	truncate -s 20000 "$IPK_DIR/cut.ipk"
	cp "$IPK_DIR/S.ipk" "$IPK_DIR/version.ipk"
	ln -s S.ipk "$IPK_DIR/link.ipk"
	mkdir "$IPK_DIR/dir.ipk"
	echo x >"$IPK_DIR/other.txt"
	serve
	timeout -k 5 60 ls -lR "$M" >list
	timeout -k 5 60 grep -r '' "$M" >all
	grep -q '^health ' "$M/x/info"
	[ "$(sed -n 's/^health //p' "$M/x/info")" != ok ]
	[ "$(sed -n 's/^health //p' "$M/noise/info")" != ok ]
	is "$(ipcfs --version | cut -d' ' -f2)" cat "$M/version"
	is queue cat "$M/S/q/kind"
	refuses 'No such file' stat "$M/other"
	refuses 'No such file' stat "$M/dir"
}

@test "extended attributes say kind and type" {
	ipcctl new -P S/a array --type '{u32 id; f64 px}' --cap 2
	serve
	is array getfattr --only-values -n user.ipk.kind "$M/S/a"
	is '{u32 id; f64 px}' getfattr --only-values -n user.ipk.type "$M/S/a/items/0"
	is "user.ipk.kind
user.ipk.type" sh -c 'getfattr "$1/S/a" 2>/dev/null | grep user' - "$M"
	refuses 'No such attribute' getfattr -n user.other "$M/S/a"
	refuses 'No such attribute' getfattr -n user.ipk.kind "$M/S"
	is '' getfattr "$M/S"
	mkdir copy
	is '' cp -a "$M/S/a" copy
	is '' cmp "$M/S/a/all.json" copy/a/all.json
}

@test "raw is the elements' bytes" {
	ipcctl new -P S/a array --type u16 --cap 4
	ipcctl set S/a/0..4 1 2 515 65535
	serve
	is 8 stat -c %s "$M/S/a/raw"
	py <<-'EOF'
	import array, os
	a = array.array('H')
	with open(os.environ['M'] + '/S/a/raw', 'rb') as f: a.fromfile(f, 4)
	assert list(a) == [1, 2, 515, 65535]
	EOF
}

@test "participants, holders, waiters and by-pid show who has to do with what" {
	ipcctl new -P S/s semaphore --cap 1
	ipcctl new S/q queue
	serve
	background ipcctl pop S/q
	popper=$pid
	background ipcctl acquire S/s -- sleep 300
	until_true has_waiter q
	until_true test -s "$M/S/s/holders"
	until_true grep -q "^$popper " "$M/S/participants"
	equal "$(cut -f1 "$M/S/q/waiters")" "$popper"
	equal "$(cut -f3,6 "$M/S/q/waiters")" "ipcctl	yes"
	equal "$(awk -F'\t' '{print NF}' "$M/S/q/waiters")" 6
	# start is the process's start time, as in /proc/PID/stat
	equal "$(cut -f2 "$M/S/q/waiters")" "$(sed 's/.*) //' "/proc/$popper/stat" | cut -d' ' -f20)"
	is "waits:S:q" ls "$M/by-pid/$popper"
	is "../../S/q" readlink "$M/by-pid/$popper/waits:S:q"
	is queue cat "$M/by-pid/$popper/waits:S:q/kind"
	holder=$(cut -f1 "$M/S/s/holders")
	is "holds:S:s" ls "$M/by-pid/$holder"
	is 0 cat "$M/by-pid/$holder/holds:S:s/value"
	refuses 'No such file' stat "$M/by-pid/1/holds:S:s"
	refuses 'No such file' stat "$M/by-pid/$popper/holds:S:q"
	ipcctl push S/q x
	until_true ended "$popper"
	refuses 'No such file' stat "$M/by-pid/$popper"
}

@test "reading writes nothing into the segment" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to become another user"
	ipcctl new S --mode 0444
	ipcctl new S/q queue
	ipcctl push S/q a b c
	ipcctl new S/m map
	ipcctl set S/m/k v
	serve
	cp "$IPK_DIR/S.ipk" before
	timeout -k 5 60 ls -lR "$M" >/dev/null
	timeout -k 5 60 grep -r a "$M" >/dev/null
	timeout -k 5 60 tar cf - -C "$M" . | cat >/dev/null
	cmp before "$IPK_DIR/S.ipk"
}

@test "nothing is made, removed or renamed, and nothing written without --rw" {
	ipcctl new -P S/m map
	ipcctl set S/m/k v
	ipcctl new S/q queue
	ipcctl new S/a array --cap 2
	serve
	for dir in "$M" "$M/S" "$M/S/m" "$M/S/m/items" "$M/by-pid"; do
		refuses 'not permitted' mkdir "$dir/new"
		refuses 'not permitted' ln -s x "$dir/new"
	done
	refuses 'not permitted' rmdir "$M/S"
	refuses 'not permitted' rm "$M/S/q/used"
	refuses 'not permitted' mv "$M/S/q" "$M/S/r"
	refuses 'not permitted' mv "$M/S" "$M/T"
	refuses 'Read-only' rm "$M/S/m/items/k"
	refuses 'Read-only' mv "$M/S/m/items/k" "$M/S/m/items/l"
	refuses 'Read-only' touch "$M/S/m/items/l"
	refuses 'Read-only' sh -c 'echo x >"$1"' - "$M/S/m/items/k"
	refuses 'Read-only' sh -c 'echo x >"$1"' - "$M/S/q/push"
	refuses 'Read-only' sh -c 'echo close >"$1"' - "$M/S/q/ctl"
	refuses 'Read-only' sh -c 'echo 1 >"$1"' - "$M/S/a/items/0"
	refuses 'Read-only' chmod 777 "$M/S/q/used"
	is v cat "$M/S/m/items/k"
	is 0 cat "$M/S/q/used"
}

@test "a stack shows its items from the bottom, leased ones above the top" {
	ipcctl new -P S/x stack --cap 20
	seq 0 10 | ipcctl push S/x -
	serve --rw
	x=$M/S/x
	is '00 01 02 03 04 05 06 07 08 09 10' bash -c 'cd "$1/items"; echo *' - "$x"
	is 7 cat "$x/items/07"
	is 7 cat "$x/items/7"
	is 11 cat "$x/used"
	is 20 cat "$x/cap"
	equal "$(head -n 2 "$x/all.json" | xargs)" '0 1'
	background ipcctl lease S/x -- sleep 1000
	until_true grep -q lease "$x/holders"
	is 11 cat "$x/used"
	is 10 cat "$x/items/10"
	ipcctl push S/x new
	is new cat "$x/items/10"
	is 10 cat "$x/items/11"
	refuses 'No such file' cat "$x/items/12"
	echo pushed >"$x/push"
	is pushed ipcctl peek S/x
	is 'pushed' timeout 60 head -n 1 "$x/.wait/pop"
	refuses 'not permitted' rm "$x/items/3"
}

@test "a derived stream says by what it is derived and how much is left to do" {
	ipcctl new S
	ipcctl new S/temps stream --type f64
	ipcctl derive S/hot S/temps 'filter($ > 30) | map($ - 30)'
	ipcctl emit S/temps 29 31 32
	serve
	is 'pipeline temps | filter($ > 30) | map($ - 30)
behind 3' grep -E '^(pipeline|behind) ' "$M/S/hot/stats"
	ipcctl derive --run S/hot --nowait
	is 'behind 0' grep '^behind ' "$M/S/hot/stats"
	is $'1\n2' cat "$M/S/hot/log"
}
