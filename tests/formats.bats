#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Logs as they are: each kind is counted per minute and level with one line. The samples
# are in tests/logs.

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	logs=$FLUE_SOURCE/tests/logs
}

# minutes KEY OPTION… : count standard input per minute and KEY, without a header line.
minutes() {
	fkeyby "$@" | fwindow tumble 1m | freduce n=count --headerless-csv-output --ocsv
}

# one FORMAT RE LINE EXPECTED [OPTION…]: the line's minute and level.
one() {
	local format=$1 re=$2 line=$3 expected=$4

	shift 4
	run -0 --separate-stderr minutes --iregex "$re" --time ts --time-format "$format" \
		"$@" level <<<"$line"
	assert_output "$expected,1"
	[ -z "$stderr" ]
}

# ---- web servers -------------------------------------------------------------------------

nginx='$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
nginx+='"$http_referer" "$http_user_agent" $request_time'

@test "nginx's log_format is the format of its log, time included" {
	run -0 minutes --ilogformat "$nginx" status "$logs/nginx.log"
	assert_output - <<-'END'
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,200,1
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,201,1
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,404,1
		2026-11-21T10:01:00Z,2026-11-21T10:02:00Z,500,1
		2026-11-21T10:01:00Z,2026-11-21T10:02:00Z,400,1
	END
}

@test "its fields have nginx's names; a request is also taken apart, escapes decoded" {
	run -0 fcat --ilogformat "$nginx" "$logs/nginx.log" --ocsv \
		--columns remote_user,method,path,protocol,http_referer,http_user_agent,request_time
	assert_line -n 2 'alice,POST,/api/orders,HTTP/1.1,https://shop.example/cart,Mozilla/5.0 (X11; Linux x86_64),0.120'
	assert_line -n 3 ',GET,"/a""b",HTTP/1.1,,,0.001'
	run -0 fcat --ilogformat "$nginx" "$logs/nginx.log" --ojsonl --columns request,method
	assert_line -n 4 --partial '{"request":"\u0016\u0003\u0001"'
}

@test "Apache's LogFormat, by letters or by name" {
	local format='%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"'

	run -0 minutes --ilogformat vhost_combined vhost "$logs/apache.log"
	assert_output - <<-'END'
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,shop.example,2
		2026-11-21T10:01:00Z,2026-11-21T10:02:00Z,blog.example,1
	END
	fcat --ilogformat vhost_combined "$logs/apache.log" --ojsonl >named
	fcat --ilogformat "$format" "$logs/apache.log" --ojsonl >spelled
	cmp named spelled
	run -0 fcat --ilogformat "$format" "$logs/apache.log" --ocsv --columns port,user,agent,bytes
	assert_line -n 1 '443,,"Mozilla/5.0 ""odd""",3380'
	assert_line -n 2 '443,bob,Mozilla/5.0,180'
}

@test "Apache's own time formats" {
	run -0 minutes --ilogformat '%h %{%Y-%m-%dT%H:%M:%S}t %m %U' host \
		<<<'h-1 2026-11-21T10:00:01 GET /'
	assert_output '2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,h-1,1'
	run -0 minutes --ilogformat '%h %{msec}t' host <<<'h-1 1795255201003'
	assert_output '2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,h-1,1'
}

@test "a line that does not fit, and a format that is none, say where" {
	run -65 --separate-stderr fcat --ilogformat '$a - $b [$c]' --ocsv <<<'x - y'
	[[ $stderr == *"standard input:1: the line does not fit the log format: no ' [' behind \$b"* ]]
	run -64 --separate-stderr fcat --ilogformat 'combned' --ocsv <<<'x'
	[[ $stderr == *'has no field'*'combined'* ]]
	run -64 --separate-stderr fcat --ilogformat '$a$b' --ocsv <<<'x'
	[[ $stderr == *'nothing stands between $a and $b'* ]]
	run -64 --separate-stderr fcat --ilogformat '%h %y' --ocsv <<<'x'
	[[ $stderr == *'unknown directive "%y"'* ]]
	run -64 --separate-stderr fcat --ilogformat '%{Referer' --ocsv <<<'x'
	[[ $stderr == *'is not closed'* ]]
}

# ---- syslog ------------------------------------------------------------------------------

