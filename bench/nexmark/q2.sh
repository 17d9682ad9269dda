#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q2: bids for every 123rd auction.
set -euo pipefail

fmap --only auction=.bid.auction price=.bid.price "$1/events.jsonl" |
	ffilter 'auction % 123 = 0' --ocsv
