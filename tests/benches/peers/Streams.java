import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.StateRestoreListener;
import org.apache.kafka.streams.state.WindowStore;
import software.amazon.event.ruler.Machine;

/**
 * What a team would write with Kafka Streams: events through event-ruler, a record a match, exactly once. The counterpart of
 * the matcher in the measurements `backlog`, `windows` and `restore`. It prints its states and its restores, each behind the
 * time in milliseconds.
 *
 * <p>Arguments: brokers, application's id, topic of events, topic of matches, file with a pattern a line, threads, folder
 * for state, and how many events of a customer within a week make a match (0: each event does).
 */
public final class Streams {
    private static final Duration WEEK = Duration.ofDays(7);

    public static void main(String[] arguments) throws Exception {
        Machine machine = new Machine();
        int rules = 0;
        for (String pattern : Files.readAllLines(Path.of(arguments[4]))) {
            machine.addRule("rule-" + rules++, pattern);
        }
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments[5]);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[6]);
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        // As the matcher's: who comes back under its name need not wait until it is taken for dead.
        settings.put(StreamsConfig.mainConsumerPrefix("group.instance.id"), "bench");
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);

        long threshold = Long.parseLong(arguments[7]);
        StreamsBuilder builder = new StreamsBuilder();
        KStream<String, byte[]> events = builder.stream(arguments[2]);
        if (threshold == 0) {
            events.flatMapValues(event -> won(machine, event)).to(arguments[3]);
        } else {
            counted(events, machine, rules, threshold, arguments[3]);
        }
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.setStateListener((state, before) -> say("state " + state));
        streams.setGlobalStateRestoreListener(new Restores());
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    /** Says when a partition of a store begins to be restored, and when it is. */
    private static final class Restores implements StateRestoreListener {
        @Override
        public void onRestoreStart(TopicPartition partition, String store, long from, long to) {
            say("restoring " + partition);
        }

        @Override
        public void onBatchRestored(TopicPartition partition, String store, long end, long records) {}

        @Override
        public void onRestoreEnd(TopicPartition partition, String store, long records) {
            say("restored " + partition + " records " + records);
        }
    }

    private static synchronized void say(String what) {
        System.out.println(System.currentTimeMillis() + " " + what);
        System.out.flush();
    }

    /** The matches of an event. */
    private static List<byte[]> won(Machine machine, byte[] event) {
        List<byte[]> matches = new ArrayList<>();
        for (String rule : rules(machine, event)) {
            matches.add(match(rule));
        }
        return matches;
    }

    /** A count a customer and week in a store for each rule, under the customer's key, so that no event is sent round again. */
    private static void counted(
            KStream<String, byte[]> events, Machine machine, int rules, long threshold, String matches) {
        KStream<String, String> won = events.flatMapValues(event -> rules(machine, event));
        for (int at = 0; at < rules; at++) {
            String rule = "rule-" + at;
            won.filter((customer, it) -> it.equals(rule))
                    .groupByKey(Grouped.with(Serdes.String(), Serdes.String()))
                    .windowedBy(TimeWindows.ofSizeWithNoGrace(WEEK))
                    // Without a cache, which would swallow counts that make a match.
                    .count(Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("count-" + at)
                            .withKeySerde(Serdes.String())
                            .withRetention(WEEK)
                            .withCachingDisabled())
                    .toStream()
                    .filter((window, count) -> count >= threshold)
                    .map((window, count) -> KeyValue.pair(window.key(), match(rule)))
                    .to(matches, Produced.with(Serdes.String(), Serdes.ByteArray()));
        }
    }

    private static List<String> rules(Machine machine, byte[] event) {
        try {
            return machine.rulesForJSONEvent(new String(event, StandardCharsets.UTF_8));
        } catch (Exception problem) {
            throw new IllegalStateException(problem);
        }
    }

    private static byte[] match(String rule) {
        return ("{\"campaign_id\":\"" + rule + "\"}").getBytes(StandardCharsets.UTF_8);
    }
}