@test "RFC 3164: columns, and the year by --assume-year" {
	run -0 --separate-stderr minutes --isyslog --assume-year 2026 --watermark 366d app \
		"$logs/syslog-3164.log"
	assert_line '2026-12-31T23:59:00Z,2027-01-01T00:00:00Z,CRON,1'
	assert_line '2026-12-31T23:59:00Z,2027-01-01T00:00:00Z,,1'
	assert_line '2026-01-01T00:00:00Z,2026-01-01T00:01:00Z,postfix/smtpd,1'
	[ -z "$stderr" ]
	run -0 fcat --isyslog --assume-year 2026 "$logs/syslog-3164.log" --ocsv \
		--columns host,app,pid,msg,level
	assert_line -n 3 'web-1,kernel,,[ 1234.567890] eth0: link up,'
	assert_line -n 4 'web-1,,,last message repeated 2 times,'
	assert_line -n 5 'web-1,postfix/smtpd,17,connect from unknown[198.51.100.2],'
}

@test "RFC 3164: a version, a second word before a pid belong to the name of the program" {
	run -0 fcat --isyslog --assume-year 2026 --ocsv --columns app,pid,msg <<-'END'
		Jun 19 04:09:11 gate syslogd 1.4.1: restart.
		Jul  3 17:10:11 gate BezelServices 255.10[94]: failed
		Jul  3 17:10:12 gate Text Editor[7]: saved
		Jul  3 17:10:12 gate message 3 times: no tag
		Jul  3 17:10:12 gate no[7] tag
		Jul  3 17:10:12 gate last 3 times
	END
	assert_output - <<-'END'
		app,pid,msg
		syslogd 1.4.1,,restart.
		BezelServices 255.10,94,failed
		Text Editor,7,saved
		,,message 3 times: no tag
		no,7,tag
		,,last 3 times
	END
}

@test "RFC 3164: the year by the file's time, over New Year too, said once" {
	cp "$logs/syslog-3164.log" log
	touch -d '2024-01-01T00:10:00Z' log
	run -0 --separate-stderr minutes --isyslog host log
	assert_output - <<-'END'
		2023-12-31T23:58:00Z,2023-12-31T23:59:00Z,web-1,1
		2023-12-31T23:59:00Z,2024-01-01T00:00:00Z,web-1,3
		2024-01-01T00:00:00Z,2024-01-01T00:01:00Z,web-1,2
	END
	[ "$stderr" = "fkeyby: log: times without a year are taken as the latest before the \
file was modified; --assume-year says another" ]
	echo 'Feb 29 12:00:00 h a: m' >leap
	touch -d '2026-11-21T00:00:00Z' leap
	run -0 --separate-stderr minutes --isyslog host leap
	assert_output '2024-02-29T12:00:00Z,2024-02-29T12:01:00Z,h,1'
}

@test "RFC 5424 and priorities: level, facility and structured data" {
	run -0 minutes --isyslog --assume-year 2026 level "$logs/syslog-5424.log"
	assert_output - <<-'END'
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,crit,1
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,notice,1
		2026-11-21T10:01:00Z,2026-11-21T10:02:00Z,err,1
		2026-11-21T10:01:00Z,2026-11-21T10:02:00Z,info,1
	END
	run -0 fcat --isyslog --assume-year 2026 "$logs/syslog-5424.log" --ojsonl \
		--columns app,pid,msgid,facility,data,msg
	assert_line -n 0 "{\"app\":\"su\",\"pid\":null,\"msgid\":\"ID47\",\"facility\":\"auth\",\"data\":null,\"msg\":\"'su root' failed for lonvick on /dev/pts/8\"}"
	assert_line -n 1 '{"app":"shop","pid":811,"msgid":"ORDER","facility":"local4","data":{"order@32473":{"id":"17","note":"a \"b\" ] c"},"tag":{}},"msg":"order placed"}'
}

@test "what is no syslog line says so" {
	local line

	for line in 'hello' '<999>Oct  9 22:33:20 h a: m' 'Oct  9 22:33:20' \
		'<34>1 2026-11-21T10:00:01Z h a - - [x y="1" m'; do
		run -65 --separate-stderr fcat --isyslog --assume-year 2026 --ocsv <<<"$line"
		[[ $stderr == *'fcat: standard input:1: not a syslog line: '* ]] || fail "$stderr"
	done
}

# ---- containers, journald, logfmt ----------------------------------------------------------

@test "journald's JSON by __REALTIME_TIMESTAMP" {
	run -0 minutes --ijsonl --time __REALTIME_TIMESTAMP PRIORITY <"$logs/journal.jsonl"
	assert_output - <<-'END'
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,6,1
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,3,1
		2026-11-21T10:01:00Z,2026-11-21T10:02:00Z,6,1
	END
}

@test "Kubernetes' and Docker's container logs" {
	run -0 minutes --ilogformat cri stream "$logs/cri.log"
	assert_output - <<-'END'
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,stdout,1
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,stderr,2
		2026-11-21T10:01:00Z,2026-11-21T10:02:00Z,stdout,1
	END
	run -0 fcat --ilogformat cri "$logs/cri.log" --ojsonl --columns flag,msg
	assert_line -n 2 '{"flag":"F","msg":" range C:\\new \"x\" - 3"}'
	run -0 minutes --time time stream "$logs/docker.jsonl"
	assert_output - <<-'END'
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,stdout,1
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,stderr,1
		2026-11-21T10:01:00Z,2026-11-21T10:02:00Z,stdout,1
	END
}

