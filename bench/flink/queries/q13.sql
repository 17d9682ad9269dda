-- SPDX-License-Identifier: Apache-2.0
CREATE TABLE side_input (key BIGINT, `value` STRING) WITH ('connector' = 'side', 'path' = '${DIR}/side_input.csv');

SELECT b.auction, b.bidder, b.price, b.`dateTime`, s.`value`
FROM (SELECT *, PROCTIME() AS now FROM bid) AS b
JOIN side_input FOR SYSTEM_TIME AS OF b.now AS s ON MOD(b.auction, 10000) = s.key
