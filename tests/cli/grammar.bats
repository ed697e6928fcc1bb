#!/usr/bin/env bats
load common

@test "options stand before the verb, after it and after REF" {
	ipcctl new -P S/q queue
	ipcctl push S/q a b c
	prints '"a"' ipcctl -j pop S/q
	prints '"b"' ipcctl pop -j S/q
	prints '"c"' ipcctl pop S/q -j
}

@test "options of kinds stand before the verb too" {
	ipcctl new S
	ipcctl --cap 7 new S/q queue
	ipcctl new --cap=9 S/r queue
	ipcctl new S/s queue --cap 11
	[ "$(field S/q cap),$(field S/r cap),$(field S/s cap)" = 7,9,11 ]
}

@test "short options join, with and without a value" {
	ipcctl new -P S/q queue
	ipcctl push S/q a b c d
	prints '"a"
"b"' ipcctl pop S/q -jn2
	prints '"c"' ipcctl pop -jn 1 S/q
}

@test "after REF a word like -12 or -0.5 is a value" {
	ipcctl new -P S/i queue --type i64
	ipcctl push S/i -12 -3 -- -7
	prints '-12
-3
-7' ipcctl pop S/i -n 3
	ipcctl new S/a array --cap 2
	ipcctl set S/a/0 -0.5
	prints -0.5 ipcctl get S/a/0
	ipcctl set S/a/0 -.5
	prints -0.5 ipcctl get S/a/0
	prints -1.5 ipcctl incr S/a/0 -1
}

@test "two dashes end the options" {
	ipcctl new -P S/q queue
	ipcctl push S/q -- -j --json -x
	prints '-j
--json
-x' ipcctl pop S/q -n 3
	ipcctl push -- S/q -v
	prints -v ipcctl pop S/q
}

@test "an option that a verb takes on another kind is refused" {
	ipcctl new -P S/p pool
	fails 2 ipcctl acquire S/p -n 2
	says 'is nothing for a pool'
	[ "$(field S/p used)" = 0 ]
	ipcctl acquire S/p
	fails 2 ipcctl release S/p/0 -n 1
	[ "$(field S/p used)" = 1 ]
	ipcctl new S/o once
	fails 2 ipcctl lock S/o --recursive -- true
	fails 6 ipcctl peek S/o
	says 'a once has no peek'
}

@test "what is not there is named" {
	ipcctl new -P S/m map
	fails 3 ipcctl del S/m/gone
	says 'no key "gone"'
	fails 3 ipcctl rm S/m/gone
	says 'no key "gone"'
}

@test "a mistyped verb gets a suggestion" {
	fails 2 ipcctl psuh S/q
	says 'did you mean "push"?'
	fails 2 ipcctl shwo
	says 'did you mean "show"?'
	fails 2 ipcctl xyzzy
}

@test "a mistyped kind gets a suggestion" {
	ipcctl new S
	fails 6 ipcctl new S/q queu
	says 'did you mean "queue"?'
	fails 6 ipcctl new S/q xyzzy
	says semaphore
}

@test "a mistyped name gets a suggestion" {
	ipcctl new -P trading/orders queue
	fails 3 ipcctl get tradin/orders
	says 'did you mean "trading"?'
	fails 3 ipcctl peek trading/ordres
	says 'did you mean "orders"?'
}

@test "a mistyped option gets a suggestion" {
	fails 2 ipcctl ls --jsno
	says 'did you mean "--json"?'
	fails 2 ipcctl new S/q queue --cpa 3
	says 'did you mean "--cap"?'
	fails 2 ipcctl ls -z
}

@test "an option that means nothing for the verb is refused" {
	ipcctl new -P S/q queue
	fails 2 ipcctl ls --follow
	fails 2 ipcctl get S/q --size 3
	fails 2 ipcctl new S/r queue --size 1M
	says 'with -P'
	fails 2 ipcctl new S/r queue --if-eq 3
	fails 2 ipcctl rm --follow S
	[ -e "$IPK_DIR/S.ipk" ]
}

