#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q1: the prices of bids in euros, exact.
set -euo pipefail

fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price \
	dateTime=.bid.dateTime extra=.bid.extra "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fmap 'price=0.908 * price' 'dateTime=cast(dateTime as timestamp)' --ocsv --otime epoch-ms
