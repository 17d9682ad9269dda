#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A pipeline at work on the sample log, for people who see the tools for the first time.
# Run by ./bootstrap demo, or by hand with the tools on PATH.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

command -v fkeyby >/dev/null || {
	echo "demo.sh: the tools are not on PATH; ./bootstrap demo builds and finds them" >&2
	exit 69
}
tools=$(cd "$(dirname "$(command -v fkeyby)")" && pwd)

# What is shown is what is run.
job="fkeyby --time ts --watermark 5s path access.csv |
  fwindow tumble 1m --late late.csv |
  freduce requests=count 'bytes=sum(bytes)' 'p99_ms=p99(ms)' \\
    'errors=count(*) filter (where status >= 500)' -o minutes.csv"
table="ffilter 'errors >= 3' minutes.csv --opprint \\
  --columns window_start,path,requests,bytes,p99_ms,errors"

work=$(mktemp -d "${TMPDIR:-/tmp}/flue-demo.XXXXXX")
cp "$here"/*.csv "$here"/*.jsonl "$here"/access.log "$work"
cd "$work"

requests=$(($(wc -l <access.csv) - 1))
cat <<END_OF_TEXT
access.csv is half an hour of a web server's log: $requests requests, not quite in
order, some of them much too late. Per minute and path, by the time at which the
requests began: how many, how much, how slow, how many errors?

$job

END_OF_TEXT
eval "$job" 2>messages

cat <<END_OF_TEXT
minutes.csv now has $(($(wc -l <minutes.csv) - 1)) rows. Those with three errors or more:

$table

END_OF_TEXT
eval "$table"

cat <<END_OF_TEXT

A watermark 5 s behind the newest request decided when each minute was complete.
Requests that came after that were not lost silently:

END_OF_TEXT
sed 's/^/  /' messages
cat <<END_OF_TEXT

$(cut -d, -f1-5 late.csv | sed 's/^/  /')

All files of this demo are in a directory of their own. To try more there:

  cd $work; PATH=$tools:\$PATH

  fcat access.csv --ojsonl | head -n 3
  ffilter 'status >= 500' --time ts --watermark 5s access.csv | fkeyby host |
    fwindow session 30s | freduce n=count 'first=min(ts)' --opprint
  fkeyby --watermark 5s host --iclf access.log | fwindow slide 10m 5m |
    freduce n=count 'kb=sum(bytes)/1024' --ocsv
  fkeyby user clicks.jsonl | freduce n=count 'os=last(.agent.os)' --opprint

The tools: fkeyby fwindow freduce ffilter fmap fjoin frank fdedup fover funion
fcat fcheckpoint; each has --help. More pipelines: examples/pipelines.
END_OF_TEXT
