#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q9: each auction with its winning bid: the highest while it was open, of equal ones the
# earliest.
set -euo pipefail

auctions() {
	ffilter 'event_type = 1' "$1" |
		fmap --only id=.auction.id itemName=.auction.itemName \
			description=.auction.description initialBid=.auction.initialBid \
			reserve=.auction.reserve 'dateTime=cast(.auction.dateTime as timestamp)' \
			'expires=cast(.auction.expires as timestamp)' seller=.auction.seller \
			category=.auction.category extra=.auction.extra |
		fkeyby id
}

fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price \
	'bid_dateTime=cast(.bid.dateTime as timestamp)' bid_extra=.bid.extra "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fkeyby auction |
	fjoin --on 'bid_dateTime between dateTime and expires' <(auctions "$1/events.jsonl") |
	frank 1 --by 'price desc, bid_dateTime' |
	fmap --only id=auction itemName=itemName description=description initialBid=initialBid \
		reserve=reserve dateTime=dateTime expires=expires seller=seller category=category \
		extra=extra auction=auction bidder=bidder price=price bid_dateTime=bid_dateTime \
		bid_extra=bid_extra --ocsv --otime epoch-ms
