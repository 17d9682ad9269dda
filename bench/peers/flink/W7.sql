-- SPDX-License-Identifier: Apache-2.0
SELECT ts, `user`, `bytes` FROM click WHERE `bytes` > 90000
