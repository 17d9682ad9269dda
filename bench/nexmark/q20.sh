#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q20: bids with their auction, where that is of category 10.
set -euo pipefail

auctions() {
	ffilter 'event_type = 1 and .auction.category = 10' "$1" |
		fmap --only id=.auction.id itemName=.auction.itemName \
			description=.auction.description initialBid=.auction.initialBid \
			reserve=.auction.reserve 'dateTime=cast(.auction.dateTime as timestamp)' \
			'expires=cast(.auction.expires as timestamp)' seller=.auction.seller \
			category=.auction.category extra=.auction.extra |
		fkeyby id
}

fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price channel=.bid.channel \
	url=.bid.url 'dateTime=cast(.bid.dateTime as timestamp)' extra=.bid.extra "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fkeyby auction |
	fjoin --rprefix a_ <(auctions "$1/events.jsonl") |
	fmap --only auction=auction bidder=bidder price=price channel=channel url=url \
		bid_dateTime=dateTime bid_extra=extra itemName=itemName description=description \
		initialBid=initialBid reserve=reserve dateTime=a_dateTime expires=expires \
		seller=seller category=category extra=a_extra --ocsv --otime epoch-ms
