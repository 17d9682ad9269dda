-- SPDX-License-Identifier: Apache-2.0
-- ${DIR} is the file. Its header line is no row: the numbers are NULL, but a time it must have.
CREATE TABLE line (
  ts STRING, `user` STRING, url STRING, status INT, `bytes` BIGINT,
  `time` AS COALESCE(TO_TIMESTAMP(REPLACE(SUBSTRING(ts, 1, 23), 'T', ' ')), TIMESTAMP '1970-01-01 00:00:00.000'),
  WATERMARK FOR `time` AS `time` - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${DIR}', 'format' = 'csv',
  'csv.ignore-parse-errors' = 'true');

CREATE VIEW click AS
SELECT * FROM line WHERE `bytes` IS NOT NULL;
