# Sourced by every file here: a private IPK_DIR and a place to mount on for each test; nothing left behind.
bats_require_minimum_version 1.5.0

setup() {
	[ -e /dev/fuse ] || skip "no /dev/fuse on this machine"
	IPK_DIR=$(mktemp -d "${IPK_DIR:-/dev/shm}/ipk-fuse.XXXXXX")
	export IPK_DIR
	export LC_ALL=C.UTF-8 TERM=dumb
	M=$BATS_TEST_TMPDIR/m
	mkdir "$M"
	pids=()
	server=
	cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() {
	local pid i
	[ -n "$M" ] || return 0
	for pid in "${pids[@]}"; do
		pkill -9 -P "$pid" # the command of one that holds something
		kill -9 "$pid" 2>/dev/null
	done
	cd /
	for ((i = 0; i < 4; i++)); do
		umount -l "$M" 2>/dev/null || break
	done
	if [ -n "$server" ]; then
		kill -TERM "$server" 2>/dev/null
		for ((i = 0; i < 300; i++)); do
			kill -0 "$server" 2>/dev/null || break
			sleep 0.1
		done
		kill -9 "$server" 2>/dev/null
		pids+=("$server")
	fi
	for pid in "${pids[@]}"; do
		wait "$pid" 2>/dev/null
	done
	rm -rf --one-file-system "$IPK_DIR"
	return 0
}

# until_true COMMAND...: waits for it to succeed, a minute at most
until_true() {
	local end=$((SECONDS + 60))
	while ! "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "never true: $*"
			return 1
		fi
		sleep 0.05
	done
}

# background COMMAND...: runs it, output in the files out and err; $pid is its process
background() {
	: >out
	: >err
	"$@" >out 2>err 3>&- &
	pid=$!
	pids+=("$pid")
}

# serve [OPTION...]: mounts at $M in the foreground of a process that ends with this test; $server
serve() {
	setpriv --pdeathsig TERM ipcfs -f "$@" "$M" >served 2>&1 3>&- &
	server=$!
	until_true mountpoint -q "$M"
}

# ended PID: true when the process is gone or a zombie
ended() {
	local state
	state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) || return 0
	[ "$state" = Z ] || [ -z "$state" ]
}

# has_waiter OBJECT: true while somebody waits on S/OBJECT
has_waiter() {
	[ -n "$(cat "$M/S/$1/waiters")" ]
}

# limited COMMAND...: run it, a program for a minute at most, with its stderr apart
limited() {
	if [ "$(type -t "$1")" = file ]; then
		set -- timeout -k 5 60 "$@"
	fi
	run --separate-stderr "$@"
}

# is TEXT COMMAND...: exit 0, and exactly this on stdout
is() {
	local want=$1
	shift
	limited "$@"
	if [ "$status" -ne 0 ] || [ "$output" != "$want" ]; then
		printf '%s: status %s\n--- got\n%s\n--- not\n%s\n--- stderr\n%s\n' "$*" "$status" "$output" \
			"$want" "$stderr"
		return 1
	fi
}

# refuses TEXT COMMAND...: fails (not by a time-out), and says so on stderr
refuses() {
	local want=$1
	shift
	limited "$@"
	if [ "$status" -eq 0 ] || [ "$status" -ge 124 ] || [[ $stderr != *"$want"* ]]; then
		printf '%s: status %s, stderr does not say "%s":\n%s\n' "$*" "$status" "$want" "$stderr"
		return 1
	fi
}

# equal A B
equal() {
	if [ "$1" != "$2" ]; then
		printf -- '--- got\n%s\n--- not\n%s\n' "$1" "$2"
		return 1
	fi
}

# py: the program on stdin, with M set; fails when an assertion does
py() {
	M=$M timeout -k 5 120 python3 -W error - "$@"
}
