# Sourced by every file here: a private IPK_DIR for each test, and nothing left behind.
bats_require_minimum_version 1.5.0

setup() {
	IPK_DIR=$(mktemp -d "${IPK_DIR:-/dev/shm}/ipk-cli.XXXXXX")
	export IPK_DIR
	unset NO_COLOR IPK_FAULT
	export TERM=xterm LC_ALL=C.UTF-8
	pids=()
	set -o pipefail
	cd "$BATS_TEST_TMPDIR" || return 1
}

teardown() {
	local pid
	for pid in "${pids[@]}"; do
		pkill -9 -P "$pid" # the command of one that holds something
		kill -9 "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	pids=()
	[ -z "$mounted" ] || umount -l "$mounted" 2>/dev/null
	rm -rf "$IPK_DIR" "$place"
}

# background COMMAND...: runs it, output in the files out and err; $pid is its process
background() {
	"$@" >out 2>err 3>&- &
	pid=$!
	pids+=("$pid")
}

# until_true COMMAND...: waits for it to succeed, a minute at most
until_true() {
	local i
	for ((i = 0; i < 1200; i++)); do
		if "$@" >/dev/null 2>&1; then
			return 0
		fi
		sleep 0.05
	done
	echo "never true: $*"
	return 1
}

# ends PID STATUS: waits for a background process and checks how it ended
ends() {
	local status=0
	wait "$1" || status=$?
	if [ "$status" -ne "$2" ]; then
		echo "ended with $status, not $2"
		cat out err
		return 1
	fi
}

# fails STATUS COMMAND...: the status, one line on stderr, nothing on stdout; the line is in $line
fails() {
	local want=$1
	shift
	run "-$want" --separate-stderr "$@"
	line=$stderr
	if [ "$status" -ne "$want" ] || [ -n "$output" ] || [ "${#stderr_lines[@]}" -ne 1 ]; then
		echo "$*: status $status, not $want; stdout \"$output\"; stderr \"$stderr\""
		return 1
	fi
	case $line in
	'ipcctl: '* | '{"v":1,"error":'*) ;;
	*) echo "no line of ipcctl: $line"; return 1 ;;
	esac
}

# says TEXT: $line, what fails() caught, holds it
says() {
	case $line in
	*"$1"*) ;;
	*) echo "\"$line\" does not say \"$1\""; return 1 ;;
	esac
}

# prints TEXT COMMAND...: exit 0, and exactly this on stdout
prints() {
	local want=$1
	shift
	run --separate-stderr "$@"
	if [ "$status" -ne 0 ] || [ "$output" != "$want" ]; then
		printf '%s: status %s\n--- got\n%s\n--- not\n%s\n--- stderr\n%s\n' "$*" "$status" "$output" \
			"$want" "$stderr"
		return 1
	fi
}

# field REF NAME: a field of show
field() {
	ipcctl show -j "$1" | jq -r ".$2"
}

# child_of PID: waits for its child, whose process is then $child
child_of() {
	until_true pgrep -P "$1"
	child=$(pgrep -P "$1")
	pids+=("$child")
}

# lacks PATTERN FILE: no line of it matches, and there is a file
lacks() {
	[ -e "$2" ] || return 1
	if grep -n -- "$1" "$2"; then
		echo "$2 has what it should lack: $1"
		return 1
	fi
}
