// Sends events, a line of JSON each from the input, as an upstream service in Java would.
//
//   java -cp 'kafka-clients and slf4j' Producer.java < events.jsonl
//
// KAFKA_BOOTSTRAP_SERVERS  brokers, 127.0.0.1:9092 unless set
// EVENTS_TOPIC             events unless set
//
// Prints a line for each event that is acknowledged: partition, offset, event_id.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Producer {
    private static final SecureRandom RANDOM = new SecureRandom();

    public static void main(String[] arguments) throws Exception {
        String topic = System.getenv().getOrDefault("EVENTS_TOPIC", "events");
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", System.getenv().getOrDefault("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
            // Both are the defaults since Kafka 3; written down, for an event that is acknowledged must be safe, once.
            "acks", "all",
            "enable.idempotence", true,
            // The default partitioner hashes the key with murmur2. Leave it so: it decides where a customer lives.
            "compression.type", "zstd",
            "linger.ms", 5);
        AtomicReference<Exception> failed = new AtomicReference<>();
        try (KafkaProducer<String, byte[]> producer =
                new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer());
            BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                String eventId = field(line, "event_id");
                ProducerRecord<String, byte[]> event =
                    new ProducerRecord<>(topic, field(line, "customer_id"), line.getBytes(StandardCharsets.UTF_8));
                event.headers().add("traceparent", traceparent().getBytes(StandardCharsets.US_ASCII));
                producer.send(event, (at, error) -> {
                    if (error == null) {
                        System.out.printf("%d %d %s%n", at.partition(), at.offset(), eventId);
                    } else {
                        failed.set(error);
                    }
                });
            }
        }
        // Not acknowledged: send again, under the same event_id. It counts once.
        if (failed.get() != null) {
            throw failed.get();
        }
    }

    /** A service has its events as objects, and needs no such thing. */
    private static String field(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*\"([^\"]+)\"").matcher(json);
        if (!found.find()) {
            throw new IllegalArgumentException("no " + name + ": " + json);
        }
        return found.group(1);
    }

    /** W3C Trace Context. With OpenTelemetry's agent this header is set by itself. */
    private static String traceparent() {
        byte[] ids = new byte[24];
        RANDOM.nextBytes(ids);
        String hex = HexFormat.of().formatHex(ids);
        return "00-" + hex.substring(0, 32) + "-" + hex.substring(32) + "-01";
    }
}
