#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q13: bids with what a side table says about their auction's number modulo 10000.
set -euo pipefail

fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price \
	'dateTime=cast(.bid.dateTime as timestamp)' "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fmap 'key=auction % 10000' |
	fkeyby key |
	fjoin --lookup "$1/side_input.csv" |
	fmap --only auction=auction bidder=bidder price=price dateTime=dateTime value=value \
		--ocsv --otime epoch-ms
