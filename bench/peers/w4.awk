# SPDX-License-Identifier: Apache-2.0
# Minutes first, then five of them to a window. Needs time.awk.
BEGIN {
	FS = ","
	print "window_start,window_end,url,n,bytes"
}
NR > 1 {
	group = substr($1, 1, 16) $3
	count[group]++
	bytes[group] += $5
}
END {
	for (group in count) {
		minute = substr(group, 1, 16)
		url = substr(group, 17)
		for (back = 0; back < 5; back++) {
			window = minute_after(minute, -back) url
			sum_count[window] += count[group]
			sum_bytes[window] += bytes[group]
		}
	}
	for (window in sum_count)
		print_window(substr(window, 1, 16), 5, substr(window, 17), sum_count[window],
			     sum_bytes[window])
}
