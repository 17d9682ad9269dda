#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q8: people who registered and opened an auction in the same ten seconds.
set -euo pipefail

pipes=$(mktemp -d)
trap 'rm -rf "$pipes"' EXIT
mkfifo "$pipes/sellers"

fmap --time 'coalesce(.bid.dateTime, .auction.dateTime, .person.dateTime)' --watermark 3999ms \
	--only id=.person.id name=.person.name seller=.auction.seller "$1/events.jsonl" |
	ffilter 'id is not null or seller is not null' |
	tee >(ffilter 'seller is not null' | fkeyby seller | fwindow tumble 10s | freduce n=count |
		fkeyby seller,window_start >"$pipes/sellers") |
	ffilter 'id is not null' | fkeyby id,name | fwindow tumble 10s | freduce n=count |
	fkeyby id,window_start |
	fjoin semi "$pipes/sellers" |
	fmap --only id=id name=name starttime=window_start --ocsv --otime epoch-ms
