-- SPDX-License-Identifier: Apache-2.0
CREATE TABLE object (
  ts STRING, url STRING, `bytes` BIGINT,
  `time` AS TO_TIMESTAMP(REPLACE(SUBSTRING(ts, 1, 23), 'T', ' ')),
  WATERMARK FOR `time` AS `time` - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${DIR}', 'format' = 'json');

SELECT window_start, window_end, url, COUNT(*), SUM(`bytes`)
FROM TABLE(TUMBLE(TABLE object, DESCRIPTOR(`time`), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, url
