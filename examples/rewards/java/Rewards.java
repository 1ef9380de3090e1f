// Gives rewards for matches, each once, whatever is killed and whatever comes twice.
//
//   java -cp 'kafka-clients, jackson-databind and slf4j' Rewards.java ledger.txt
//
// KAFKA_BOOTSTRAP_SERVERS  brokers, 127.0.0.1:9092 unless set
// MATCHES_TOPIC            matches unless set
// GROUP                    rewards unless set
//
// The ledger is a file with a line for each reward that was given, its match_id, and for each return, its reversal_id after
// a minus. A real service has tables with these as primary keys, and inserts in the transaction that moves the money.

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
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
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

public final class Rewards {
    private static final ObjectMapper JSON = new ObjectMapper();

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
                    String entry = entry(match);
                    if (entry != null && given.add(entry)) {
                        lines.append(entry).append('\n');
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

    /// What a record asks for: a reward that is owed, or a return of one; null if it is neither.
    private static String entry(ConsumerRecord<String, String> record) {
        // Without a value it tells whoever keeps matches that its customer is to be forgotten.
        if (record.value() == null) {
            return null;
        }
        JsonNode match;
        try {
            match = JSON.readTree(record.value());
        } catch (JsonProcessingException broken) {
            match = JSON.missingNode();
        }
        String id = match.path("match_id").asText();
        if (id.isEmpty()) {
            // A record that is no match is somebody's mistake: tell them, and go on.
            System.err.printf("no match at %d/%d%n", record.partition(), record.offset());
            return null;
        }
        return switch (match.path("status").asText("granted")) {
            // Owed: reward.amount less reversed_total.
            case "granted", "confirmed" -> id;
            // If the reward was given, reversal.amount comes back. It is noted in any case: a topic may be read again.
            case "reversed" -> "-" + match.path("reversal").path("reversal_id").asText();
            // What is pending is not owed yet.
            default -> null;
        };
    }
}
