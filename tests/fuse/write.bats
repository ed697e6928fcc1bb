#!/usr/bin/env bats
# Writing items and values, with --rw.
load helper

# put TEXT FILE: as a shell does, through its own echo
put() {
	timeout -k 5 60 bash -c 'echo "$1" >"$2"' - "$1" "$2"
}

@test "an item of an array is set when it is closed, one trailing newline dropped" {
	ipcctl new -P S/a array --type f64 --cap 4
	ipcctl new S/s array --type str:8 --cap 2
	serve --rw
	equal "$(stat -c %a "$M/S/a/items/1" "$M/S/a/used" "$M/S/a/items" | xargs)" '600 400 500'
	put 2.5 "$M/S/a/items/1"
	is 2.5 ipcctl get S/a/1
	put 3 "$M/S/a/items/0002"
	is 3 cat "$M/S/a/items/2"
	printf 'x\n\n' >"$M/S/s/items/0"
	equal "$(ipcctl get -j S/s/0)" '"x\n"'
	printf y >"$M/S/s/items/0"
	is '"y"' ipcctl get -j S/s/0
	: >"$M/S/s/items/0"
	is '""' ipcctl get -j S/s/0
	# Nothing is stored before it is closed.
	exec 8>"$M/S/a/items/3"
	printf 7 >&8
	is 0 ipcctl get S/a/3
	exec 8>&-
	is 7 ipcctl get S/a/3
}

@test "what is no value of the type is an error of the write or of the close, and changes nothing" {
	ipcctl new -P S/a array --type i8 --cap 2
	ipcctl set S/a/0 5
	ipcctl new S/t array --type '{u32 id; f64 px}' --cap 1
	ipcctl new S/m map --type u16
	serve --rw
	refuses 'Invalid argument' put abc "$M/S/a/items/0"
	refuses 'out of range' put 200 "$M/S/a/items/0"
	refuses 'Invalid argument' put '' "$M/S/a/items/0"
	refuses 'Invalid argument' put '{"id":1}' "$M/S/t/items/0"
	refuses 'Invalid argument' put x "$M/S/m/items/new"
	refuses 'No such file' cat "$M/S/m/items/new"
	refuses 'not permitted' put 1 "$M/S/a/items/2"
	refuses 'denied' put 1 "$M/S/a/all.json"
	refuses 'denied' put 1 "$M/S/a/raw"
	is 5 ipcctl get S/a/0
	py <<-'EOF'
	import errno, os
	p = os.environ['M'] + '/S/a/items/0'
	fd = os.open(p, os.O_WRONLY | os.O_TRUNC)
	os.write(fd, b'12x')
	try: os.close(fd)
	except OSError as e: assert e.errno == errno.EINVAL, e
	else: assert False, 'close said nothing'
	assert open(p).read() == '5\n'
	EOF
	# A value that comes in pieces, and on several lines, is one value.
	printf '{"id":1,\n"px":2}\n' >"$M/S/t/items/0"
	is '{"id":1,"px":2}' ipcctl get S/t/0
	(printf '{"id":7,'; /bin/echo '"px":8}') >"$M/S/t/items/0"
	is '{"id":7,"px":8}' ipcctl get S/t/0
}

@test "keys of a map are made, set, renamed and removed as files" {
	ipcctl new -P S/m map
	serve --rw
	cd "$M/S/m/items"
	equal "$(stat -c %a .)" 700
	put one new
	is one ipcctl get S/m/new
	is 600 stat -c %a new
	put two new
	is two ipcctl get S/m/new
	put slash 'a%2Fb'
	is slash ipcctl get S/m/a/b
	put dot .x
	is dot ipcctl get S/m/.x
	is dot cat %2Ex
	refuses 'Invalid argument' put x '50%'
	refuses 'too long' put x "$(printf 'n%.0s' $(seq 256))"
	put percent '50%25'
	is percent ipcctl get 'S/m/50%'
	touch touched
	is '' ipcctl get S/m/touched
	: >empty
	is '' ipcctl get S/m/empty
	mv new renamed
	is two ipcctl get S/m/renamed
	refuses 'No such file' cat new
	mv renamed empty
	is two ipcctl get S/m/empty
	mv -n empty touched
	is two ipcctl get S/m/empty
	rm empty
	refuses 'No such file' cat empty
	run ipcctl get S/m/empty
	[ "$status" -eq 3 ]
	refuses 'No such file' rm empty
	sed -i 's/slash/SLASH/' 'a%2Fb'
	is SLASH ipcctl get S/m/a/b
	cp 'a%2Fb' copy
	is SLASH ipcctl get S/m/copy
	echo more >>copy
	is 'SLASH
more' ipcctl get S/m/copy
	refuses 'not permitted' mkdir d
	refuses 'not permitted' ln copy hard
	refuses 'not permitted' ln -s copy soft
	refuses 'not permitted' mkfifo fifo
	refuses 'not permitted' touch ../new
	refuses 'not permitted' mv copy ..
	refuses 'not permitted' rm ../used
	refuses 'not permitted' chmod 777 copy
	refuses 'not permitted' chown 1:1 copy
	rm *
	is 0 ipcctl show S/m -o used 2>/dev/null || equal "$(ipcctl show -j S/m | jq .used)" 0
	cd /
}

