# SPDX-License-Identifier: Apache-2.0
# Counts and sums per minute and key, as one writes it: everything is kept to the end.
# -v key=N is the key's column. Needs time.awk.
BEGIN {
	FS = ","
	print "window_start,window_end,key,n,bytes"
}
NR > 1 {
	group = substr($1, 1, 16) $key
	count[group]++
	bytes[group] += $5
}
END {
	for (group in count)
		print_window(substr(group, 1, 16), 1, substr(group, 17), count[group], bytes[group])
}
