// SPDX-License-Identifier: Apache-2.0
package flue.nexmark;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.Map;

import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.RichSinkFunction;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;

/**
 * Runs one query on Flink inside this process and leaves its final table: the rows that are
 * there after all changes, without a header.
 *
 * <p>Arguments: directory of the queries, query (q0), directory of the data, output file,
 * parallelism. With parallelism 1 watermarks come after every record, as flue's do; with more
 * they come as Flink is set up, every 200 ms, and late records may differ.
 */
public final class Main {
    private Main() {}

    public static void main(String[] args) throws Exception {
        if (args.length != 5) {
            System.err.println("usage: Main QUERIES QUERY DIR OUTPUT PARALLELISM");
            System.exit(64);
        }
        Path queries = Path.of(args[0]);
        Path output = Path.of(args[3]);
        Path changes = Path.of(args[3] + ".changes");
        int parallelism = Integer.parseInt(args[4]);

        Configuration conf = new Configuration();
        conf.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(64));
        StreamExecutionEnvironment env =
                StreamExecutionEnvironment.createLocalEnvironment(parallelism, conf);
        env.setRuntimeMode(RuntimeExecutionMode.STREAMING);
        env.getConfig().enableObjectReuse();
        StreamTableEnvironment tables = StreamTableEnvironment.create(env);
        tables.getConfig().setLocalTimeZone(ZoneOffset.UTC);
        if (parallelism == 1) {
            env.getConfig().setAutoWatermarkInterval(0);
        }

        String data = Path.of(args[2]).toAbsolutePath().toString();
        Table result = null;
        for (String file : new String[] {"views.sql", args[1] + ".sql"}) {
            for (String statement : statements(queries.resolve(file), data)) {
                if (statement.startsWith("SELECT")) {
                    result = tables.sqlQuery(statement);
                } else {
                    tables.executeSql(statement);
                }
            }
        }
        long start = System.nanoTime();
        tables.toChangelogStream(result).addSink(new Changes(changes.toString())).setParallelism(1);
        env.execute(args[1]);
        Duration took = Duration.ofNanos(System.nanoTime() - start);
        long[] counts = fold(changes, output);
        Files.delete(changes);
        System.out.printf(
                "%s\t%.2f\t%d\t%d%n", args[1], took.toMillis() / 1000.0, counts[0], counts[1]);
    }

    private static String[] statements(Path file, String data) throws IOException {
        String text = Files.readString(file).replaceAll("(?m)^--.*\n", "").replace("${DIR}", data);
        return text.strip().split(";\\s*");
    }

    /** Adds the changes up; returns how many changes and how many rows there are. */
    private static long[] fold(Path changes, Path output) throws IOException {
        Map<String, Long> rows = new HashMap<>();
        long[] counts = new long[2];
        try (BufferedReader in = Files.newBufferedReader(changes)) {
            for (String line; (line = in.readLine()) != null; counts[0]++) {
                rows.merge(line.substring(1), line.charAt(0) == '+' ? 1L : -1L,
                        (a, b) -> a + b == 0 ? null : Long.valueOf(a + b));
            }
        }
        try (BufferedWriter out = Files.newBufferedWriter(output)) {
            for (Map.Entry<String, Long> row : rows.entrySet()) {
                for (long n = row.getValue(); n > 0; n--, counts[1]++) {
                    out.write(row.getKey());
                    out.write('\n');
                }
                if (row.getValue() < 0) {
                    throw new IOException("taken back more often than given: " + row.getKey());
                }
            }
        }
        return counts;
    }

    /** One line a change: + or -, and the row as CSV. */
    private static final class Changes extends RichSinkFunction<Row> {
        private final String path;
        private transient BufferedWriter out;
        private transient StringBuilder line;

        Changes(String path) {
            this.path = path;
        }

        @Override
        public void open(Configuration parameters) throws IOException {
            out = Files.newBufferedWriter(Path.of(path));
            line = new StringBuilder();
        }

        @Override
        public void invoke(Row row, Context context) throws IOException {
            RowKind kind = row.getKind();
            boolean gone = kind == RowKind.DELETE || kind == RowKind.UPDATE_BEFORE;
            line.setLength(0);
            line.append(gone ? '-' : '+');
            for (int i = 0; i < row.getArity(); i++) {
                if (i > 0) {
                    line.append(',');
                }
                append(row.getField(i));
            }
            out.append(line).append('\n');
        }

        /** Times in milliseconds since the epoch, NULL as nothing, "" as two quotes. */
        private void append(Object value) {
            if (value == null) {
                return;
            }
            if (value instanceof LocalDateTime time) {
                line.append(time.toInstant(ZoneOffset.UTC).toEpochMilli());
            } else if (value instanceof Instant time) {
                line.append(time.toEpochMilli());
            } else if (value instanceof BigDecimal number) {
                line.append(number.toPlainString());
            } else {
                text(value.toString());
            }
        }

        private void text(String s) {
            boolean quotes = s.isEmpty();
            for (int i = 0; !quotes && i < s.length(); i++) {
                quotes = ",\"\r\n".indexOf(s.charAt(i)) >= 0;
            }
            line.append(quotes ? '"' + s.replace("\"", "\"\"") + '"' : s);
        }

        @Override
        public void close() throws IOException {
            if (out != null) {
                out.close();
            }
        }
    }
}
