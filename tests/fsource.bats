#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# fsource over the loopback interface and Unix sockets: connecting, listening, being cut off.

load helper
load robust

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	pids=()
}

teardown() {
	[ ${#pids[@]} -eq 0 ] || kill -9 "${pids[@]}" 2>/dev/null || true
}

# listen [OPTION…] ADDRESS: fsource in the background, into out and err; when it listens.
listen() {
	fsource "$@" >out 2>err 3>&- &
	source=$!
	pids+=("$source")
	wait_until grep -q 'listening on' err
	port=$(sed -n 's/.*:\([0-9]*\)$/\1/p' err)
}

has_lines() { [ "$(wc -l <"$1")" -eq "$2" ]; }

@test "listening: lines of several connections, whole, as they come" {
	listen tcp-listen://127.0.0.1:0
	exec 4>"/dev/tcp/127.0.0.1/$port" 5>"/dev/tcp/127.0.0.1/$port"
	printf 'a1\na' >&4
	wait_until has_lines out 1
	printf 'b1\nb2' >&5
	wait_until has_lines out 2
	printf '2\n' >&4
	wait_until has_lines out 3
	exec 4>&- 5>&-
	wait_until has_lines out 4
	printf 'a1\nb1\na2\nb2\n' | cmp - out
	kill "$source"
	status=0
	wait "$source" || status=$?
	[ "$status" -eq 75 ]
}

@test "listening: --once ends with its connection, and keeps the last line as it is" {
	listen --once tcp-listen://127.0.0.1:0
	printf 'x\ny' >"/dev/tcp/127.0.0.1/$port"
	wait "$source"
	printf 'x\ny' | cmp - out
}

@test "connecting: the end of the connection is the end of the data" {
	listen --once unix-listen:far.sock # only as a way to wait for a socket
	kill "$source"
	wait "$source" || true
	nc -lNU far.sock </dev/null >/dev/null & # gone at once when asked
	pids+=($!)
	wait_until test -S far.sock
	run -0 timeout 10 fsource unix:far.sock
	assert_output ""
	printf 'k,v\na,1\na,2\n' | nc -lN 127.0.0.1 45871 &
	pids+=($!)
	run -0 --separate-stderr bash -c 'fsource --reconnect --give-up 5s tcp://127.0.0.1:45871 |
		head -n 3 | fkeyby --icsv k | freduce "s=sum(v)" --ocsv'
	assert_output $'k,s\na,3'
}

@test "connecting: nobody there" {
	run -69 --separate-stderr fsource unix:none.sock
	[ "$stderr" = "fsource: cannot connect to unix:none.sock: No such file or directory (--reconnect waits for it)" ]
	run -69 --separate-stderr timeout 10 fsource --reconnect --give-up 300ms tcp://127.0.0.1:1
	assert_equal "${#stderr_lines[@]}" 2
	[ "${stderr_lines[0]}" = "fsource: cannot connect to tcp://127.0.0.1:1: Connection refused; trying again" ]
	[ "${stderr_lines[1]}" = "fsource: cannot connect to tcp://127.0.0.1:1: Connection refused" ]
}

@test "connecting: --reconnect goes on with the next server, half lines ended" {
	fsource --reconnect unix:s.sock >out 2>err 3>&- &
	pids+=($!)
	wait_until grep -q 'trying again' err
	printf 'one\nhal' | nc -lNU s.sock
	rm -f s.sock
	printf 'two\n' | nc -lNU s.sock
	wait_until has_lines out 3
	printf 'one\nhal\ntwo\n' | cmp - out
	grep -q 'unix:s.sock: connected' err
}

@test "the reader goes away: it ends, though nothing comes" {
	mkfifo pipe
	{ timeout 10 fsource unix-listen:s.sock || echo $? >status; } >pipe 2>err 3>&- &
	pids+=($!)
	exec 4<pipe
	wait_until test -S s.sock
	exec 4<&-
	wait_until test -s status
	[ "$(cat status)" -eq 141 ]
	[ ! -e s.sock ]
}

@test "a socket that was left behind is replaced, one in use and a file are not" {
	listen unix-listen:s.sock
	run -73 --separate-stderr fsource unix-listen:s.sock
	[ "$stderr" = "fsource: cannot listen on unix-listen:s.sock: Address already in use" ]
	kill -9 "$source"
	wait "$source" || true
	[ -S s.sock ]
	listen unix-listen:s.sock
	kill -INT "$source" # a background job of a script ignores it, but fsource catches it
	wait "$source" || [ $? -eq 130 ]
	[ ! -e s.sock ]
	echo precious >file
	run -73 fsource unix-listen:file
	[ "$(cat file)" = precious ]
}

@test "a stream is counted while it comes" {
	fsource --once tcp-listen://127.0.0.1:0 2>err 3>&- |
		fkeyby --icsv --time ts k | fwindow tumble 1m | freduce n=count --ocsv >out &
	pids+=($!)
	wait_until grep -q 'listening on' err
	exec 4>"/dev/tcp/127.0.0.1/$(sed 's/.*://' err)"
	printf 'ts,k\n2026-11-21T10:00:01Z,a\n2026-11-21T10:00:59Z,a\n2026-11-21T10:01:00Z,a\n' >&4
	wait_until has_lines out 2
	exec 4>&-
	[ "$(sed -n 2p out)" = "2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,a,2" ]
}

@test "tail -F: a window's result is there when the watermark allows it, not later" {
	echo 'ts,k' >x.csv
	mkfifo pipe
	tail -n +1 -F x.csv >pipe 2>/dev/null 3>&- &
	pids+=($!)
	fkeyby --icsv --time ts --watermark 5s k <pipe 3>&- | fwindow tumble 1m |
		freduce n=count --ocsv >out &
	pids+=($!)
	echo '2026-11-21T10:00:01Z,a' >>x.csv
	echo '2026-11-21T10:01:04Z,a' >>x.csv
	sleep 1.5
	[ "$(wc -l <out)" -le 1 ] # the watermark is at 10:00:58.999
	echo '2026-11-21T10:01:05Z,a' >>x.csv
	wait_until has_lines out 2
}

@test "addresses that are none" {
	local address

	for address in host:1 udp://h:1 tcp://h tcp://h: tcp://:1 tcp://::1:80 tcp://h:1/x unix: \
		"unix:$(printf '%0200d' 1)"; do
		run -64 --separate-stderr fsource "$address"
		[ "${#stderr_lines[@]}" -eq 1 ] || fail "$stderr"
	done
	run -64 fsource
	run -64 fsource tcp://h:1 tcp://h:2
	run -64 fsource --once tcp://h:1
	run -64 fsource --reconnect tcp-listen://h:1
	run -64 fsource --give-up 1s tcp://h:1
}
