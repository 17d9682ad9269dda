#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q11: bids by bidder and session; a session ends with ten seconds without a bid.
# A watermark of 3999 ms is SQL's "dateTime - INTERVAL '4' SECOND": it lacks the further
# millisecond that --watermark takes off.
set -euo pipefail

fmap --time 'coalesce(.bid.dateTime, .auction.dateTime, .person.dateTime)' --watermark 3999ms \
	--only bidder=.bid.bidder "$1/events.jsonl" |
	ffilter 'bidder is not null' |
	fkeyby bidder | fwindow session 10s | freduce bid_count=count |
	fmap --only bidder=bidder bid_count=bid_count starttime=window_start endtime=window_end \
		--ocsv --otime epoch-ms
