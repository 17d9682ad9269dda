# SPDX-License-Identifier: Apache-2.0
BEGIN {
	FS = ","
	OFS = ","
	print "ts,user,bytes"
}
NR > 1 && $5 > 90000 {
	print $1, $2, $5
}