@test "options want what they want" {
	fails 2 ipcctl ls -o
	fails 2 ipcctl pop S/q -n
	fails 2 ipcctl pop S/q -n x
	fails 2 ipcctl pop S/q -n -1
	fails 2 ipcctl pop S/q -n 99999999999999999999
	fails 2 ipcctl pop S/q -t 5
	says '250us'
	fails 2 ipcctl pop S/q -t -1s
	fails 2 ipcctl pop S/q -t s
	fails 2 ipcctl pop S/q --timeout=
	fails 2 ipcctl ls --json=1
	fails 2 ipcctl ls --color purple
	fails 2 ipcctl ls --frame u64
	fails 2 ipcctl ls --frame u32
	fails 2 ipcctl ls -r -0
	fails 2 ipcctl ls -o NAME,XYZ
}

@test "no verb, or too few or many words, is a usage error" {
	fails 2 ipcctl
	fails 2 ipcctl -j
	fails 2 ipcctl get
	fails 2 ipcctl get a b
	says '"b"'
	fails 2 ipcctl grow S
	fails 2 ipcctl who
	fails 2 ipcctl gc S
	fails 2 ipcctl new
	fails 2 ipcctl ls -- a b
}

@test "words for an operation are counted" {
	ipcctl new -P S/q queue
	fails 2 ipcctl push S/q
	fails 2 ipcctl pop S/q word
	fails 2 ipcctl close S/q word
	fails 2 ipcctl push S
	fails 2 ipcctl push S/q/3 x
}

@test "a command is for the verbs that run one" {
	ipcctl new -P S/q queue
	fails 2 ipcctl lease S/q
	fails 2 ipcctl lease S/q --
	ipcctl push S/q -- true
	prints true ipcctl pop S/q
}

@test "counts take size suffixes" {
	ipcctl new -P S/q queue --cap 4K
	[ "$(field S/q cap)" = 4096 ]
	seq 2000 | ipcctl push S/q -
	[ "$(ipcctl pop S/q -n 1K | wc -l)" = 1024 ]
}

@test "help is there for the program, each verb and each kind, within 80 columns" {
	local what
	ipcctl help >help
	ipcctl --help | cmp - help
	ipcctl -h | cmp - help
	for what in '' $(ipcctl schema | jq -r '.verbs[].name, .kinds[].name'); do
		ipcctl help $what >text
		[ -s text ]
		lacks '.\{81\}' text
		lacks "$(printf '\033')" text
		lacks ' $' text
	done
	for what in $(ipcctl schema | jq -r '.verbs[].name'); do
		ipcctl "$what" --help >text
		ipcctl help "$what" | cmp - text
	done
	fails 2 ipcctl help quue
	says 'did you mean "queue"?'
}

