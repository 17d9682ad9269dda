-- SPDX-License-Identifier: Apache-2.0
-- Flink refuses it: its OVER aggregates take no updates. It is here so that the list is whole.
SELECT seller, AVG(price) OVER (PARTITION BY seller ORDER BY `dateTime` ROWS BETWEEN 10 PRECEDING AND CURRENT ROW)
FROM (SELECT a.id, a.seller, b.price, b.`dateTime`,
             ROW_NUMBER() OVER (PARTITION BY a.id, a.seller ORDER BY b.price DESC) AS place
      FROM auction AS a, bid AS b
      WHERE a.id = b.auction AND b.`dateTime` BETWEEN a.`dateTime` AND a.expires)
WHERE place <= 1
