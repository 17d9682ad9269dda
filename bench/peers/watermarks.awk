# SPDX-License-Identifier: Apache-2.0
# Counts and sums per minute and key with the watermark made by hand: a minute is
# printed and forgotten two seconds into the next. Odd and even minutes have arrays of
# their own, since awk cannot pass over one minute's entries to delete them quickly.
# It relies on there being rows in every minute. -v key=N is the key's column.
# Needs time.awk.
function close_minute(minute, count, bytes,    k) {
	for (k in count)
		print_window(minute, 1, k, count[k], bytes[k])
	split("", count)
	split("", bytes)
}
function close_parity(minute) {
	if (substr(minute, 16) % 2)
		close_minute(minute, odd_count, odd_bytes)
	else
		close_minute(minute, even_count, even_bytes)
}
BEGIN {
	FS = ","
	print "window_start,window_end,key,n,bytes"
}
NR > 1 {
	minute = substr($1, 1, 16)
	if (minute > newest) {
		before = newest
		newest = minute
		close_at = minute ":02.000Z"
	}
	if (before != "" && $1 >= close_at) {
		close_parity(before)
		before = ""
	}
	if (substr(minute, 16) % 2) {
		odd_count[$key]++
		odd_bytes[$key] += $5
	} else {
		even_count[$key]++
		even_bytes[$key] += $5
	}
}
END {
	if (before != "")
		close_parity(before)
	close_parity(newest)
}
