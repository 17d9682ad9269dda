#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q10: all bids with their day and minute (as rows; the published query writes a file a minute).
set -euo pipefail

fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price \
	'dateTime=cast(.bid.dateTime as timestamp)' extra=.bid.extra "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fmap "dt=to_char(dateTime, 'YYYY-MM-DD')" "hm=to_char(dateTime, 'HH24:MI')" \
		--ocsv --otime epoch-ms
