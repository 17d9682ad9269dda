#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q19: the ten highest bids on each auction, with their place.
set -euo pipefail

fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price channel=.bid.channel \
	url=.bid.url 'dateTime=cast(.bid.dateTime as timestamp)' extra=.bid.extra \
	"$1/events.jsonl" |
	ffilter 'auction is not null' |
	fkeyby auction | frank 10 --by 'price desc' --rank place --ocsv --otime epoch-ms