@test "logfmt, there and back" {
	run -0 minutes --ilogfmt --time ts level "$logs/app.logfmt"
	assert_output - <<-'END'
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,info,1
		2026-11-21T10:00:00Z,2026-11-21T10:01:00Z,error,1
		2026-11-21T10:01:00Z,2026-11-21T10:02:00Z,info,1
	END
	fcat --ilogfmt "$logs/app.logfmt" --ologfmt >again
	sed 's/retry$/retry=true/' "$logs/app.logfmt" | cmp - again
}

# ---- the kinds of logs that people compare tools on ------------------------------------------

@test "HDFS, Hadoop, Spark, Zookeeper, OpenStack, Windows" {
	one '%y%m%d %H%M%S' '^(?<ts>\d+ \d+) \d+ (?<level>\w+) ' \
		'081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 terminating' \
		2008-11-09T20:36:00Z,2008-11-09T20:37:00Z,INFO
	one iso '^(?<ts>\S+ \S+) (?<level>\w+) ' \
		'2015-10-18 18:01:47,978 INFO [main] org.example.MRAppMaster: Created for application' \
		2015-10-18T18:01:00Z,2015-10-18T18:02:00Z,INFO
	one '%y/%m/%d %T' '^(?<ts>\S+ \S+) (?<level>\w+) ' \
		'17/06/09 20:10:40 INFO executor.Backend: Registered signal handlers for [TERM]' \
		2017-06-09T20:10:00Z,2017-06-09T20:11:00Z,INFO
	one iso '^(?<ts>\S+ \S+) - (?<level>\w+) ' \
		'2015-07-29 17:41:44,747 - INFO  [QuorumPeer[myid=1]@774] - Notification time out: 3200' \
		2015-07-29T17:41:00Z,2015-07-29T17:42:00Z,INFO
	one iso '^\S+ (?<ts>\S+ \S+) \d+ (?<level>\w+) ' \
		'api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO osapi [req-3 - - -] 10.0.0.1' \
		2017-05-16T00:00:00Z,2017-05-16T00:01:00Z,INFO
	one '%F %T' '^(?<ts>\S+ \S+), (?<level>\w+) ' \
		'2016-09-28 04:30:30, Info                  CBS    Loaded Servicing Stack v6.1' \
		2016-09-28T04:30:00Z,2016-09-28T04:31:00Z,Info
}

@test "BGL, HPC, Thunderbird: epoch seconds" {
	one epoch '^\S+ (?<ts>\d+) (\S+ ){6}(?<level>\w+) ' \
		'- 1117838570 2005.06.03 R02-M1 2005-06-03-15.42.50.363779 R02-M1 RAS KERNEL INFO parity error corrected' \
		2005-06-03T22:42:00Z,2005-06-03T22:43:00Z,INFO
	one epoch '^\d+ \S+ \S+ (?<level>\S+) (?<ts>\d+) ' \
		'134681 node-246 unix.hw state_change.unavailable 1077804742 1 Component State Change' \
		2004-02-26T14:12:00Z,2004-02-26T14:13:00Z,state_change.unavailable
	one epoch '^(?<level>\S+) (?<ts>\d+) ' \
		'- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond(pam_unix)[2915]: session closed' \
		2005-11-09T20:01:00Z,2005-11-09T20:02:00Z,-
}

@test "Android, HealthApp, Apache's error log, Proxifier" {
	one '%m-%d %T.%f' '^(?<ts>\S+ \S+) +\d+ +\d+ (?<level>\w) ' \
		'03-17 16:13:38.811  1702  2395 D WindowManager: printFreezingDisplayLogs' \
		2017-03-17T16:13:00Z,2017-03-17T16:14:00Z,D --assume-year 2017
	one '%Y%m%d-%T:%f' '^(?<ts>[^|]+)\|(?<level>[^|]+)\|' \
		'20171223-22:15:29:606|Step_LSC|30002312|onStandStepChanged 3579' \
		2017-12-23T22:15:00Z,2017-12-23T22:16:00Z,Step_LSC
	one '%Y%m%d-%T:%f' '^(?<ts>[^|]+)\|(?<level>[^|]+)\|' \
		'20171224-0:5:9:6|Step_SPUtils|30002312|setTodayTotalDetailSteps' \
		2017-12-24T00:05:00Z,2017-12-24T00:06:00Z,Step_SPUtils
	one '%a %b %d %T %Y' '^\[(?<ts>[^]]+)\] \[(?<level>\w+)\]' \
		'[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok /etc/workers2.properties' \
		2005-12-04T04:47:00Z,2005-12-04T04:48:00Z,notice
	one '%m.%d %T' '^\[(?<ts>[^]]+)\] (?<level>\S+)' \
		'[10.30 16:49:06] chrome.exe - proxy.example:5070 open through proxy HTTPS' \
		2016-10-30T16:49:00Z,2016-10-30T16:50:00Z,chrome.exe --assume-year 2016
}

