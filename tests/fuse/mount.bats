#!/usr/bin/env bats
# Mounting, and how a mount ends.
load helper

# one_line STATUS TEXT COMMAND...: that status, one line on stderr that says TEXT, nothing on stdout
one_line() {
	local want=$1 text=$2
	shift 2
	run --separate-stderr timeout -k 5 60 "$@"
	if [ "$status" -ne "$want" ] || [ -n "$output" ] || [ "${#stderr_lines[@]}" -ne 1 ] ||
		[[ $stderr != *"$text"* ]]; then
		printf '%s: status %s, not %s; stdout "%s"; stderr "%s"\n' "$*" "$status" "$want" "$output" \
			"$stderr"
		return 1
	fi
}

server_of_mount() {
	# The process that has our segment directory in its environment and is called ipcfs.
	local p
	for p in /proc/[0-9]*; do
		if [ "$(cat "$p/comm" 2>/dev/null)" = ipcfs ] &&
			tr '\0' '\n' 2>/dev/null <"$p/environ" | grep -qxF "IPK_DIR=$IPK_DIR"; then
			echo "${p#/proc/}"
			return 0
		fi
	done
	return 1
}

@test "ipcctl mount returns when the mount is live, and umount ends it and its process" {
	ipcctl new -P S/q queue
	timeout -k 5 60 ipcctl mount "$M"
	is queue cat "$M/S/q/kind"
	server=$(server_of_mount)
	timeout -k 5 60 ipcctl umount "$M"
	run ! mountpoint -q "$M"
	until_true ended "$server"
}

@test "it goes into the background without what it inherited" {
	exec 9>held
	timeout -k 5 60 ipcfs "$M"
	server=$(server_of_mount)
	run ls -l "/proc/$server/fd"
	[[ $output != *held* ]]
	equal "$(readlink "/proc/$server/fd/0")" /dev/null
	equal "$(readlink "/proc/$server/fd/2")" /dev/null
	exec 9>&-
}

@test "SIGTERM unmounts, also while files are open and a reader waits" {
	ipcctl new -P S/q queue
	serve --rw
	exec 8<"$M/S/q/used"
	background cat "$M/S/q/.wait/pop"
	until_true has_waiter q
	kill -TERM "$server"
	until_true ended "$server"
	wait "$server"
	run ! mountpoint -q "$M"
	until_true ended "$pid"
	exec 8<&-
	equal "$(cat served)" ""
	server=
}

@test "SIGINT ends it in the foreground with status 0" {
	serve
	# A process that a script starts ignores SIGINT; ipcfs takes it all the same.
	kill -INT "$server"
	until_true ended "$server"
	wait "$server"
	run ! mountpoint -q "$M"
	server=
}

@test "a killed ipcfs leaves a stale mount that the next one replaces" {
	ipcctl new -P S/q queue
	serve
	kill -9 "$server"
	wait "$server" || true
	run ls "$M"
	[ "$status" -ne 0 ]
	timeout -k 5 60 ipcctl mount "$M"
	server=$(server_of_mount)
	is queue cat "$M/S/q/kind"
	equal "$(grep -c " $M " /proc/self/mountinfo)" 1
}

@test "a mount that is aborted by force ends the process" {
	serve
	exec 8<"$M/README"
	umount -f -l "$M"
	until_true ended "$server"
	wait "$server"
	exec 8<&-
	server=
}

@test "what cannot be mounted on is said in one line" {
	one_line 3 'no such directory' ipcfs none
	touch file
	one_line 6 'not a directory' ipcfs file
	mkdir full
	touch full/x
	one_line 4 'not empty' ipcfs full
	serve
	one_line 4 'mounted there already' ipcfs "$M"
	one_line 2 'one directory' ipcfs
	one_line 2 'one directory' ipcfs a b
	one_line 2 '--nonsense' ipcfs --nonsense "$M"
}

@test "a missing /dev/fuse is said in one line" {
	# In a mount namespace of its own, with an empty directory over /dev.
	run unshare -m true
	[ "$status" -eq 0 ] || skip "mount namespaces are not permitted here"
	mkdir dev
	one_line 1 '/dev/fuse is missing' unshare -m sh -c \
		'mount --bind dev /dev && exec ipcfs -f "$1"' - "$M"
}

