#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q7: the highest bids of each ten seconds, both ends of the window counted. As in Flink a
# regular join: a bid that comes too late for the window's maximum is still joined.
set -euo pipefail

pipes=$(mktemp -d)
trap 'rm -rf "$pipes"' EXIT
mkfifo "$pipes/best"

fmap --time 'coalesce(.bid.dateTime, .auction.dateTime, .person.dateTime)' --watermark 3999ms \
	--only auction=.bid.auction price=.bid.price bidder=.bid.bidder \
	'dateTime=cast(.bid.dateTime as timestamp)' extra=.bid.extra "$1/events.jsonl" |
	ffilter 'auction is not null' |
	tee >(fwindow tumble 10s | freduce 'price=max(price)' | fkeyby price >"$pipes/best") |
	fkeyby price |
	fjoin --on "dateTime between window_end - interval '10 seconds' and window_end" "$pipes/best" |
	fmap --only auction=auction price=price bidder=bidder dateTime=dateTime extra=extra \
		--ocsv --otime epoch-ms
