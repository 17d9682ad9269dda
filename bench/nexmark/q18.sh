#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q18: the last bid of each bidder on each auction; of equal times the one that came later.
set -euo pipefail

fmap --time 'coalesce(.bid.dateTime, .auction.dateTime, .person.dateTime)' --watermark 3999ms \
	--only auction=.bid.auction bidder=.bid.bidder price=.bid.price channel=.bid.channel \
	url=.bid.url 'dateTime=cast(.bid.dateTime as timestamp)' extra=.bid.extra \
	"$1/events.jsonl" |
	ffilter 'auction is not null' |
	fkeyby bidder,auction | fdedup --keep last --ocsv --otime epoch-ms
