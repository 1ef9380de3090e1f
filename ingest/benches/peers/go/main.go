// A plain service as a team would write it: net/http, encoding/json and franz-go. It gives the same
// guarantees as ingest: each event is checked, and answered when all replicas in sync have it.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const maxBody = 4 << 20

type event struct {
	EventID    *string         `json:"event_id"`
	CustomerID string          `json:"customer_id"`
	EventType  string          `json:"event_type"`
	OccurredAt time.Time       `json:"occurred_at"`
	Payload    json.RawMessage `json:"payload"`
}

type item struct {
	Status  int    `json:"status"`
	EventID string `json:"event_id,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

type door struct {
	kafka *kgo.Client
	key   [sha256.Size]byte
}

func main() {
	kafka, err := kgo.NewClient(
		kgo.SeedBrokers(os.Getenv("KAFKA_BOOTSTRAP_SERVERS")),
		kgo.DefaultProduceTopic(os.Getenv("EVENTS_TOPIC")),
		// Idempotent, as it is by default.
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		// As ingest does.
		kgo.ProducerLinger(2*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.RecordDeliveryTimeout(10*time.Second),
		kgo.MaxBufferedRecords(100_000),
	)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	d := &door{kafka: kafka, key: sha256.Sum256([]byte(os.Getenv("KEY")))}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", d.events)
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

func (d *door) events(w http.ResponseWriter, r *http.Request) {
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	hash := sha256.Sum256([]byte(given))
	if subtle.ConstantTimeCompare(hash[:], d.key[:]) != 1 {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	trace := traceparent(r.Header.Get("traceparent"))
	events := []json.RawMessage{body}
	several := bytes.HasPrefix(bytes.TrimSpace(body), []byte("["))
	if several {
		if err := json.Unmarshal(body, &events); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	items := make([]item, len(events))
	var wait sync.WaitGroup
	for at, text := range events {
		e, value, err := check(text)
		if err != nil {
			items[at] = item{Status: http.StatusUnprocessableEntity, Detail: err.Error()}
			continue
		}
		items[at] = item{Status: http.StatusAccepted, EventID: *e.EventID}
		record := &kgo.Record{
			Key:     []byte(e.CustomerID),
			Value:   value,
			Headers: []kgo.RecordHeader{{Key: "traceparent", Value: []byte(trace)}},
		}
		wait.Add(1)
		d.kafka.TryProduce(r.Context(), record, func(_ *kgo.Record, err error) {
			if err != nil {
				items[at].Status, items[at].Detail = http.StatusServiceUnavailable, err.Error()
			}
			wait.Done()
		})
	}
	wait.Wait()
	answer(w, items, several, trace)
}

func answer(w http.ResponseWriter, items []item, several bool, trace string) {
	status, accepted := http.StatusAccepted, 0
	for _, i := range items {
		if i.Status == http.StatusAccepted {
			accepted++
		}
	}
	switch {
	case !several:
		status = items[0].Status
	case accepted == 0:
		status = http.StatusServiceUnavailable
	case accepted < len(items):
		status = http.StatusMultiStatus
	}
	var whole any = map[string]any{
		"accepted": accepted, "refused": len(items) - accepted, "items": items, "trace_id": trace[3:35],
	}
	if !several {
		whole = map[string]any{"event_id": items[0].EventID, "trace_id": trace[3:35]}
	}
	text, err := json.Marshal(whole)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

func check(text []byte) (*event, []byte, error) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, nil, err
	}
	if e.CustomerID == "" || e.EventType == "" || e.OccurredAt.IsZero() {
		return nil, nil, errors.New("customer_id, event_type and occurred_at are required")
	}
	if e.EventID == nil {
		id := newID()
		e.EventID = &id
		text = append([]byte(`{"event_id":"`+id+`",`), bytes.TrimSpace(text)[1:]...)
	}
	return &e, text, nil
}

// A UUID of version 7.
func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	millis := time.Now().UnixMilli()
	for at := range 6 {
		id[at] = byte(millis >> (40 - 8*at))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	text := hex.EncodeToString(id[:])
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

func traceparent(given string) string {
	var id [24]byte
	_, _ = rand.Read(id[:])
	span := hex.EncodeToString(id[16:])
	if len(given) == 55 {
		return given[:36] + span + given[52:]
	}
	return "00-" + hex.EncodeToString(id[:16]) + "-" + span + "-01"
}
