-- SPDX-License-Identifier: Apache-2.0
SELECT url, COUNT(*), SUM(`bytes`) FROM click GROUP BY url
