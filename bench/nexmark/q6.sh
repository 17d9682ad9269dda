#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q6: the average winning bid of a seller's last eleven auctions, at each of them, in the
# order of the winning bids, of equal times in that of the auctions. Flink cannot run it.
# The winning bid of an auction is certain only at the end, so only then is anything ordered:
# by fsort, as fover, without event time, takes rows as they come.
set -euo pipefail

auctions() {
	ffilter 'event_type = 1' "$1" |
		fmap --only id=.auction.id seller=.auction.seller \
			'opened=cast(.auction.dateTime as timestamp)' \
			'expires=cast(.auction.expires as timestamp)' |
		fkeyby id
}

fmap --only auction=.bid.auction price=.bid.price \
	'dateTime=cast(.bid.dateTime as timestamp)' "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fkeyby auction |
	fjoin --on 'dateTime between opened and expires' <(auctions "$1/events.jsonl") |
	fkeyby auction,seller | frank 1 --by 'price desc' |
	fkeyby seller | fsort --by 'dateTime, auction' |
	fover --rows 10 'total=sum(price)' 'n=count(price)' |
	fmap --only seller=seller 'avg=div(total, n)' --ocsv
