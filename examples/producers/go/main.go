// Sends events, a line of JSON each from the input, as an upstream service in Go would.
//
//	go run . < events.jsonl
//
// KAFKA_BOOTSTRAP_SERVERS  brokers, 127.0.0.1:9092 unless set
// EVENTS_TOPIC             events unless set
//
// Prints a line for each event that is acknowledged: partition, offset, event_id.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	// franz-go is idempotent with acks=all unless told otherwise, and hashes keys as Java does (murmur2). With
	// confluent-kafka-go, which is librdkafka, set partitioner=murmur2_random.
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(setting("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"), ",")...),
		kgo.DefaultProduceTopic(setting("EVENTS_TOPIC", "events")),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()),
	)
	if err != nil {
		log.Fatal(err)
	}
	var failed atomic.Int64
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := bytes.Clone(lines.Bytes())
		var event struct {
			EventID    string `json:"event_id"`
			CustomerID string `json:"customer_id"`
		}
		if err := json.Unmarshal(line, &event); err != nil {
			log.Fatal(err)
		}
		record := &kgo.Record{
			Key:     []byte(event.CustomerID),
			Value:   line,
			Headers: []kgo.RecordHeader{{Key: "traceparent", Value: traceparent()}},
		}
		client.Produce(context.Background(), record, func(at *kgo.Record, err error) {
			if err != nil {
				log.Print(err)
				failed.Add(1)
				return
			}
			fmt.Println(at.Partition, at.Offset, event.EventID)
		})
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	if err := client.Flush(context.Background()); err != nil {
		log.Fatal(err)
	}
	client.Close()
	if failed.Load() > 0 {
		// Not acknowledged: send again, under the same event_id. It counts once.
		os.Exit(1)
	}
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// W3C Trace Context. franz-go's kotel plugin sets it of OpenTelemetry's spans.
func traceparent() []byte {
	ids := make([]byte, 24)
	_, _ = rand.Read(ids) // Never fails (crypto/rand).
	return fmt.Appendf(nil, "00-%x-%x-01", ids[:16], ids[16:])
}
