#!/usr/bin/env bats
# Everyday tools over many objects, a thousand with IPK_TEST_LONG=1: all of them end and are right.
load helper

each=25 # of each kind
[ "${IPK_TEST_LONG:-0}" = 0 ] || each=250

# These limits are for what hangs; a slow machine may take its time.
long=(timeout -k 5 600)

# Queues, arrays, maps and semaphores; made once, and kept as a file for the whole run.
many() {
	local i
	if [ ! -e "$BATS_RUN_TMPDIR/many.ipk" ]; then
		for ((i = 0; i < each; i++)); do
			echo "new L/q$i queue --cap 4"
			echo "push L/q$i needle$i '' 'two words'"
			echo "new L/a$i array --type i64 --cap 3"
			echo "set L/a$i/1 $i"
			echo "new L/m$i map"
			echo "set L/m$i/key$i value$i"
			echo "new L/s$i semaphore --cap 2"
		done >batch
		ipcctl new L --size 16MiB
		"${long[@]}" ipcctl batch batch
		cp "$IPK_DIR/L.ipk" "$BATS_RUN_TMPDIR/many.ipk"
	else
		cp "$BATS_RUN_TMPDIR/many.ipk" "$IPK_DIR/L.ipk"
	fi
	equal "$(ipcctl ls L --noheadings | wc -l)" $((4 * each))
	serve
}
# Files and directories of a queue, an array, a map and a semaphore, items included.
files=$((each * (11 + 3 + 11 + 3 + 10 + 1 + 10) + 2))
directories=$((each * (2 + 2 + 2 + 1) + 1))

@test "ls -lR and du" {
	many
	"${long[@]}" ls -lR "$M/L" >one
	equal "$(grep -c '^-' one)" "$files"
	equal "$(grep -c '^d' one)" $((directories - 1))
	"${long[@]}" ls -lR "$M/L" >two
	cmp one two
	sum=$(awk '/^-/ { n += $5 } END { print n }' one)
	equal "$("${long[@]}" du -sb --apparent-size "$M/L" | cut -f1)" "$sum"
}

@test "find and wc" {
	many
	equal "$("${long[@]}" find "$M/L" -type f | wc -l)" "$files"
	equal "$("${long[@]}" find "$M/L" -type d | wc -l)" "$directories"
	equal "$("${long[@]}" find "$M/L" -name .wait | wc -l)" 0
	equal "$("${long[@]}" find "$M/L" -path '*/items/*' -type f | wc -l)" $((7 * each))
	equal "$("${long[@]}" find "$M/L" -name kind -exec cat {} + | sort | uniq -c | awk '{print $1, $2}' | paste -sd' ')" \
		"$each array $each map $each queue $each semaphore"
	equal "$(wc <"$M/L/q12/items/0" | xargs)" '1 1 9'
}

@test "grep -r and rg" {
	many
	# In an item and in all.json of each queue whose number begins with 7
	matches=$((each > 25 ? 2 * 11 : 2))
	equal "$("${long[@]}" grep -r needle7 "$M/L" | wc -l)" "$matches"
	equal "$("${long[@]}" grep -rl '^queue$' "$M/L" | wc -l)" "$each"
	equal "$("${long[@]}" rg --no-messages needle7 "$M/L" | wc -l)" "$matches"
	is "$M/L/m12/items/key12" "${long[@]}" rg -l '^value12$' "$M/L"
}

@test "tar and cp -r" {
	many
	"${long[@]}" tar cf all.tar -C "$M" L
	"${long[@]}" tar xf all.tar
	equal "$(find L -type f | wc -l)" "$files"
	"${long[@]}" cp -r "$M/L" copy
	"${long[@]}" diff -r L copy
	"${long[@]}" diff -r "$M/L" copy
	equal "$(cat copy/q17/all.json)" '"needle17"
""
"two words"'
	chmod -R u+w L copy
}

