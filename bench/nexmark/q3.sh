#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# q3: the auctions of category 10 whose seller lives in Oregon, Idaho or California.
set -euo pipefail

pipes=$(mktemp -d)
trap 'rm -rf "$pipes"' EXIT
mkfifo "$pipes/persons"

ffilter 'event_type < 2' "$1/events.jsonl" |
	tee >(ffilter "event_type = 0 and .person.state in ('OR', 'ID', 'CA')" |
		fmap --only id=.person.id name=.person.name city=.person.city state=.person.state |
		fkeyby id >"$pipes/persons") |
	ffilter 'event_type = 1 and .auction.category = 10' |
	fmap --only seller=.auction.seller auction=.auction.id |
	fkeyby seller |
	fjoin "$pipes/persons" |
	fmap --only name=name city=city state=state id=auction --ocsv
