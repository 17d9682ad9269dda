#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q23: bids with their bidder and with each auction that the bidder sells. Sellers and their
# auctions are joined first: then each bid is kept only once.
set -euo pipefail

pipes=$(mktemp -d)
trap 'rm -rf "$pipes"' EXIT
mkfifo "$pipes/persons" "$pipes/sales"

ffilter 'event_type < 2' "$1/events.jsonl" |
	tee >(ffilter 'event_type = 0' |
		fmap --only id=.person.id name=.person.name emailAddress=.person.emailAddress \
			creditCard=.person.creditCard city=.person.city state=.person.state \
			person_extra=.person.extra |
		fkeyby id >"$pipes/persons") |
	ffilter 'event_type = 1' |
	fmap --only seller=.auction.seller itemName=.auction.itemName \
		description=.auction.description initialBid=.auction.initialBid \
		reserve=.auction.reserve 'dateTime=cast(.auction.dateTime as timestamp)' \
		'expires=cast(.auction.expires as timestamp)' \
		category=.auction.category auction_extra=.auction.extra |
	fkeyby seller |
	fjoin "$pipes/persons" >"$pipes/sales" &

fmap --only bidder=.bid.bidder price=.bid.price channel=.bid.channel url=.bid.url \
	extra=.bid.extra "$1/events.jsonl" |
	ffilter 'bidder is not null' |
	fkeyby bidder |
	fjoin "$pipes/sales" |
	fmap --only bidder=bidder price=price channel=channel url=url bid_extra=extra \
		id=bidder name=name emailAddress=emailAddress creditCard=creditCard city=city \
		state=state person_extra=person_extra itemName=itemName description=description \
		initialBid=initialBid reserve=reserve dateTime=dateTime expires=expires \
		seller=bidder category=category auction_extra=auction_extra --ocsv --otime epoch-ms
wait $!
