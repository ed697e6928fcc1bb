#!/usr/bin/env bats
# Pushers and poppers killed at random instants, with the ledger outside the segment.
# IPK_TEST_LONG=1: a million lines a pusher and 500 kills.
load common.bash

# pusher N: pushes the files N.*, each by a process of its own; those that were acknowledged are listed in acked
pusher() {
	local file pid
	trap 'kill "$pid" 2>/dev/null; exit' TERM
	for file in "$1".*; do
		ipcctl push s/q - <"$file" 2>>errors &
		pid=$!
		echo "$pid" >"pid.pusher.$1"
		if wait "$pid"; then
			echo "$file" >>acked
		fi
	done
	: >"pid.pusher.$1"
	touch "done.$1"
}

# popper N: takes until the queue is closed and empty, each process into a file of its own
popper() {
	local run=0 pid status
	trap 'kill "$pid" 2>/dev/null; exit' TERM
	while :; do
		run=$((run + 1))
		ipcctl pop s/q --follow --meta >"out.$1.$run" 2>>errors &
		pid=$!
		echo "$pid" >"pid.popper.$1"
		status=0
		wait "$pid" || status=$?
		[ "$status" -eq 137 ] || break
	done
	echo "$status" >"ended.$1"
}

# all is there: acknowledged lines once, of what was cut short the beginning, twice only when marked
all_is_there() {
	cat [ab].* >in
	LC_ALL=C awk '
		FILENAME == "acked" { acked[$1] = 1; next }
		FILENAME == "in" { n++; next }
		{
			text = $0
			if (text !~ /}$/)
				next # killed while it wrote
			marked = text ~ /"redelivered":true/
			sub(/.*"value":"/, "", text)
			sub(/".*/, "", text)
			seen[text]++
			if (!marked && plain[text]++) {
				print "twice, unmarked: " text
				bad++
			}
		}
		END {
			while ((getline line < "index") > 0) {
				split(line, f, " ") # file, line
				if (f[1] != file) {
					file = f[1]
					gap = 0
				}
				if (!(f[2] in seen)) {
					gap = 1
					if (file in acked) {
						print "lost: " f[2]
						bad++
					}
				} else if (gap && !(file in acked)) {
					print "behind a gap: " f[2]
					bad++
				}
			}
			exit bad > 0
		}
	' acked out.*
}

@test "pushers and poppers killed at random lose nothing that was acknowledged" {
	local lines=20000 kills=24 killed=0 victim who chunk
	[ "${IPK_TEST_LONG:-0}" != 1 ] || lines=1000000 kills=500
	chunk=$((lines / 100))
	for who in a b; do
		seq -f "$who%07.0f" "$lines" | split -l "$chunk" -a 3 - "$who."
	done
	awk '{ print FILENAME, $0 }' [ab].* >index
	: >acked
	ipcctl new -P s/q queue --cap 4096
	for who in a b; do
		pusher "$who" 3>&- &
		pids+=("$!")
	done
	for who in a b; do
		popper "$who" 3>&- &
		pids+=("$!")
	done
	while [ ! -e done.a ] || [ ! -e done.b ]; do
		victim=$(cat pid.pusher.* pid.popper.* 2>/dev/null | shuf -n 1) || true
		if [ -n "$victim" ] && [ "$killed" -lt "$kills" ] && kill -9 "$victim" 2>/dev/null; then
			killed=$((killed + 1))
		fi
		sleep "0.0$((RANDOM % 5 + 1))"
	done
	# The rest of the kills: of consumers that wait.
	while [ "$killed" -lt "$kills" ]; do
		victim=$(cat pid.popper.* 2>/dev/null | shuf -n 1) || true
		! kill -9 "$victim" 2>/dev/null || killed=$((killed + 1))
		sleep 0.02
	done
	ipcctl close s/q
	until_true test -s ended.a
	until_true test -s ended.b
	wait "${pids[@]}"
	[ "$(cat ended.a ended.b)" = $'0\n0' ]
	all_is_there
	run -0 ipcctl fsck s
	[ -z "$output" ]
}
