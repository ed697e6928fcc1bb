#!/usr/bin/env bats
# who stat fsck gc hexdump batch mount, and segments that are hostile
load common

@test "who shows the columns of the contract" {
	ipcctl new -P S/q queue
	prints 'PID START COMM ROLE SINCE ALIVE' bash -c 'ipcctl who S | head -1 | xargs'
	prints 'PID START COMM ROLE SINCE ALIVE' bash -c 'ipcctl who S/q | head -1 | xargs'
	background ipcctl pop S/q
	until_true ipcctl wait S/q --for 'waiters>0' -t 60s
	[ "$(ipcctl who S/q -j | jq -c '[.v, .pid, .comm, .role, .alive]')" = "[1,$pid,\"ipcctl\",\"waiter\",true]" ]
	[ "$(ipcctl who S/q -j | jq .start)" = "$(cut -d' ' -f22 "/proc/$pid/stat")" ]
	[ "$(ipcctl who S -j | jq -r .pid)" = "$pid" ]
	fails 3 ipcctl who none
}

@test "who shows what is held" {
	ipcctl new -P S/q queue
	ipcctl push S/q a
	[ "$(ipcctl lease S/q -- ipcctl who S/q -j -l | jq -c '[.comm, .count, .alive]')" = '["ipcctl",1,true]' ]
}

@test "stat counts what was done, and repeats" {
	ipcctl new -P S/q queue
	ipcctl push S/q a b c
	ipcctl pop S/q >/dev/null
	[ "$(ipcctl stat -j S/q | jq -c '[.v, .used, .cap, .pushed, .popped]')" = '[1,2,1024,3,1]' ]
	[ "$(ipcctl stat -j S/q -i 1ms -n 3 | wc -l)" -eq 3 ]
	ipcctl stat S/q | grep -qx 'pushed 3'
	ipcctl stat S | grep -q '^size '
	fails 2 ipcctl stat S/q -i 0
	fails 2 ipcctl stat S/q -i x
}

@test "fsck is silent where all is well" {
	ipcctl new -P S/q queue
	ipcctl new S/a array
	ipcctl new S/s semaphore
	ipcctl push S/q a
	prints '' ipcctl fsck S
	prints '' ipcctl fsck S/q
	fails 3 ipcctl fsck none
	fails 3 ipcctl fsck S/none
}

@test "fsck names what is wrong and exits 1, or 7 where nothing can be read" {
	ipcctl new -P S/q queue
	cp "$IPK_DIR/S.ipk" bad.ipk
	# the page table at the end of the file
	size=$(stat -c %s bad.ipk)
	head -c 64 /dev/urandom | dd of=bad.ipk bs=1 seek=$((size - 8000)) conv=notrunc status=none
	run --separate-stderr ipcctl fsck ./bad.ipk
	[ "$status" -eq 1 ] || [ "$status" -eq 7 ]
	[ "$status" -ne 1 ] || [ -n "$output" ]
	head -c 4096 /dev/urandom >junk.ipk
	fails 7 ipcctl fsck ./junk.ipk
}

a_lease_dies() { # of the queue S/q, made for it
	ipcctl new -P S/q queue
	ipcctl push S/q a
	background ipcctl lease S/q -- sleep 1000
	until_true ipcctl wait S/q --for 'leased=1' -t 60s
	child_of "$pid"
	kill -9 "$pid"
	wait "$pid" || true
	until_true ipcctl wait S --for 'dead>0' -t 60s
}

@test "gc clears what a killed process left, and nothing else" {
	ipcctl new T
	a_lease_dies
	ipcctl gc --dry-run | grep -q "S: would clear what $pid"
	[ "$(field S dead)" -gt 0 ]
	ipcctl gc | grep -q "S: cleared what $pid"
	[ "$(field S dead),$(field S/q leased),$(field S/q used)" = 0,0,1 ]
	prints '' ipcctl gc
	prints 'S
T' ipcctl ls -o NAME --noheadings
}

@test "gc says what it cannot clear" {
	local at
	a_lease_dies
	at=$(grep -abo iobj "$IPK_DIR/S.ipk" | head -n 1) # the object's kind follows: one that nobody knows
	printf '\143' | dd of="$IPK_DIR/S.ipk" bs=1 seek=$((${at%%:*} + 4)) conv=notrunc status=none
	run -1 ipcctl gc
	[[ $output == "S: cannot clear yet what $pid ("* ]]
	run -1 ipcctl gc -j
	[ "$(jq -c '[.pid, .swept]' <<<"$output")" = "[$pid,false]" ]
	[ "$(field S dead)" -gt 0 ]
}

@test "hexdump shows bytes, and elements with --typed" {
	ipcctl new -P S/a array --type u16 --cap 3
	ipcctl set S/a/0..3 1 2 65535
	ipcctl hexdump S >hex
	head -1 hex | grep -q '^00000000  69 70 6b 73 65 67'
	[ "$(ipcctl hexdump -r S | wc -c)" -eq "$(stat -c %s "$IPK_DIR/S.ipk")" ]
	ipcctl hexdump -r S | cmp - "$IPK_DIR/S.ipk"
	ipcctl hexdump S/a | grep -q iobj
	ipcctl hexdump S/a --typed | grep -qx '2 ffff 65535'
	ipcctl hexdump S --typed | grep -q array
}

