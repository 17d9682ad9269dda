-- SPDX-License-Identifier: Apache-2.0
SELECT window_start, window_end, `user`, COUNT(*), SUM(`bytes`)
FROM TABLE(TUMBLE(TABLE click, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, `user`
