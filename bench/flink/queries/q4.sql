-- SPDX-License-Identifier: Apache-2.0
SELECT category, AVG(final)
FROM (SELECT a.category, MAX(b.price) AS final
      FROM auction AS a, bid AS b
      WHERE a.id = b.auction AND b.`dateTime` BETWEEN a.`dateTime` AND a.expires
      GROUP BY a.id, a.category)
GROUP BY category
