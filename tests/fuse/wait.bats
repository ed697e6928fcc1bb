#!/usr/bin/env bats
# .wait: reads that wait and consume; poll(2); and what is left of them after kills.
load helper

# nobody_waits OBJECT
nobody_waits() {
	[ -z "$(cat "$M/S/$1/waiters")" ]
}

@test ".wait is found and not listed, and lists nothing" {
	ipcctl new -P S/q queue
	ipcctl new S/s semaphore
	serve
	run ls -A "$M/S/q"
	[[ $output != *.wait* ]]
	equal "$(find "$M" -name .wait | wc -l)" 0
	equal "$(stat -c '%F %a' "$M/S/q/.wait")" 'directory 500'
	is '' ls -A "$M/S/q/.wait"
	equal "$(stat -c '%s %a' "$M/S/q/.wait/pop")" '0 400'
	equal "$(stat -c '%s %a' "$M/S/s/.wait/value")" '0 400'
	for name in push peek close value sub events nothing; do
		refuses 'No such file' stat "$M/S/q/.wait/$name"
	done
	refuses 'No such file' stat "$M/S/s/.wait/pop"
	refuses 'denied' bash -c 'echo x >"$1"' - "$M/S/q/.wait/pop"
}

@test "a read waits for a record, takes it, and acknowledges it" {
	ipcctl new -P S/q queue
	serve
	background timeout 120 head -n 1 "$M/S/q/.wait/pop"
	until_true has_waiter q
	ipcctl push S/q first second
	until_true ended "$pid"
	is first cat out
	is 1 cat "$M/S/q/used"
	is 0 sed -n 's/^redelivered //p' "$M/S/q/stats"
	is 0 sed -n 's/^leased //p' "$M/S/q/stats"
	is second timeout 60 head -n 1 "$M/S/q/.wait/pop"
	is 0 cat "$M/S/q/used"
}

@test "cat follows until the queue is closed" {
	ipcctl new -P S/q queue --cap 10
	serve
	background cat "$M/S/q/.wait/pop"
	seq 1000 | timeout -k 5 60 ipcctl push S/q -
	until_true sh -c '[ "$(wc -l <out)" = 1000 ]'
	seq 1000 | cmp - out
	until_true has_waiter q
	ipcctl close S/q
	until_true ended "$pid"
	wait "$pid"
}

@test "several readers get every record once" {
	ipcctl new -P S/q queue --cap 16
	serve
	for i in 1 2 3 4; do
		cat "$M/S/q/.wait/pop" >"out$i" 3>&- &
		readers[i]=$!
		pids+=($!)
	done
	seq 2000 | timeout -k 5 120 ipcctl push S/q -
	ipcctl close S/q
	for i in 1 2 3 4; do
		until_true ended "${readers[i]}"
	done
	cat out[1-4] | sort -n | cmp - <(seq 2000)
}

@test "a waiting reader is ended at once by SIGINT, SIGTERM and SIGKILL, and takes nothing with it" {
	ipcctl new -P S/q queue
	serve
	for signal in INT TERM KILL INT TERM KILL; do
		background python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.read(os.open(sys.argv[1], os.O_RDONLY), 100)' "$M/S/q/.wait/pop"
		until_true has_waiter q
		kill -"$signal" "$pid"
		until_true ended "$pid"
		until_true nobody_waits q
		ipcctl push S/q "after $signal"
		is "after $signal" timeout 60 ipcctl pop S/q
	done
	is 0 sed -n 's/^redelivered //p' "$M/S/q/stats"
}

@test "a signal that is handled ends one read, the next one goes on" {
	ipcctl new -P S/q queue
	serve
	py <<-'EOF'
	import os, signal, subprocess, threading, time
	fd = os.open(os.environ['M'] + '/S/q/.wait/pop', os.O_RDONLY)
	hit = []
	signal.signal(signal.SIGALRM, lambda *a: hit.append(1))
	def push():
	    while len(hit) < 3: time.sleep(0.05)
	    subprocess.run(['ipcctl', 'push', 'S/q', 'x'], check=True, timeout=60)
	signal.setitimer(signal.ITIMER_REAL, 0.3, 0.3)
	t = threading.Thread(target=push)
	t.start()
	# Python reads again after each signal.
	assert os.read(fd, 100) == b'x\n'
	signal.setitimer(signal.ITIMER_REAL, 0)
	t.join()
	assert len(hit) >= 3
	EOF
}

