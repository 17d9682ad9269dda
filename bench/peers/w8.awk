# SPDX-License-Identifier: Apache-2.0
# Errors with the same user's other clicks within 10 seconds, from rows sorted by user and
# time. Run with TZ=UTC.
function seconds_of(ts,    minute, words) {
	minute = substr(ts, 1, 16)
	if (!(minute in known)) {
		words = minute ":00"
		gsub(/[-T:]/, " ", words)
		known[minute] = mktime(words)
	}
	return known[minute] + substr(ts, 18, 6)
}
function put(error, other) {
	print row[error] "," without_user[other]
}
BEGIN {
	FS = ","
	print "ts,user,url,status,bytes,ts_r,url_r,status_r,bytes_r"
}
$2 != "user" {
	if ($2 != user) {
		user = $2
		count = 0
		oldest = 0
	}
	now = seconds_of($1)
	while (oldest < count && now - time[oldest] > 10.0005)
		oldest++
	row[count] = $0
	without_user[count] = $1 "," $3 "," $4 "," $5
	is_error[count] = $4 == 500
	time[count] = now
	for (i = oldest; i < count; i++)
		if (is_error[count] && !is_error[i])
			put(count, i)
		else if (!is_error[count] && is_error[i])
			put(i, count)
	count++
}
