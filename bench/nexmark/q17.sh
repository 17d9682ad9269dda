#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q17: an auction's bids of a day by range of price, and their least, greatest, average price
# and sum. The average is an integer, as Flink's AVG of integers is.
set -euo pipefail

fmap --only auction=.bid.auction price=.bid.price \
	"day=to_char(.bid.dateTime, 'YYYY-MM-DD')" "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fkeyby auction,day |
	freduce total_bids=count \
		'rank1_bids=count(*) filter (where price < 10000)' \
		'rank2_bids=count(*) filter (where price >= 10000 and price < 1000000)' \
		'rank3_bids=count(*) filter (where price >= 1000000)' \
		'min_price=min(price)' 'max_price=max(price)' \
		'avg_price=div(sum(price), count(price))' 'sum_price=sum(price)' --ocsv