@test "a record longer than the read comes in parts, and goes back when its rest is not read" {
	ipcctl new -P S/q queue
	ipcctl push S/q 'a longer record' next
	serve
	is 'a longer record' timeout 60 bash -c 'read -r line <"$1"; echo "$line"' - "$M/S/q/.wait/pop"
	ipcctl push S/q last
	py <<-'EOF'
	import os, time
	q = os.environ['M'] + '/S/q/'
	def stat(name):
	    return [l.split()[1] for l in open(q + 'stats') if l.startswith(name + ' ')][0]
	fd = os.open(q + '.wait/pop', os.O_RDONLY)
	assert os.read(fd, 2) == b'ne'
	assert stat('leased') == '1' and open(q + 'used').read() == '2\n'
	assert open(q + 'holders').read().split('\t')[2] == 'ipcfs'
	os.close(fd)
	while stat('leased') != '0': time.sleep(0.01)
	assert stat('redelivered') == '1'
	fd = os.open(q + '.wait/pop', os.O_RDONLY)
	assert b''.join(os.read(fd, 3) for _ in range(2)) == b'next\n'
	assert os.read(fd, 100) == b'last\n'
	assert stat('leased') == '0' and open(q + 'used').read() == '0\n'
	try: os.lseek(fd, 0, 0)
	except OSError: pass
	else: assert False, 'it can be rewound'
	EOF
}

@test "a killed reader of half a record gives it back, and so does a killed ipcfs" {
	ipcctl new -P S/q queue
	ipcctl push S/q precious
	serve
	program='
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY)
os.read(fd, 3)
print("read", flush=True)
time.sleep(300)'
	background python3 -c "$program" "$M/S/q/.wait/pop"
	until_true grep -q read out
	is 1 sed -n 's/^leased //p' "$M/S/q/stats"
	kill -9 "$pid"
	until_true grep -q 'leased 0' "$M/S/q/stats"
	background python3 -c "$program" "$M/S/q/.wait/pop"
	until_true grep -q read out
	is 1 sed -n 's/^leased //p' "$M/S/q/stats"
	kill -9 "$server"
	wait "$server" || true
	is precious timeout 60 ipcctl pop S/q
	is true sh -c 'ipcctl push S/q x && ipcctl fsck S && echo true'
}

