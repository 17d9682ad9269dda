#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q22: the directories in a bid's url.
set -euo pipefail

fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price channel=.bid.channel \
	url=.bid.url "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fmap --only auction=auction bidder=bidder price=price channel=channel \
		"dir1=split_index(url, '/', 3)" "dir2=split_index(url, '/', 4)" \
		"dir3=split_index(url, '/', 5)" --ocsv
