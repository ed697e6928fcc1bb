#!/usr/bin/env bats
# Streams that are derived from others through the command line.
load common

temps() {
	ipcctl new -P S/temps stream --type f64
	ipcctl emit S/temps 29 31 32 33 28 35
}

@test "a derived stream holds what comes out of its pipeline, and ends with its source" {
	temps
	ipcctl derive S/hot S/temps 'filter($ > 30) | window(2) | mean'
	[ "$(ipcctl show S/hot -j | jq -c '[.type, .pipeline, .behind, .missed, .failed]')" = \
		'["f64","temps | filter($ > 30) | window(2) | mean",6,0,0]' ]
	[ "$(ipcctl derive --run S/hot --nowait -j)" = '{"v":1,"read":6,"emitted":3,"missed":0,"failed":0}' ]
	[ "$(ipcctl sub S/hot --from-start -n 3)" = $'31.5\n32.5\n34' ]
	ipcctl emit S/temps 40
	[ "$(ipcctl show S/hot -j | jq .behind)" = 1 ]
	ipcctl close S/temps
	ipcctl derive --run S/hot
	[ "$(ipcctl sub S/hot --from-start)" = $'31.5\n32.5\n34\n37.5' ]
	[ "$(ipcctl show S/hot -j | jq -c '[.closed, .behind]')" = '[true,0]' ]
}

@test "every operator does what its name says" {
	ipcctl new -P S/a stream --type i64
	ipcctl new S/b stream --type i64
	ipcctl new S/s stream
	ipcctl emit S/a 1 2 2 3 3 3 4 1
	ipcctl emit S/b 10 20
	ipcctl emit S/s warm Cold warmer
	for s in a b s; do ipcctl close S/$s; done
	while IFS='|' read -r source pipeline want; do
		ipcctl derive S/out S/"$source" "${pipeline//+/|}"
		ipcctl derive --run S/out
		[ "$(ipcctl sub S/out --from-start | paste -sd' ')" = "$want" ] || {
			echo "$pipeline: $(ipcctl sub S/out --from-start | paste -sd' ')"
			false
		}
		ipcctl rm S/out
	done <<-'EOT'
		a|map($ * 10)|10 20 20 30 30 30 40 10
		a|filter($ != 3)|1 2 2 4 1
		a|take(2)|1 2
		a|skip(6)|4 1
		a|scan(0, acc - $)|-1 -3 -5 -8 -11 -14 -18 -19
		a|fold(0.5, max(acc, f64($)))|4
		a|window(4, 3)|[1,2,2,3] [3,3,3,4]
		a|batch(3) + sum|5 9 5
		a|batch(5) + count|5 3
		a|batch(4) + max|3 4
		a|window(7) + min|1 1
		a|distinct|1 2 3 4 1
		a|distinct(4)|1 2 3 4
		a|zip(b) + map($.a * $.b)|10 40
		a|throttle(2, 1h)|1 2
		b|merge(a) + skip(9)|20
		s|filter(starts_with(lower($), "w")) + map(upper($))|WARM WARMER
	EOT
}

@test "what is wrong with a pipeline is said in a line, with its column" {
	temps
	fails 2 ipcctl derive S/x S/temps 'filter($ >)'
	[[ $line == *'derive S/x: column 11: wants a value, got ")"' ]]
	fails 2 ipcctl derive S/x S/temps 'filter($) | mean'
	[[ $line == *'column 8: filter wants a bool, and this is f64' ]]
	fails 2 ipcctl derive S/x S/temps 'nean'
	fails 2 ipcctl derive S/x S/temps
	fails 2 ipcctl derive --run S/x S/temps
	fails 2 ipcctl derive S/x T/temps 'skip(1)'
	fails 3 ipcctl derive S/x S/none 'skip(1)'
	fails 3 ipcctl derive --run S/none
	fails 6 ipcctl derive --run S/temps
	fails 2 ipcctl derive S/x S/temps 'skip(1)' --derive 'skip(2)'
	ipcctl derive S/x S/temps 'skip(1)' --cap 8 --policy reject
	fails 4 ipcctl derive S/x S/temps 'skip(1)'
	[ "$(ipcctl show S/x -j | jq .cap)" = 8 ]
	fails 3 ipcctl show S/y
}

@test "elements without a value and records that were dropped are counted and told" {
	ipcctl new -P S/a stream --type i64 --cap 4
	ipcctl derive S/x S/a 'map(10 / $)'
	ipcctl emit S/a 9 9 2 0 5 0
	run --separate-stderr -0 ipcctl derive --run S/x --nowait
	[ -z "$output" ]
	[[ $stderr == *'S/x: 2 elements were left out, the last because of column 8: division by zero'* ]]
	[[ $stderr == *'S/x: 2 records were dropped before they were read'* ]]
	[ "$(ipcctl sub S/x --from-start -n 2)" = $'5\n2' ]
	[ "$(ipcctl show S/x -j | jq -c '[.missed, .failed]')" = '[2,2]' ]
}

@test "one process runs it, waits, and when it is killed the next goes on" {
	temps
	ipcctl derive S/sum S/temps 'scan(0, acc + $)'
	background ipcctl derive --run S/sum
	until_true eval '[ "$(ipcctl show S/sum -j | jq .emitted)" = 6 ]'
	fails 5 ipcctl derive --run S/sum --nowait
	[[ $line == *'another process runs it' ]]
	ipcctl emit S/temps 100
	until_true eval '[ "$(ipcctl show S/sum -j | jq .emitted)" = 7 ]'
	kill -9 "$pid"
	wait "$pid" || true
	ipcctl emit S/temps 1000
	ipcctl derive --run S/sum -n 1
	[ "$(ipcctl sub S/sum --from-start -n 8 | tail -n 3)" = $'188\n288\n1288' ]
	fails 5 ipcctl derive --run S/sum -n 1 --nowait
	fails 124 ipcctl derive --run S/sum -t 10ms
	background ipcctl derive --run S/sum
	until_true eval 'ipcctl who S/sum | grep -q waiter'
	kill -TERM "$pid"
	ends "$pid" 130
	background ipcctl derive --run S/sum
	ipcctl close S/temps
	ends "$pid" 0
	run -0 ipcctl fsck S
}
