-- SPDX-License-Identifier: Apache-2.0
SELECT counts.auction, counts.num
FROM (SELECT auction, COUNT(*) AS num, window_start, window_end
      FROM TABLE(HOP(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
      GROUP BY auction, window_start, window_end) AS counts
JOIN (SELECT MAX(num) AS num, window_start, window_end
      FROM (SELECT COUNT(*) AS num, window_start, window_end
            FROM TABLE(HOP(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
            GROUP BY auction, window_start, window_end)
      GROUP BY window_start, window_end) AS best
ON counts.window_start = best.window_start AND counts.window_end = best.window_end AND counts.num >= best.num
