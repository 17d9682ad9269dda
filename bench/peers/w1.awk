# SPDX-License-Identifier: Apache-2.0
BEGIN {
	FS = ","
	print "url,n,bytes"
}
NR > 1 {
	count[$3]++
	bytes[$3] += $5
}
END {
	for (url in count)
		printf "%s,%d,%.0f\n", url, count[url], bytes[url]
}
