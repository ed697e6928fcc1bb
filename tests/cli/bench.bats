#!/usr/bin/env bats
# What bench prints, never how fast it is: other tests run beside it.
load common

@test "bench measures every kind that can be measured, as JSON" {
	ipcctl bench cost -i 10ms -j >out
	ipcctl schema | jq -r '.kinds[] | select(.bench).name' | sort >kinds
	[ -s kinds ]
	jq -r 'select(.test == "cost" and .ns > 0 and .round != "").name' out | sort | cmp - kinds
}

# all_spins FILE: each of the four sizes was measured by spinning
all_spins() {
	jq -e -s 'map(select(.test == "latency" and .name == "queue" and .mode == "spins" and .p50_ns > 0
		and .p50_ns <= .p90_ns and .p90_ns <= .p99_ns and .of_floor > 0)) | length == 4' "$1"
}

@test "bench of a kind shows it beside the floor" {
	local interval
	[ "$(nproc)" -gt 1 ] || skip 'one processor'
	# On a busy machine both ends may not have run at once in so short a time.
	for interval in 10ms 100ms 1s; do
		ipcctl bench queue -i "$interval" -j >out
		! all_spins out >/dev/null || break
	done
	all_spins out
	jq -e -s 'map(select(.test == "throughput" and .name == "queue" and .values_per_second > 0)) | length > 4' out
	jq -e -s 'map(select(.name == "pipe")) | length == 0' out
}

@test "bench prints tables with bars" {
	ipcctl bench throughput -i 10ms >out
	grep -q '^THROUGHPUT .*OF MEMCPY$' out
	grep -Eq '^queue +1\+1 by 32 +8 ' out
	grep -Eq '^pipe +1\+1 +65536 .* %' out
}

@test "bench refuses what it does not know" {
	fails 2 ipcctl bench quue
	[[ $line == *'did you mean "queue"'* ]]
	fails 2 ipcctl bench cost -i 1us
	fails 2 ipcctl bench cost -n 0
	fails 2 ipcctl bench cost -n 9
}

@test "bench draws a picture, or says what it lacks" {
	fails 2 ipcctl bench cost -i 10ms --plot picture.txt
	if command -v gnuplot; then
		ipcctl bench latency -i 10ms --plot picture.svg
		grep -q '<svg' picture.svg
	else
		run -127 ipcctl bench cost -i 10ms --plot picture.svg
		[[ $output == *'apt-get install gnuplot'* ]]
	fi
}

@test "an interrupted bench leaves no process behind" {
	background ipcctl bench latency -i 60s
	until_true pgrep -P "$pid"
	children=$(pgrep -P "$pid")
	kill -TERM "$pid"
	ends "$pid" 130
	for child in $children; do
		! kill -0 "$child" 2>/dev/null
	done
	[ -z "$(ls "$IPK_DIR")" ]
}
