#!/usr/bin/env bats
# Streams in the mount.
load helper

@test ".wait/sub gives all records that come after it was opened" {
	ipcctl new -P S/s stream --type u32 --cap 2000
	ipcctl emit S/s 0
	serve --rw
	background timeout 60 cat "$M/S/s/.wait/sub"
	until_true grep -q ipcfs "$M/S/s/waiters"
	for at in 1 251 501 751; do
		seq $at $((at + 249)) | ipcctl emit S/s -
	done
	until_true grep -qx 1000 out
	ipcctl close S/s
	wait "$!" || true
	is "$(seq 1000)" cat out
}

@test ".wait/sub with O_NONBLOCK goes on where the last read was" {
	ipcctl new -P S/s stream --type u32
	serve --rw
	cat >reader.py <<-'PY'
		import errno, os, select, subprocess, sys
		fd = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
		def read():
		    try:
		        return os.read(fd, 100).decode().strip()
		    except OSError as e:
		        return errno.errorcode[e.errno]
		def ready():
		    p = select.poll()
		    p.register(fd, select.POLLIN)
		    return bool(p.poll(0))
		print(ready(), read())
		subprocess.run(["ipcctl", "emit", "S/s", "1", "2", "3"], check=True)
		print(ready(), read(), read(), read(), read())
		subprocess.run(["ipcctl", "emit", "S/s", "4"], check=True)
		print(read(), read())
	PY
	is 'False EAGAIN
True 1 2 3 EAGAIN
4 EAGAIN' python3 reader.py "$M/S/s/.wait/sub"
}
