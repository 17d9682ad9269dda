# SPDX-License-Identifier: Apache-2.0
# Minutes by url from JSONL, cut at the quotes: it knows the order of the members and
# is no JSON parser. Needs time.awk.
BEGIN {
	FS = "\""
	print "window_start,window_end,url,n,bytes"
}
{
	group = substr($4, 1, 16) $12
	count[group]++
	bytes[group] += substr($17, 2) + 0
}
END {
	for (group in count)
		print_window(substr(group, 1, 16), 1, substr(group, 17), count[group], bytes[group])
}