@test "Linux, Mac, OpenSSH: --isyslog as they are" {
	local line

	while IFS='|' read -r app line; do
		run -0 --separate-stderr minutes --isyslog --assume-year 2005 app <<<"$line"
		assert_output --regexp '^2005-(06-09T06:06|07-01T09:00|12-10T06:55):00Z,'
		assert_output --partial "Z,$app,1"
	done <<-'END'
		sshd(pam_unix)|Jun  9 06:06:20 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0
		syslogd 1.4.1|Jun  9 06:06:20 combo syslogd 1.4.1: restart.
		kernel|Jul  1 09:00:55 calvisitor-10-105 kernel[0]: IOThunderboltSwitch<0>(0x0)::listenerCallback
		com.apple.cts|Jul  1 09:00:56 calvisitor-10-105 com.apple.cts[258]: com.apple.CloudKit: saved
		sshd|Dec 10 06:55:46 LabSZ sshd[24200]: Invalid user webmaster from 203.0.113.7
	END
}

# ---- packed input --------------------------------------------------------------------------

@test "zstd is recognised as gzip is: by name, by content, in several frames, a byte at a time" {
	command -v zstd || skip "zstd is not installed"
	fcat "$logs/docker.jsonl" --ojsonl >expected
	zstd -q "$logs/docker.jsonl" -o log.jsonl.zst
	fcat log.jsonl.zst --ojsonl | cmp - expected
	fcat --ijsonl --ojsonl <log.jsonl.zst | cmp - expected
	{ head -n 1 "$logs/docker.jsonl" | zstd -qc; tail -n +2 "$logs/docker.jsonl" | zstd -qc; } |
		fcat --ijsonl --ojsonl | cmp - expected
	{ head -c 1 log.jsonl.zst; sleep 0.2; tail -c +2 log.jsonl.zst | head -c 9; sleep 0.2
		tail -c +11 log.jsonl.zst; } | fcat --ijsonl --ojsonl | cmp - expected
	head -c 40 log.jsonl.zst >cut.jsonl.zst
	run -65 --separate-stderr fcat cut.jsonl.zst --ojsonl
	[[ $stderr == *'zstd data damaged at byte '*'cut off'* ]]
	# text that begins like it is text
	run -0 fcat --itext --ocsv <<<'(a'
	assert_line -n 1 '(a'
}

# ---- output ----------------------------------------------------------------------------------

@test "XTAB and Markdown look as Miller's" {
	printf 'host,n,what\nh-1,4096,a|b\nh-22,7,\n' >in.csv
	run -0 fcat in.csv --oxtab
	assert_output "$(printf 'host h-1\nn    4096\nwhat a|b\n\nhost h-22\nn    7\nwhat ')"
	run -0 fcat in.csv --omd
	assert_output - <<-'END'
		| host | n | what |
		| --- | --- | --- |
		| h-1 | 4096 | a\|b |
		| h-22 | 7 |  |
	END
	if command -v mlr; then
		mlr --icsv --oxtab cat in.csv | cmp - <(fcat in.csv --oxtab)
		mlr --icsv --omd cat in.csv | cmp - <(fcat in.csv --omd)
	fi
}

@test "records of other columns: XTAB and logfmt leave out, Markdown begins anew" {
	printf '%s\n' '{"a":1}' '{"b c":null,"d":"","e":"x y"}' >in.jsonl
	run -0 fcat in.jsonl --ologfmt
	assert_output "$(printf 'a=1\nb_c= d="" e="x y"')"
	run -0 fcat in.jsonl --oxtab
	assert_output "$(printf 'a 1\n\nb c \nd   \ne   x y')"
	run -0 fcat in.jsonl --ologfmt --columns e,a
	assert_output "$(printf 'a=1\ne="x y"')"
}

@test "-o x.md is Markdown; a FILE so named is not read as such" {
	printf 'a,b\n1,x|y\n' >in.csv
	run -0 fcat in.csv -o out.md
	run -0 cat out.md
	assert_output - <<-'END'
		| a | b |
		| --- | --- |
		| 1 | x\|y |
	END
	cp in.csv in.md
	run -0 fcat in.md --ojsonl
	assert_output '{"a":1,"b":"x|y"}'
}