@test "the examples of help run as they stand" {
	local count i kind example
	ipcctl schema >schema
	mkdir dir
	count=$(jq '[.kinds[] | .name as $k | .ops[] | select(.example)] | length' schema)
	[ "$count" -gt 0 ]
	for ((i = 0; i < count; i++)); do
		kind=$(jq -r "[.kinds[] | .name as \$k | .ops[] | select(.example) | \$k][$i]" schema)
		example=$(jq -r "[.kinds[].ops[] | select(.example).example][$i]" schema)
		rm -f "$IPK_DIR"/*.ipk
		ipcctl new -P S/x "$kind"
		if ! timeout 60 bash -c "$example" >text 2>&1 </dev/null; then
			echo "$kind: $example: $(cat text)"
			return 1
		fi
	done
	count=$(jq '[.verbs[] | select(.builtin)] | length' schema)
	for ((i = 0; i < count; i++)); do
		example=$(jq -r "[.verbs[] | select(.builtin).example][$i]" schema)
		case $example in *mount*) continue ;; esac
		rm -f "$IPK_DIR"/*.ipk
		ipcctl new -P S/x queue
		if ! timeout 60 bash -c "$example" >text 2>&1 </dev/null; then
			echo "$example: $(cat text)"
			return 1
		fi
	done
}

@test "a verb that needs a command shows it, and refuses to do without before it does anything" {
	local kind verb usage n=0
	while read -r kind verb usage; do
		rm -f "$IPK_DIR"/*.ipk
		ipcctl new -P S/x "$kind"
		n=$((n + 1))
		case $usage in
		*' [-- CMD]') ipcctl "$verb" S/x ;;
		*' -- CMD')
			fails 2 ipcctl "$verb" S/x
			says "wants a command: ipcctl $verb S/x -- CMD"
			;;
		*) echo "$kind: $usage"; return 1 ;;
		esac
	done < <(ipcctl schema | jq -r '.kinds[] | .name as $k | .ops[] | select(.flags | index("cmd")) |
		"\($k) \(.name) \(.usage)"')
	[ "$n" -gt 0 ]
	ipcctl help lock | grep -qx '    ipcctl lock SEG/OBJ -- CMD'
}

@test "the version is told" {
	run ipcctl --version
	[[ $output =~ ^ipcctl\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "errors are JSON with -j, wherever it stands" {
	fails 3 ipcctl -j get S/x
	[ "$(jq -r '[.v, .error.exit, .error.code, .error.verb, .error.ref] | join(" ")' <<<"$line")" = '1 3 ENOENT get S/x' ]
	fails 2 ipcctl psuh -j
	[ "$(jq -r .error.exit <<<"$line")" = 2 ]
	fails 2 ipcctl ls -j --frobnicate
	[ "$(jq -r .error.exit <<<"$line")" = 2 ]
}

@test "-q is silent about an expected no, and only there" {
	ipcctl new -P S/q queue
	run --separate-stderr ipcctl -q pop S/q --nowait
	[ "$status" -eq 5 ] && [ -z "$output$stderr" ]
	fails 3 ipcctl -q get S/none
}

@test "-v says what was done, on stderr" {
	run --separate-stderr ipcctl -v new -P S/q queue
	[ "$status" -eq 0 ] && [ -z "$output" ] && [ -n "$stderr" ]
	run --separate-stderr ipcctl push -v S/q a b
	[ -z "$output" ] && [[ $stderr == *2* ]]
}

@test "no kind's own option is called like another that takes no value" {
	ipcctl schema >schema
	[ "$(jq -c '(.options | map(select(.arg | not).name)) as $flags | [.kinds[] | .name as $k |
		(.params[], (.ops[].args[]? | select(.positional | not))) | select(.type != "flag").name |
		select(. as $n | $flags | index($n)) | $k + " " + .]' schema)" = '[]' ]
	ipcctl new -P S/x stream --cap 100 --max-bytes 4096
	[ "$(ipcctl show -j S/x | jq .cap)" = 100 ]
}

@test "schema is one JSON object that names everything" {
	ipcctl schema | jq -e '.v == 1 and (.verbs | length) > 20 and (.kinds | length) > 3 and
		(.options | length) > 20 and ([.exits[].code] | contains([0, 70, 124, 130]))'
	ipcctl schema -p | jq -e .v
}

@test "completion scripts are valid in their shells" {
	ipcctl completion bash >c.bash && bash -n c.bash
	ipcctl completion zsh >c.zsh
	ipcctl completion fish >c.fish
	if command -v zsh >/dev/null; then zsh -n c.zsh; fi
	if command -v fish >/dev/null; then fish -n c.fish; fi
	fails 2 ipcctl completion csh
}

@test "completion knows verbs, options, kinds and what lives" {
	ipcctl new -P trading/orders queue
	ipcctl new trading/prices array
	ipcctl complete -- pu | grep -qx push
	ipcctl complete -- pop tra | grep -qx trading/
	ipcctl complete -- pop trading/o | grep -qx trading/orders
	prints 'trading/orders
trading/prices' bash -c 'ipcctl complete -- rm trading/ | sort'
	ipcctl complete -- new x/y qu | grep -qx queue
	ipcctl complete -- new x/y queue --ca | grep -qx -- --cap
	ipcctl complete -- pop trading/orders --fol | grep -qx -- --follow
	ipcctl complete -- help se | grep -qx semaphore
	ipcctl complete -- help se | grep -qx set
	ipcctl new trading/lock mutex
	prints -- ipcctl complete -- lock trading/lock ''
	ipcctl complete -- lock trading/lock - | grep -qx -- --
	prints '' ipcctl complete -- lock trading/lock -- ls --l
	prints '' ipcctl complete -- pop trading/orders ''
	prints '' ipcctl complete -- get nowhere/x
	prints '' ipcctl complete --
}

@test "completion offers what an option and a verb take" {
	ipcctl new -P S/q queue
	ipcctl new S/a array
	prints $'one\nmany' ipcctl complete -- new S/r ring --producers ''
	prints '--policy=block' ipcctl complete -- new S/s stream --policy=b
	prints $'auto\nalways\nnever' ipcctl complete -- ls --color ''
	ipcctl complete -- new S/x array --type f | grep -qx f32
	prints '' ipcctl complete -- pop -t ''
	prints S/q ipcctl complete -- pop -n 3 S/
	prints S/a ipcctl complete -- incr S/
	prints '' ipcctl complete -- batch ''
	prints '' ipcctl complete -- mount ''
}

# bash_completes LINE: what the function replies, a line each
bash_completes() {
	bash -c '. ./c.bash; read -ra COMP_WORDS <<<"$1"; COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$'"' \"=:'"'
		_ipcctl 2>/dev/null; printf "%s\n" "${COMPREPLY[@]}"' bash "$1"
}

@test "bash completes a live name, and keys that it would cut or split" {
	ipcctl new -P trading/orders queue
	ipcctl new trading/m map
	ipcctl set 'trading/m/two words' 1
	ipcctl set trading/m/user:1 1
	ipcctl set trading/m/a=b 1
	ipcctl completion bash >c.bash
	prints trading/orders bash_completes 'ipcctl pop trading/o'
	prints 'trading/m/two\ words' bash_completes 'ipcctl get trading/m/t'
	prints 'trading/m/two\ words' bash_completes 'ipcctl get trading/m/two\ '
	prints 1 bash_completes 'ipcctl get trading/m/user:'
	prints b bash_completes 'ipcctl get trading/m/a='
	prints trading/ bash_completes 'ipcctl ls '
}

@test "fish completes live names, keys and files" {
	command -v fish >/dev/null || skip "no fish here"
	ipcctl new -P S/m map
	ipcctl set 'S/m/two words' 1
	ipcctl completion fish >c.fish
	touch commands
	prints push fish --no-config -c 'source c.fish; complete -C "ipcctl pus"'
	prints 'S/m/two words' fish --no-config -c 'source c.fish; complete -C "ipcctl get S/m/two\ "'
	prints commands fish --no-config -c 'source c.fish; complete -C "ipcctl batch comm"'
}

@test "off a terminal there is no colour, on one there is, and NO_COLOR ends it" {
	local esc
	esc=$(printf '\033')
	ipcctl new S
	ipcctl ls >plain
	lacks "$esc" plain
	ipcctl ls --color=always >coloured
	grep -q "$esc" coloured
	ipcctl ls --color=never | cmp - plain
	NO_COLOR=1 ipcctl ls --color=always | cmp - coloured
	if command -v script >/dev/null; then
		script -qec 'ipcctl ls' /dev/null </dev/null >seen
		grep -q "$esc" seen
		NO_COLOR=1 script -qec 'ipcctl ls' /dev/null </dev/null >seen
		grep -q NAME seen
		lacks "$esc" seen
		TERM=dumb script -qec 'ipcctl ls' /dev/null </dev/null >seen
		grep -q NAME seen
		lacks "$esc" seen
	fi
}

@test "an error names what was typed, and the reason" {
	ipcctl new -P S/m map
	ipcctl new S/a array --cap 4
	ipcctl new S/s semaphore
	ipcctl new S/l latch
	fails 6 ipcctl drain S/m
	says 'drain S/m: a map has no drain'
	fails 6 ipcctl rm S/a/1
	says 'rm S/a/1: an array has no rm'
	fails 3 ipcctl rm S/m/k
	says 'rm S/m/k: no key "k"'
	fails 3 ipcctl show S/m/k
	says 'no key "k"'
	fails 3 ipcctl show S/a/4
	says '4 is out of bounds: an array of 4'
	ipcctl acquire S/s
	fails 5 ipcctl wait S/s --nowait
	says 'no permit is free'
	fails 2 ipcctl new S/x queue --cap 0x10
	says '--cap wants a number such as 1024 or 64K, got "0x10"'
	fails 2 ipcctl countdown S/l 0
	says 'countdown S/l: n goes from 1'
	fails 2 ipcctl mv S/m info
	says reserved
	fails 2 ipcctl queue S/q
	says 'ipcctl help queue'
	# a suggestion is something that the verb takes
	fails 2 ipcctl lock S/m --read -- true
	[[ $line != *dead* ]]
}

@test "-Infinity is a value too" {
	ipcctl new -P S/q queue --type f64
	ipcctl push S/q -Infinity -inf -INF
	prints $'-inf\n-inf\n-inf' ipcctl drain S/q
}
