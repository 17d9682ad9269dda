#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q15: a day's bids, bidders and auctions, by range of price.
set -euo pipefail

fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price \
	"day=to_char(.bid.dateTime, 'YYYY-MM-DD')" "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fkeyby day |
	freduce total_bids=count \
		'rank1_bids=count(*) filter (where price < 10000)' \
		'rank2_bids=count(*) filter (where price >= 10000 and price < 1000000)' \
		'rank3_bids=count(*) filter (where price >= 1000000)' \
		'total_bidders=count(distinct bidder)' \
		'rank1_bidders=count(distinct bidder) filter (where price < 10000)' \
		'rank2_bidders=count(distinct bidder) filter (where price >= 10000 and price < 1000000)' \
		'rank3_bidders=count(distinct bidder) filter (where price >= 1000000)' \
		'total_auctions=count(distinct auction)' \
		'rank1_auctions=count(distinct auction) filter (where price < 10000)' \
		'rank2_auctions=count(distinct auction) filter (where price >= 10000 and price < 1000000)' \
		'rank3_auctions=count(distinct auction) filter (where price >= 1000000)' --ocsv
