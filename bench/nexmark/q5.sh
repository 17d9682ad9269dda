#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q5: the auctions with the most bids in each ten seconds, every two seconds; all that are
# equal. All counts of a window have its last millisecond as their time, so the two seconds
# around that have one window's counts.
set -euo pipefail

fmap --time 'coalesce(.bid.dateTime, .auction.dateTime, .person.dateTime)' --watermark 3999ms \
	--only auction=.bid.auction "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fkeyby auction | fwindow slide 10s 2s | freduce num=count |
	fmap --only hot=auction num=num | fwindow tumble 2s |
	freduce 'best=max(num)' "counts=array_agg(json_build_object('auction', hot, 'num', num))" |
	fmap --only best=best 'count=unnest(counts)' |
	ffilter '.count.num = best' |
	fmap --only auction=.count.auction num=.count.num --ocsv
