-- SPDX-License-Identifier: Apache-2.0
SELECT b.auction, b.price, b.bidder, b.`dateTime`, b.extra
FROM bid AS b
JOIN (SELECT MAX(price) AS price, window_end AS `end`
      FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
      GROUP BY window_start, window_end) AS best
ON b.price = best.price
WHERE b.`dateTime` BETWEEN best.`end` - INTERVAL '10' SECOND AND best.`end`
