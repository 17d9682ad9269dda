// SPDX-License-Identifier: Apache-2.0
package flue.nexmark;

import org.apache.flink.table.functions.ScalarFunction;

/** How often a character stands in a string; none stands in NULL. */
public class CountChar extends ScalarFunction {
    public Long eval(String s, String c) {
        if (s == null || c == null || c.isEmpty()) {
            return 0L;
        }
        return s.chars().filter(x -> x == c.charAt(0)).count();
    }
}
