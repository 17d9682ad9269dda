# SPDX-License-Identifier: Apache-2.0
# Sessions with a gap of 30 seconds, from rows sorted by user and time. Run with TZ=UTC.
function seconds_of(ts,    minute, words) {
	minute = substr(ts, 1, 16)
	if (!(minute in known)) {
		words = minute ":00"
		gsub(/[-T:]/, " ", words)
		known[minute] = mktime(words)
	}
	return known[minute] + substr(ts, 18, 6)
}
function close_session(    end, whole) {
	if (!count)
		return
	end = int((last + 30) * 1000 + 0.5)
	whole = int(end / 1000)
	if (!(whole in spelt))
		spelt[whole] = strftime("%Y-%m-%dT%H:%M:%S", whole)
	printf "%s,%s.%03dZ,%s,%d,%.0f\n", first, spelt[whole], end - whole * 1000, user, count,
	       bytes
}
BEGIN {
	FS = ","
	print "window_start,window_end,user,n,bytes"
}
$2 != "user" {
	now = seconds_of($1)
	if ($2 != user || now - last > 30.0005) {
		close_session()
		user = $2
		first = $1
		count = 0
		bytes = 0
	}
	last = now
	count++
	bytes += $5
}
END {
	close_session()
}
