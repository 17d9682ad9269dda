-- SPDX-License-Identifier: Apache-2.0
-- Processing time: no golden result, only a speed.
CREATE VIEW timed AS SELECT *, PROCTIME() AS now FROM bid;

SELECT bidder, COUNT(*), window_start, window_end
FROM TABLE(TUMBLE(TABLE timed, DESCRIPTOR(now), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end