@test "batch runs lines as a shell would cut them, goes on, and ends with the first failure" {
	cat >commands <<-'X'
		# a comment
		new -P S/q queue   # another
		push S/q 'a b' "c \"d\"" e\ f ''

		get S/none
		peek S/none
		ipcctl push S/q last
		pop S/q -n 5
		push S/q "unclosed
	X
	run --separate-stderr ipcctl batch commands
	[ "$status" -eq 3 ]
	[ "$output" = $'a b\nc "d"\ne f\n\nlast' ]
	[ "${#stderr_lines[@]}" -eq 3 ]
	[[ ${stderr_lines[0]} == *commands:5:* ]]
	[[ ${stderr_lines[2]} == *commands:9:*quote* ]]
	prints '"x"' ipcctl -j batch - <<<$'push S/q x\npop S/q'
	fails 3 ipcctl batch none
	fails 2 ipcctl batch - <<<'push S/q -'
}

@test "closed standard streams hurt no segment" {
	ipcctl new -P S/q queue
	run bash -c 'ipcctl push S/q a >&- 2>&- <&-'
	[ "$status" -eq 0 ]
	run bash -c 'ipcctl show S/q >&-'
	[ "$status" -ne 0 ]
	ipcctl fsck S
	prints a ipcctl pop S/q
}

@test "mount without ipcfs or on nothing is one clear failure" {
	fails 3 ipcctl umount "$PWD/none"
	fails 3 ipcctl umount "$PWD/none/none"
	fails 3 ipcctl umount .
	fails 3 ipcctl umount /
	fails 3 ipcctl umount /proc
	cp "$(command -v ipcctl)" ./ipcctl
	run -127 --separate-stderr env PATH=/nonexistent ./ipcctl mount .
	[ "${#stderr_lines[@]}" -eq 1 ]
}

@test "truncated and scribbled segments end every reader with an error, not a crash" {
	local i verb seed rounds=6
	[ "${IPK_TEST_LONG:-0}" = 0 ] || rounds=64
	ipcctl new -P S/q queue --cap 16
	ipcctl push S/q a b c
	ipcctl new S/m map
	ipcctl set S/m/k v
	ipcctl new S/a array --cap 16
	ipcctl new S/s semaphore
	cp "$IPK_DIR/S.ipk" good
	size=$(stat -c %s good)
	for ((i = 0; i < rounds; i++)); do
		cp good bad.ipk
		if ((i % 4 == 0)); then
			truncate -s $((size * i / rounds)) bad.ipk
		else
			seed=$(((i * 7919) % 64))
			printf '\377\377\377\177\1' | dd of=bad.ipk bs=1 conv=notrunc status=none \
				seek=$(((seed * 1024 + i * 24) % (size - 8)))
			printf '\376\377\0\1' | dd of=bad.ipk bs=1 conv=notrunc status=none \
				seek=$(((i * 104) % 2048))
		fi
		for verb in 'fsck ./bad.ipk' 'ls -l ./bad.ipk' 'show ./bad.ipk' 'who ./bad.ipk' 'tree ./bad.ipk' \
			'show ./bad.ipk/q' 'dump ./bad.ipk/q' 'dump ./bad.ipk/m' 'get ./bad.ipk/m/k' 'get ./bad.ipk/a' \
			'get ./bad.ipk/s' 'who ./bad.ipk/s' 'stat ./bad.ipk/q' 'hexdump ./bad.ipk/q --typed' \
			'keys ./bad.ipk/m' 'peek ./bad.ipk/q -n 9'; do
			run timeout 60 ipcctl $verb
			if [ "$status" -ge 70 ]; then
				echo "round $i: $verb: status $status: $output"
				return 1
			fi
		done
	done
}

# Cuts, lengthens and overwrites it until it is killed; from time to time it is whole.
scribble() {
	local size
	size=$(stat -c %s good)
	while :; do
		case $((RANDOM % 4)) in
		0) truncate -s $((RANDOM * 32 % size)) bad.ipk ;;
		1) dd if=good of=bad.ipk conv=notrunc status=none ;;
		*) printf '\377\377\177\1' | dd of=bad.ipk bs=1 conv=notrunc status=none seek=$((RANDOM * 4 % 4096)) ;;
		esac
		echo >>rounds
	done
}

@test "a segment that is scribbled over while it is read ends every reader with an error, not a crash" {
	ipcctl new -P S/q queue
	ipcctl push S/q a b c
	ipcctl new S/m map
	ipcctl set S/m/k v
	cp "$IPK_DIR/S.ipk" good
	cp good bad.ipk
	RANDOM=1
	background scribble
	until_true test -s rounds
	for ((i = 0; i < 2; i++)); do
		for verb in 'fsck ./bad.ipk' 'ls ./bad.ipk' 'show ./bad.ipk' 'who ./bad.ipk' 'show ./bad.ipk/q' \
			'dump ./bad.ipk/q' 'get ./bad.ipk/m/k' 'hexdump ./bad.ipk/q --typed' 'hexdump ./bad.ipk' \
			'fsck ./bad.ipk --repair' 'fsck ./bad.ipk --undo'; do
			run timeout 60 ipcctl $verb
			if [ "$status" -ge 70 ]; then
				echo "$verb: status $status: $output"
				return 1
			fi
		done
	done
	kill -0 "$pid"
}