@test "tac, tail, head, sort, md5sum, dd and bash read what is there" {
	ipcctl new -P S/q queue --cap 5000
	seq 5000 | ipcctl push S/q -
	serve
	seq 5000 | sed 's/.*/"&"/' >want
	p=$M/S/q/all.json
	"${long[@]}" cmp want "$p"
	"${long[@]}" tac "$p" | cmp - <(tac want)
	equal "$("${long[@]}" tail -n 3 "$p" | paste -sd' ')" '"4998" "4999" "5000"'
	equal "$("${long[@]}" tail -c 7 "$p")" '"5000"'
	equal "$("${long[@]}" head -n 1 "$p")" '"1"'
	equal "$("${long[@]}" md5sum <"$p")" "$(md5sum <want)"
	"${long[@]}" dd if="$p" bs=7 status=none | cmp - want
	equal "$(timeout 60 bash -c 'while read -r l; do last=$l; done <"$1"; echo "$last"' - "$p")" '"5000"'
	"${long[@]}" sort -o sorted "$p"
	cmp sorted <(sort want)
	equal "$("${long[@]}" wc -l <"$p")" 5000
	# tail -f of what does not grow just waits
	background timeout 600 tail -n 1 -f "$M/S/q/used"
	until_true grep -q 5000 out
	kill "$pid"
	until_true ended "$pid"
}

@test "Python reads files as files" {
	ipcctl new -P S/q queue
	ipcctl push S/q '{"a":1}' 'ümlaut'
	serve
	py <<-'EOF'
	import json, os, pathlib, shutil
	p = pathlib.Path(os.environ['M']) / 'S' / 'q'
	assert p.joinpath('used').read_text() == '2\n'
	assert [json.loads(l) for l in open(p / 'all.json')] == ['{"a":1}', 'ümlaut']
	assert sorted(x.name for x in p.joinpath('items').iterdir()) == ['0', '1']
	shutil.copytree(p, 'copied')
	assert open('copied/items/1').read() == 'ümlaut\n'
	with open(p / 'all.json', 'rb') as f:
	    f.seek(-9, os.SEEK_END)
	    assert f.read() == b'\xc3\xbcmlaut"\n'
	EOF
}

@test "a directory lists 65,536 items, and finds all" {
	ipcctl new S --size 32MiB
	ipcctl new S/a array --type u8 --cap 200000
	ipcctl set S/a/199999 9
	serve
	"${long[@]}" ls -f "$M/S/a/items" | grep -vx '\.*' >list
	equal "$(wc -l <list)" 65536
	equal "$(head -n 1 list)" 000000
	equal "$(tail -n 1 list)" 065535
	equal "$(sort -u list | wc -l)" 65536
	is 9 cat "$M/S/a/items/199999"
}

@test "a listing is the one of its beginning, and can be read from any place in it" {
	ipcctl new -P S/m map
	for i in $(seq 300); do echo "set S/m/key$i $i"; done >batch
	ipcctl batch batch
	serve
	py <<-'EOF'
	import os, subprocess
	d = os.environ['M'] + '/S/m/items'
	it = os.scandir(d)
	first = next(it).name
	subprocess.run(['ipcctl', 'del', 'S/m/key250'], check=True, timeout=60)
	names = [first] + [e.name for e in it]
	assert len(names) == len(set(names)) == 300
	assert len(os.listdir(d)) == 299
	EOF
}

@test "several readers at once all get it right" {
	ipcctl new -P S/q queue --cap 3000
	seq 3000 | ipcctl push S/q -
	serve
	seq 3000 | sed 's/.*/"&"/' >want
	for i in $(seq 8); do
		timeout -k 5 300 sh -c 'for n in 1 2 3 4 5 6; do cat "$1" | cmp - want || exit 1; done' - \
			"$M/S/q/all.json" 3>&- &
		readers[i]=$!
		pids+=($!)
	done
	for i in $(seq 8); do
		wait "${readers[i]}"
	done
}
