#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q4: the average of the winning bids of a category's auctions: the highest bid on each that
# came while it was open. The average is an integer, as Flink's AVG of integers is.
set -euo pipefail

auctions() {
	ffilter 'event_type = 1' "$1" |
		fmap --only id=.auction.id category=.auction.category \
			'opened=cast(.auction.dateTime as timestamp)' \
			'expires=cast(.auction.expires as timestamp)' |
		fkeyby id
}

fmap --only auction=.bid.auction price=.bid.price \
	'dateTime=cast(.bid.dateTime as timestamp)' "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fkeyby auction |
	fjoin --on 'dateTime between opened and expires' <(auctions "$1/events.jsonl") |
	fkeyby auction,category | freduce 'final=max(price)' |
	fkeyby category | freduce 'avg=div(sum(final), count(final))' --ocsv
