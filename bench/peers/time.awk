# SPDX-License-Identifier: Apache-2.0
# Minutes as text, such as 2023-11-14T22:13. Run with TZ=UTC.

# The minute `n` minutes after `minute`; each is computed once.
function minute_after(minute, n,    words) {
	if (!((minute, n) in known_minutes)) {
		words = minute ":00"
		gsub(/[-T:]/, " ", words)
		known_minutes[minute, n] = strftime("%Y-%m-%dT%H:%M", mktime(words) + n * 60)
	}
	return known_minutes[minute, n]
}

function print_window(start, minutes, key, count, bytes) {
	printf "%s:00Z,%s:00Z,%s,%d,%.0f\n", start, minute_after(start, minutes), key, count, bytes
}