@test "O_NONBLOCK does not wait; poll tells when there is something" {
	ipcctl new -P S/q queue
	serve
	py <<-'EOF'
	import errno, os, select, subprocess
	q = os.environ['M'] + '/S/q/'
	def run(*a): subprocess.run(a, check=True, timeout=60)
	fd = os.open(q + '.wait/pop', os.O_RDONLY | os.O_NONBLOCK)
	try: os.read(fd, 100)
	except BlockingIOError: pass
	else: assert False
	ep = select.epoll()
	ep.register(fd, select.EPOLLIN)
	assert ep.poll(0) == []
	for i in range(3):
	    sub = subprocess.Popen(['ipcctl', 'push', 'S/q', 'x%d' % i])
	    assert ep.poll(60) == [(fd, select.EPOLLIN)]
	    assert os.read(fd, 100) == b'x%d\n' % i
	    assert ep.poll(0) == []
	    assert sub.wait(60) == 0
	# What somebody else has leased cannot be read.
	run('ipcctl', 'push', 'S/q', 'leased')
	sub = subprocess.Popen(['ipcctl', 'lease', 'S/q', '--', 'sh', '-c', 'echo ready; read x </dev/tty; sleep 300'],
	    stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
	assert sub.stdout.readline() == b'ready\n'
	assert ep.poll(0) == []
	os.killpg(sub.pid, 9)
	sub.wait(60)
	# The next who comes by finds the dead and gives back what they had.
	run('ipcctl', 'push', 'S/q', 'next')
	assert ep.poll(60) == [(fd, select.EPOLLIN)]
	got = set()
	while len(got) < 2:
	    try: got.add(os.read(fd, 100))
	    except BlockingIOError: pass
	assert got == {b'leased\n', b'next\n'}
	sub = subprocess.Popen(['ipcctl', 'close', 'S/q'])
	assert ep.poll(60) == [(fd, select.EPOLLIN)]
	assert os.read(fd, 100) == b''
	assert sub.wait(60) == 0
	EOF
}

@test "epoll wakes when used changes, and only then" {
	ipcctl new -P S/q queue
	serve
	py <<-'EOF'
	import os, select, subprocess
	q = os.environ['M'] + '/S/q/'
	both = select.EPOLLIN | select.EPOLLPRI
	fds = [os.open(q + 'used', os.O_RDONLY) for _ in range(3)]
	ep = select.epoll()
	assert os.read(fds[0], 100) == b'0\n'
	ep.register(fds[0], both)
	assert ep.poll(0.1) == []
	for i in range(1, 4):
	    sub = subprocess.Popen(['ipcctl', 'push', 'S/q', 'x'])
	    assert ep.poll(60) == [(fds[0], both)]
	    # It stays so until it is read again.
	    assert ep.poll(0) == [(fds[0], both)]
	    assert os.pread(fds[0], 100, 0) == b'%d\n' % i
	    assert ep.poll(0.05) == []
	    assert sub.wait(60) == 0
	# Not yet read: readable, and not changed.
	p = select.poll()
	p.register(fds[1], select.POLLIN)
	assert p.poll(0) == [(fds[1], select.POLLIN)]
	p = select.poll()
	p.register(fds[2], select.POLLPRI)
	assert os.pread(fds[2], 100, 0) != b''
	assert os.pread(fds[2], 100, 0) == b'3\n'
	assert p.poll(0) == []
	# Edge-triggered: one event for each change that was read.
	ep = select.epoll()
	ep.register(fds[2], both | select.EPOLLET)
	for i in range(4, 7):
	    sub = subprocess.Popen(['ipcctl', 'push', 'S/q', 'x'])
	    assert ep.poll(60) == [(fds[2], both)]
	    assert os.pread(fds[2], 100, 0) == b'%d\n' % i
	    assert sub.wait(60) == 0
	# Other files are like any file: always ready.
	f = os.open(q + 'all.json', os.O_RDONLY)
	p = select.poll()
	p.register(f, select.POLLIN)
	assert p.poll(0) == [(f, select.POLLIN)]
	EOF
}

@test "a poller that is killed leaves nothing behind" {
	ipcctl new -P S/q queue
	serve
	for i in 1 2 3; do
		background python3 -c '
import os, select, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
os.read(fd, 100)
p = select.poll(); p.register(fd, select.POLLPRI)
print("polls", flush=True)
p.poll()' "$M/S/q/used"
		until_true grep -q polls out
		kill -9 "$pid"
		until_true ended "$pid"
		ipcctl push S/q x
		is "$i" cat "$M/S/q/used"
	done
}

@test "value waits for another value" {
	ipcctl new -P S/s semaphore --cap 2
	serve
	background cat "$M/S/s/.wait/value"
	until_true grep -qx 2 out
	ipcctl acquire S/s
	until_true grep -qx 1 out
	ipcctl acquire S/s
	until_true grep -qx 0 out
	ipcctl release S/s
	until_true sh -c '[ "$(paste -sd" " out)" = "2 1 0 1" ]'
	kill "$pid"
	until_true ended "$pid"
	py <<-'EOF'
	import os, select, subprocess
	fd = os.open(os.environ['M'] + '/S/s/.wait/value', os.O_RDONLY | os.O_NONBLOCK)
	assert os.read(fd, 100) == b'1\n'
	try: os.read(fd, 100)
	except BlockingIOError: pass
	else: assert False
	p = select.poll()
	p.register(fd, select.POLLIN)
	assert p.poll(0) == []
	sub = subprocess.Popen(['ipcctl', 'release', 'S/s'])
	assert p.poll(60000) == [(fd, select.POLLIN)]
	assert os.read(fd, 100) == b'2\n'
	assert sub.wait(60) == 0
	EOF
}

@test "a reader of what is removed is told" {
	ipcctl new -P S/q queue
	serve
	background cat "$M/S/q/.wait/pop"
	until_true has_waiter q
	ipcctl rm S/q
	until_true ended "$pid"
	run cat err
	[[ $output == *'Stale file handle'* ]]
}
