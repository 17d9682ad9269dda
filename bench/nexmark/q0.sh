#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q0: every bid as it is.
set -euo pipefail

fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price \
	'dateTime=cast(.bid.dateTime as timestamp)' extra=.bid.extra "$1/events.jsonl" |
	ffilter 'auction is not null' --ocsv --otime epoch-ms
