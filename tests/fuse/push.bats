#!/usr/bin/env bats
# The push file: a record a line, committed in the write.
load helper

@test "lines become records, however they arrive in pieces" {
	ipcctl new -P S/q queue --cap 30000 --type u64
	serve --rw
	seq 20000 | timeout -k 5 60 cat >"$M/S/q/push"
	timeout -k 5 60 seq 20001 25000 >"$M/S/q/push"
	timeout -k 5 60 bash -c 'for i in 25001 25002; do echo $i; done >"$1"' - "$M/S/q/push"
	timeout -k 5 60 dd bs=3 status=none of="$M/S/q/push" < <(seq 25003 25999)
	echo 26000 >>"$M/S/q/push"
	is 26000 cat "$M/S/q/used"
	seq 26000 | cmp - <(timeout 60 ipcctl pop S/q -n 26000)
	is '' cat "$M/S/q/push"
	equal "$(stat -c '%s %a' "$M/S/q/push")" '0 600'
}

@test "a record is there when the write returns" {
	ipcctl new -P S/q queue
	serve --rw
	exec 8>"$M/S/q/push"
	echo one >&8
	is 1 cat "$M/S/q/used"
	printf 'two\nthr' >&8
	is 2 cat "$M/S/q/used"
	echo ee >&8
	is 3 cat "$M/S/q/used"
	is 'one
two
three' ipcctl peek S/q -n 3
	printf '\n\n' >&8
	is 5 cat "$M/S/q/used"
	exec 8>&-
	is 5 cat "$M/S/q/used"
}

@test "an unterminated tail goes in when the last writer closes, and not before" {
	ipcctl new -P S/q queue
	serve --rw
	printf abc >"$M/S/q/push"
	is abc timeout 60 ipcctl pop S/q --nowait
	/bin/echo -n def >"$M/S/q/push"
	is def timeout 60 ipcctl pop S/q --nowait
	# Others have the same opening: their closing is not the last.
	exec 8>"$M/S/q/push"
	/bin/echo -n begin >&8
	/bin/echo -n " middle" >&8
	is 0 cat "$M/S/q/used"
	/bin/echo " end" >&8
	is 'begin middle end' timeout 60 ipcctl pop S/q --nowait
	/bin/echo -n tail >&8
	is 0 cat "$M/S/q/used"
	exec 8>&-
	is tail timeout 60 ipcctl pop S/q --nowait
	# Two openings are two writers, each with lines of its own.
	exec 8>"$M/S/q/push" 9>"$M/S/q/push"
	printf 8a >&8
	printf 9a >&9
	printf '8b\n' >&8
	printf '9b\n' >&9
	exec 8>&- 9>&-
	is '8a8b
9a9b' timeout 60 ipcctl pop S/q -n 2
	# With the other one still open, the tail goes in all the same.
	exec 8>"$M/S/q/push"
	printf last >"$M/S/q/push"
	until_true grep -q 1 "$M/S/q/used"
	is last timeout 60 ipcctl pop S/q
	exec 8>&-
}

@test "half a line of a killed writer is no record" {
	ipcctl new -P S/q queue
	serve --rw
	background bash -c 'exec >"$1"; printf "whole\nhalf"; while kill -0 $PPID; do sleep 0.1; done' - \
		"$M/S/q/push"
	until_true grep -q 1 "$M/S/q/used"
	# The first write is both; it has returned when the shell is in its loop.
	until_true pgrep -P "$pid" sleep
	kill -9 "$pid"
	wait "$pid" || true
	until_true sh -c '! ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q "$1"' - "$M/S/q/push"
	ipcctl push S/q next
	is 'whole
next' timeout 60 ipcctl pop S/q -n 2
	is 0 cat "$M/S/q/used"
}

@test "a bad line is an error of its write, of which nothing goes in" {
	ipcctl new -P S/q queue --type u8
	serve --rw
	py <<-'EOF'
	import errno, os
	q = os.environ['M'] + '/S/q/'
	def used(): return int(open(q + 'used').read())
	def fails(fd, data, e):
	    try: os.write(fd, data)
	    except OSError as x: assert x.errno == e, x
	    else: assert False, data
	fd = os.open(q + 'push', os.O_WRONLY)
	assert os.write(fd, b'1\n2\n') == 4
	fails(fd, b'3\nabc\n4\n', errno.EINVAL)
	fails(fd, b'256\n', errno.ERANGE)
	fails(fd, b'\n', errno.EINVAL)
	assert used() == 2
	# The line that a bad write was to complete is gone with it.
	assert os.write(fd, b'9') == 1
	fails(fd, b'x\n5\n', errno.EINVAL)
	assert os.write(fd, b'6\n') == 2
	assert used() == 3
	# At the end the last line is judged by close.
	assert os.write(fd, b'zz') == 2
	try: os.close(fd)
	except OSError as x: assert x.errno == errno.EINVAL, x
	else: assert False, 'close said nothing'
	assert used() == 3
	EOF
	is '1
2
6' ipcctl pop S/q -n 3
	run timeout 60 bash -c 'echo nonsense >"$1"' - "$M/S/q/push"
	[ "$status" -eq 1 ]
	[[ $output == *'Invalid argument'* ]]
}

