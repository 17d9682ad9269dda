-- SPDX-License-Identifier: Apache-2.0
SELECT l.ts, l.`user`, l.url, l.status, l.`bytes`, r.ts, r.url, r.status, r.`bytes`
FROM (SELECT * FROM click WHERE status = 500) AS l
JOIN (SELECT * FROM click WHERE status <> 500) AS r
  ON l.`user` = r.`user`
 AND r.`time` BETWEEN l.`time` - INTERVAL '10' SECOND AND l.`time` + INTERVAL '10' SECOND
