-- SPDX-License-Identifier: Apache-2.0
SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0
