// Gives rewards for matches, each once, whatever is killed and whatever comes twice.
//
//   java -cp 'kafka-clients and slf4j' Rewards.java ledger.txt
//
// KAFKA_BOOTSTRAP_SERVERS  brokers, 127.0.0.1:9092 unless set
// MATCHES_TOPIC            matches unless set
// GROUP                    rewards unless set
//
// The ledger is a file with a line for each reward that was given. A real service has a table whose primary key is
// match_id, and inserts into it in the transaction that moves the money.

import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

public final class Rewards {
    private static final Pattern MATCH_ID = Pattern.compile("\"match_id\"\\s*:\\s*\"([^\"]+)\"");

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", System.getenv().getOrDefault("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
            "group.id", System.getenv().getOrDefault("GROUP", "rewards"),
            // Matches of transactions that were aborted are on the topic, too. They were never won.
            "isolation.level", "read_committed",
            // Committed below, once rewards are safe.
            "enable.auto.commit", false,
            "auto.offset.reset", "earliest");
        Path path = Path.of(arguments[0]);
        Set<String> given = new HashSet<>();
        if (Files.exists(path)) {
            // A kill may have cut the last line short; what is not whole was not given.
            String text = Files.readString(path);
            String whole = text.substring(0, text.lastIndexOf('\n') + 1);
            Files.writeString(path, whole);
            whole.lines().forEach(given::add);
        }
        try (FileChannel ledger = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(System.getenv().getOrDefault("MATCHES_TOPIC", "matches")));
            while (true) {
                ConsumerRecords<String, String> matches = consumer.poll(Duration.ofMillis(500));
                StringBuilder lines = new StringBuilder();
                for (ConsumerRecord<String, String> match : matches) {
                    Matcher id = MATCH_ID.matcher(match.value());
                    // A record that is no match is somebody's mistake: tell them, and go on.
                    if (!id.find()) {
                        System.err.printf("no match at %d/%d%n", match.partition(), match.offset());
                    } else if (given.add(id.group(1))) {
                        lines.append(id.group(1)).append('\n');
                    }
                }
                if (matches.isEmpty()) {
                    continue;
                }
                // First the rewards, then the offset: after a kill between them matches come again, and count once.
                ledger.write(ByteBuffer.wrap(lines.toString().getBytes(StandardCharsets.UTF_8)));
                ledger.force(false);
                consumer.commitSync();
            }
        }
    }
}
