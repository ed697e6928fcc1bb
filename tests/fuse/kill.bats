#!/usr/bin/env bats
# Readers, users and ipcfs itself killed at any moment: the others go on, and everything is right.
load helper

# Kills PID, exactly, and waits for it.
slay() {
	[ "$1" -gt 1 ]
	kill -9 "$1"
	wait "$1" 2>/dev/null || true
}

@test "readers killed in the middle of large files do not disturb the others" {
	ipcctl new S --size 64MiB
	ipcctl new S/a array --type u64 --cap 200000
	serve
	for i in $(seq 5); do
		background sh -c 'exec cat "$1" >/dev/null' - "$M/S/a/all.json"
		first=$pid
		background sh -c 'exec ls -lR "$1" >/dev/null' - "$M/S"
		sleep "0.0$i"
		kill -9 "$first" "$pid"
		until_true ended "$first"
		until_true ended "$pid"
		is 200000 cat "$M/S/a/used"
	done
	equal "$(timeout 300 sort -u "$M/S/a/all.json")" 0
	equal "$(timeout 300 wc -l <"$M/S/a/all.json")" 200000
}

@test "a reader can be killed while a large file is rendered for it" {
	ipcctl new S --size 128MiB
	ipcctl new S/a array --type '{u64 a; u64 b; f64 c; f64 d}' --cap 500000
	serve
	for i in 1 2 3; do
		background cat "$M/S/a/all.json"
		# It is opened, and nothing was read yet: the kernel waits for the rendering.
		until_true sh -c '[ "$(cat "/proc/$1/comm")" = cat ]' - "$pid"
		kill -9 "$pid"
		until_true ended "$pid"
		[ ! -s out ]
		is 500000 cat "$M/S/a/used"
	done
}

@test "users killed while they hold things are seen, and what they held comes back" {
	ipcctl new -P S/q queue
	ipcctl push S/q item
	ipcctl new S/s semaphore --cap 1
	serve
	background ipcctl lease S/q -- sh -c 'echo ready; exec sleep 300'
	leaser=$pid
	until_true grep -q ready out
	equal "$(cut -f1 "$M/S/q/holders")" "$leaser"
	is "holds:S:q" ls "$M/by-pid/$leaser"
	children=$(pgrep -P "$leaser")
	slay "$leaser"
	for child in $children; do
		[ "$child" -gt 1 ]
		kill -9 "$child"
	done
	# Until somebody mends it, it is shown as what it is.
	run cat "$M/S/q/holders"
	[ -z "$output" ] || [[ $output == *no ]]
	run cat "$M/S/q/health"
	[ "$status" -eq 0 ]
	is item timeout 60 ipcctl pop S/q
	is ok cat "$M/S/q/health"
	is '' cat "$M/S/q/holders"
	refuses 'No such file' stat "$M/by-pid/$leaser"
}

@test "repair through ctl mends what the dead left" {
	ipcctl new -P S/q queue
	ipcctl push S/q item
	serve --rw
	background ipcctl lease S/q -- sh -c 'echo ready; exec sleep 300'
	until_true grep -q ready out
	children=$(pgrep -P "$pid")
	slay "$pid"
	for child in $children; do
		[ "$child" -gt 1 ]
		kill -9 "$child"
	done
	echo repair >"$M/S/q/ctl"
	is 0 sed -n 's/^leased //p' "$M/S/q/stats"
	is '' cat "$M/S/q/holders"
	grep -q '^dead 0$' "$M/S/info"
	is ok cat "$M/S/q/health"
}

@test "ipcfs killed while it serves: the next mount shows the same, nothing acknowledged is lost" {
	ipcctl new -P S/q queue --cap 100000
	for round in 1 2 3; do
		serve --rw
		background sh -c 'i=0; while echo "$2.$i"; do i=$((i + 1)); done >"$1"' - "$M/S/q/push" "$round"
		background cat "$M/S/q/.wait/pop"
		popped=$pid
		until_true sh -c '[ "$(wc -l <out)" -ge 50 ]'
		slay "$server"
		server=
		until_true ended "$popped"
		mv out "out.$round"
		umount -l "$M"
	done
	ipcctl fsck S
	serve
	timeout -k 5 120 ipcctl drain S/q >rest
	# Each round's numbers begin with 0 and have no gaps: what the killed one had taken for the reader
	# and not delivered came back.
	cat out.[1-3] rest | sort -u -t. -k1,1n -k2,2n >all
	awk -F. '$1 != r { r = $1; n = 0 } $2 != n { print "gap before " $0; exit 1 } { n++ }' all
	equal "$(cut -d. -f1 all | sort -u | paste -sd' ')" '1 2 3'
}

@test "a killed reader loses at most the record that it had been given" {
	ipcctl new -P S/q queue --cap 64
	serve
	background sh -c 'i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i + 1)); done | ipcctl push S/q -'
	pusher=$pid
	kills=0
	while ! ended "$pusher" && [ "$kills" -lt 15 ]; do
		kills=$((kills + 1))
		cat "$M/S/q/.wait/pop" >"got.$kills" 3>&- &
		reader=$!
		pids+=("$reader")
		until_true test -s "got.$kills"
		slay "$reader"
	done
	# The rest, without a kill; what was leased by the dead openings has come back by then.
	until_true grep -q '^leased 0$' "$M/S/q/stats"
	while ! ended "$pusher"; do
		timeout -k 5 60 ipcctl drain S/q >>got.rest
	done
	timeout -k 5 60 ipcctl drain S/q >>got.rest
	cat got.* | sort -n >all
	lost=$((2000 - $(uniq all | wc -l)))
	twice=$(uniq -d all | wc -l)
	echo "$kills readers killed, $lost records lost with them, $twice delivered twice"
	[ "$kills" -ge 1 ]
	[ "$lost" -ge 0 ]
	[ "$lost" -le "$kills" ]
	[ "$twice" -le "$kills" ]
}

@test "mounts and unmounts in a row leave nothing" {
	ipcctl new -P S/q queue
	for i in $(seq 4); do
		timeout -k 5 60 ipcctl mount "$M"
		is queue cat "$M/S/q/kind"
		timeout -k 5 60 ipcctl umount "$M"
	done
	equal "$(grep -c " $M " /proc/self/mountinfo)" 0
	equal "$(ls "$IPK_DIR")" S.ipk
	grep -c . "$IPK_DIR/S.ipk" >/dev/null
	is 0 sh -c 'ipcctl show -j S | jq .dead'
}

@test "a signal that a program handles is no error of stat, open or read" {
	ipcctl new -P S/q queue
	serve
	py <<-'EOF'
	import ctypes, os, signal
	libc = ctypes.CDLL(None, use_errno=True)
	path = (os.environ['M'] + '/S/q/used').encode()
	buf = ctypes.create_string_buffer(4096)
	signal.signal(signal.SIGALRM, lambda *a: None)
	signal.siginterrupt(signal.SIGALRM, True)
	signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
	for i in range(1000):
	    assert libc.stat(path, buf) == 0, os.strerror(ctypes.get_errno())
	    fd = libc.open(path, 0)
	    assert fd >= 0, os.strerror(ctypes.get_errno())
	    assert libc.read(fd, buf, 100) == 2, os.strerror(ctypes.get_errno())
	    libc.close(fd)
	signal.setitimer(signal.ITIMER_REAL, 0)
	EOF
}