@test "values of a set are names: touch adds one, rm removes it" {
	ipcctl new -P S/x set
	ipcctl add S/x red a/b
	serve --rw
	cd "$M/S/x/items"
	is 'a%2Fb red' bash -c 'echo *'
	is 400 stat -c %a red
	is '' cat red
	touch new
	touch new red
	is true ipcctl has S/x new
	is 3 cat ../used
	: >colon
	is true ipcctl has S/x colon
	refuses 'Invalid argument' put text late
	refuses 'Permission denied' put text red
	rm red new 'a%2Fb'
	refuses 'No such file' rm red
	is false bash -c 'ipcctl has S/x red || true'
	mv colon renamed
	rm late
	is renamed ipcctl get S/x
	is '"renamed"' cat ../all.json
	refuses 'not permitted' mkdir d
	cd /
}

@test "a key too long for a name is read, changed and removed by its cut name" {
	long=$(printf 'k%.0s' $(seq 400))
	ipcctl new -P S/m map
	ipcctl set "S/m/$long" v
	serve --rw
	name=$(ls "$M/S/m/items")
	put w "$M/S/m/items/$name"
	is w ipcctl get "S/m/$long"
	equal "$(ls "$M/S/m/items")" "$name"
	rm "$M/S/m/items/$name"
	equal "$(ls "$M/S/m/items")" ''
}

@test "Python writes in place, appends, truncates and makes what must not exist" {
	ipcctl new -P S/m map
	serve --rw
	py <<-'EOF'
	import os, subprocess
	def get(k): return subprocess.run(['ipcctl', 'get', '-r', 'S/m/' + k], stdout=subprocess.PIPE, timeout=60).stdout
	os.chdir(os.environ['M'] + '/S/m/items')
	big = 'x' * 3000000
	with open('k', 'w') as f: f.write(big)
	assert os.path.getsize('k') == len(big) + 1
	assert get('k') == big.encode()
	with open('k', 'r+') as f:
	    f.seek(1000)
	    f.write('YY')
	    f.flush()
	    assert os.fstat(f.fileno()).st_size == len(big) + 1
	    f.seek(999)
	    assert f.read(4) == 'xYYx'
	    f.truncate(1002)
	assert get('k') == b'x' * 1000 + b'YY'
	with open('k', 'a') as f: f.write('tail')
	assert get('k') == b'x' * 1000 + b'YY\ntail'
	fd = os.open('new', os.O_RDWR | os.O_CREAT | os.O_EXCL)
	try: os.open('k', os.O_RDWR | os.O_CREAT | os.O_EXCL)
	except FileExistsError: pass
	else: assert False
	os.write(fd, b'ab')
	os.ftruncate(fd, 1)
	assert os.fstat(fd).st_size == 1 and os.pread(fd, 9, 0) == b'a'
	assert not os.path.exists('new')
	os.fsync(fd)
	os.close(fd)
	assert get('new') == b'a'
	os.truncate('k', 0)
	assert get('k') == b''
	os.utime('k')
	fd = os.open('k', os.O_RDONLY)
	os.remove('k')
	assert os.fstat(fd).st_size == 1
	EOF
}

@test "an editor changes an item" {
	ipcctl new -P S/a array --type u32 --cap 2
	serve --rw
	printf '1s/.*/42/\nw\nq\n' >script
	if command -v ed >/dev/null; then
		timeout -k 5 60 ed -s "$M/S/a/items/1" <script
	elif command -v vim >/dev/null; then
		timeout -k 5 60 vim -es -n -u NONE -c '%s/.*/42/' -c wq "$M/S/a/items/1" </dev/null
	else
		skip "neither ed nor vim"
	fi
	is 42 ipcctl get S/a/1
}

@test "ctl closes and repairs; what it does not know is an error" {
	ipcctl new -P S/q queue
	ipcctl push S/q x
	ipcctl new S/a array --cap 2
	serve --rw
	refuses 'Invalid argument' put bogus "$M/S/q/ctl"
	refuses 'Invalid argument' put 'clos' "$M/S/q/ctl"
	refuses 'not supported' put close "$M/S/a/ctl"
	put repair "$M/S/q/ctl"
	put close "$M/S/q/ctl"
	run timeout 60 ipcctl push S/q y
	[ "$status" -eq 10 ]
	is x ipcctl pop S/q
	run timeout 60 ipcctl pop S/q
	[ "$status" -eq 10 ]
	is '' cat "$M/S/q/ctl"
}

@test "a segment that cannot be written refuses, in words" {
	ipcctl new -P S/a array --cap 2
	chmod 0444 "$IPK_DIR/S.ipk"
	[ "$(id -u)" -ne 0 ] || skip "root may write everywhere"
	serve --rw
	refuses 'denied' put 1 "$M/S/a/items/0"
}