@test "help and version" {
	run --separate-stderr ipcfs --help
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[[ $output == usage:*--rw*--allow-other* ]]
	run ipcfs --version
	[ "$status" -eq 0 ]
	[[ $output == "ipcfs "[0-9]* ]]
	serve
	equal "ipcfs $(cat "$M/version")" "$output"
	grep -q 'all.json' "$M/README"
}

@test "a relative IPK_DIR is meant from where it was started" {
	ipcctl new -P S/q queue
	cd "$IPK_DIR/.."
	IPK_DIR=$(basename "$IPK_DIR") timeout -k 5 60 ipcfs "$M"
	is queue cat "$M/S/q/kind"
}

@test "it says what it is, and always asks for the permissions" {
	serve
	run grep " $M " /proc/self/mountinfo
	[[ $output == *"fuse.ipcfs ipcfs "* ]]
	[[ $output == *default_permissions* ]]
	[[ $output != *allow_other* ]]
}

@test "--allow-other lets others in as far as the segment's mode does" {
	id nobody >/dev/null 2>&1 || skip "no user nobody"
	[ "$(id -u)" -eq 0 ] || skip "needs root to become another user"
	nobody=(setpriv --reuid nobody --clear-groups --)
	ipcctl new open --mode 0644
	ipcctl new -P closed/q queue
	ipcctl new open/q queue
	chmod 755 "$IPK_DIR"
	M=$IPK_DIR/m
	mkdir "$M"
	serve --allow-other
	is queue "${nobody[@]}" cat "$M/open/q/kind"
	refuses 'Permission denied' "${nobody[@]}" cat "$M/closed/q/kind"
	refuses 'Permission denied' "${nobody[@]}" cat "$M/open/q/push"
	umount -l "$M"
	until_true ended "$server"
	wait "$server"
	serve
	refuses 'Permission denied' "${nobody[@]}" cat "$M/open/q/kind"
}

@test "umount of a mount that somebody is in says so" {
	ipcctl mount "$M"
	(cd "$M" && exec sleep 60) 3>&- &
	pids+=($!)
	until_true test "/proc/$!/cwd" -ef "$M"
	run --separate-stderr ipcctl umount "$M"
	[ "$status" -eq 5 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	kill -9 "${pids[-1]}"
	until_true ipcctl umount "$M"
}

@test "a user who may not umount is told so, and one who may that somebody is in it" {
	local nobody
	[ "$(id -u)" -eq 0 ] || skip "needs root to be another user"
	cp "$(command -v ipcctl)" "$(command -v ipcfs)" "$IPK_DIR"
	chmod 755 "$IPK_DIR"
	nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	M=$IPK_DIR/m
	mkdir "$M"
	chown 65534 "$M"
	ipcctl mount "$M"
	one_line 8 'mounted by user 0' "${nobody[@]}" "$IPK_DIR/ipcctl" umount "$M"
	umount "$M"
	"${nobody[@]}" "$IPK_DIR/ipcctl" mount "$M" || skip "users cannot mount here"
	"${nobody[@]}" env -C "$M" sleep 60 3>&- &
	pids+=($!)
	until_true bash -c '[ "$(readlink "/proc/$0/cwd")" = "$1" ]' "$!" "$M"
	one_line 5 busy "${nobody[@]}" "$IPK_DIR/ipcctl" umount "$M"
	kill -9 "${pids[-1]}"
	until_true "${nobody[@]}" "$IPK_DIR/ipcctl" umount "$M"
}

@test "a mount through a link is ended through it, also when ipcfs was killed" {
	ln -s m link
	ipcctl mount link
	ipcctl umount link
	run ! mountpoint -q "$M"
	ipcctl mount link
	server=$(server_of_mount)
	kill -9 "$server"
	until_true ended "$server"
	ipcctl umount link
	run ! mountpoint -q "$M"
	one_line 3 'not mounted there' ipcctl umount link
}

@test "where the segments' directory is not there yet there are no segments" {
	local dir=$IPK_DIR
	IPK_DIR=$dir/later serve
	is $'README\nby-pid\nversion' ls "$M"
	is '' ls "$M/by-pid"
	one_line 4 'mounted there already' ipcctl mount "$M"
	mkdir "$dir/later"
	IPK_DIR=$dir/later ipcctl new S
	is $'README\nS\nby-pid\nversion' ls "$M"
}
