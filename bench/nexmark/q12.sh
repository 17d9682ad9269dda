#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q12: bids by bidder in ten seconds of processing time. What it gives is no function of
# the input.
set -euo pipefail

fmap --only bidder=.bid.bidder "$1/events.jsonl" |
	ffilter 'bidder is not null' |
	fkeyby bidder | fwindow tumble 10s --processing-time | freduce bid_count=count |
	fmap --only bidder=bidder bid_count=bid_count starttime=window_start endtime=window_end \
		--ocsv --otime epoch-ms
