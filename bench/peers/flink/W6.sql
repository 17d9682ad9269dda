-- SPDX-License-Identifier: Apache-2.0
SELECT SESSION_START(`time`, INTERVAL '30' SECOND), SESSION_END(`time`, INTERVAL '30' SECOND),
       `user`, COUNT(*), SUM(`bytes`)
FROM click GROUP BY `user`, SESSION(`time`, INTERVAL '30' SECOND)