@test "O_NONBLOCK: as many lines as there is room, then EAGAIN; poll says when there is room" {
	ipcctl new -P S/q queue --type u8 --cap 4
	serve --rw
	py <<-'EOF'
	import errno, os, select, subprocess
	q = os.environ['M'] + '/S/q/'
	fd = os.open(q + 'push', os.O_WRONLY | os.O_NONBLOCK)
	p = select.poll()
	p.register(fd, select.POLLOUT)
	assert p.poll(60000) == [(fd, select.POLLOUT)]
	assert os.write(fd, b'1\n22\n3\n4\n5\n6\n') == 9
	try: os.write(fd, b'5\n6\n')
	except BlockingIOError: pass
	else: assert False
	assert p.poll(0) == []
	sub = subprocess.Popen(['ipcctl', 'pop', 'S/q'], stdout=subprocess.DEVNULL)
	assert p.poll(60000) == [(fd, select.POLLOUT)]
	assert sub.wait(60) == 0
	assert os.write(fd, b'5\n6\n') == 2
	# A tail that was refused with its line is not pushed behind the writer's back.
	try: os.write(fd, b'6\n')
	except BlockingIOError: pass
	else: assert False
	os.close(fd)
	fd = os.open(q + 'push', os.O_WRONLY | os.O_NONBLOCK)
	os.write(fd, b'7')
	try: os.write(fd, b'7\n')
	except BlockingIOError: pass
	else: assert False
	os.close(fd)
	EOF
	is '22
3
4
5' timeout 60 ipcctl pop S/q -n 4
	is 0 cat "$M/S/q/used"
}

@test "a write waits for room, and goes on when there is some" {
	ipcctl new -P S/q queue --type u64 --cap 16
	serve --rw
	background seq 2000
	wait "$pid"
	mv out numbers
	background dd bs=1000 status=none if=numbers of="$M/S/q/push"
	timeout -k 5 120 ipcctl pop S/q -n 2000 | cmp - numbers
	until_true ended "$pid"
	wait "$pid"
}

@test "a writer that waits is ended by SIGINT and SIGKILL at once, and what it wrote stays" {
	ipcctl new -P S/q queue --cap 2
	serve --rw
	for signal in INT KILL TERM; do
		background python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
fd = os.open(sys.argv[1], os.O_WRONLY)
assert os.write(fd, b"1\n2\n3\n4\n") == 4
os.write(fd, b"3\n")' "$M/S/q/push"
		until_true has_waiter q
		kill -"$signal" "$pid"
		until_true ended "$pid"
		is '1
2' timeout 60 ipcctl pop S/q -n 2
		until_true sh -c '[ -z "$(cat "$1")" ]' - "$M/S/q/waiters"
		is 0 cat "$M/S/q/used"
	done
}

@test "other files answer while writers and readers wait" {
	ipcctl new -P S/full queue --cap 1
	ipcctl push S/full x
	ipcctl new S/empty queue
	serve --rw
	for i in $(seq 40); do
		background sh -c 'echo y >"$1"' - "$M/S/full/push"
		background cat "$M/S/empty/.wait/pop"
	done
	until_true sh -c '[ "$(wc -l <"$1")" -ge 40 ]' - "$M/S/full/waiters"
	until_true sh -c '[ "$(wc -l <"$1")" -ge 40 ]' - "$M/S/empty/waiters"
	is 1 cat "$M/S/full/used"
	timeout -k 5 60 ls -lR "$M" >/dev/null
	for pid in "${pids[@]}"; do
		kill -9 "$pid"
	done
	for pid in "${pids[@]}"; do
		until_true ended "$pid"
	done
	until_true sh -c '[ -z "$(cat "$1" "$2")" ]' - "$M/S/full/waiters" "$M/S/empty/waiters"
}

@test "a closed queue is EPIPE, a removed one ESTALE or gone" {
	ipcctl new -P S/q queue
	ipcctl new S/r queue
	serve --rw
	py <<-'EOF'
	import errno, os, subprocess
	m = os.environ['M']
	def fails(fd, *e):
	    try: os.write(fd, b'x\n')
	    except OSError as x: assert x.errno in e, x
	    else: assert False
	q = os.open(m + '/S/q/push', os.O_WRONLY)
	r = os.open(m + '/S/r/push', os.O_WRONLY)
	subprocess.run(['ipcctl', 'close', 'S/q'], check=True, timeout=60)
	fails(q, errno.EPIPE)
	subprocess.run(['ipcctl', 'rm', 'S/r'], check=True, timeout=60)
	fails(r, errno.ESTALE)
	EOF
}
