#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q14: bids between one and fifty million euros, by the time of day, and how often the
# letter c stands in extra.
set -euo pipefail

fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price \
	dateTime=.bid.dateTime extra=.bid.extra "$1/events.jsonl" |
	ffilter '0.908 * price > 1000000 and 0.908 * price < 50000000' |
	fmap 'dateTime=cast(dateTime as timestamp)' |
	fmap --only auction=auction bidder=bidder 'price=0.908 * price' \
		"bidTimeType=case when hour(dateTime) between 8 and 18 then 'dayTime'
			when hour(dateTime) <= 6 or hour(dateTime) >= 20 then 'nightTime'
			else 'otherTime' end" \
		dateTime=dateTime extra=extra \
		"c_counts=coalesce(length(extra) - length(replace(extra, 'c', '')), 0)" \
		--ocsv --otime epoch-ms
