#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q21: the number of a bid's channel, by its name or out of its url.
set -euo pipefail

fmap --only auction=.bid.auction bidder=.bid.bidder price=.bid.price channel=.bid.channel \
	url=.bid.url "$1/events.jsonl" |
	ffilter 'auction is not null' |
	fmap --only auction=auction bidder=bidder price=price channel=channel \
		"channel_id=case lower(channel) when 'apple' then '0' when 'google' then '1'
			when 'facebook' then '2' when 'baidu' then '3'
			else regexp_extract(url, '(&|^)channel_id=([^&]*)', 2) end" |
	ffilter 'channel_id is not null' --ocsv
