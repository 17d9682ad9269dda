-- SPDX-License-Identifier: Apache-2.0
-- As rows: the published query puts them into files of partitions dt and hm.
SELECT auction, bidder, price, `dateTime`, extra,
       DATE_FORMAT(`dateTime`, 'yyyy-MM-dd') AS dt, DATE_FORMAT(`dateTime`, 'HH:mm') AS hm
FROM bid
