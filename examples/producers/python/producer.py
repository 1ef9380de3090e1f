"""Sends events, a line of JSON each from the input, as an upstream service in Python would.

  pip install -r requirements.txt
  python producer.py < events.jsonl

KAFKA_BOOTSTRAP_SERVERS  brokers, 127.0.0.1:9092 unless set
EVENTS_TOPIC             events unless set

Prints a line for each event that is acknowledged: partition, offset, event_id.
"""
import json
import os
import secrets
import sys

from confluent_kafka import Producer

TOPIC = os.environ.get("EVENTS_TOPIC", "events")


def main():
    producer = Producer({
        "bootstrap.servers": os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
        # An event that is acknowledged is safe, and there once. Implies acks=all.
        "enable.idempotence": True,
        # Java's. librdkafka's own default puts a customer elsewhere than every other producer does.
        "partitioner": "murmur2_random",
        "compression.type": "zstd",
    })
    failed = []

    def acknowledged(event_id):
        def report(error, message):
            if error:
                failed.append(error)
            else:
                print(message.partition(), message.offset(), event_id)
        return report

    for line in sys.stdin:
        event = json.loads(line)
        # W3C Trace Context. OpenTelemetry's instrumentation sets it by itself.
        traceparent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        record = {
            "key": event["customer_id"].encode(),
            "value": line.rstrip("\n").encode(),
            "headers": {"traceparent": traceparent},
            "on_delivery": acknowledged(event["event_id"]),
        }
        while True:
            try:
                producer.produce(TOPIC, **record)
                break
            except BufferError:  # The queue is full: wait for the broker.
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()
    if failed:
        # Not acknowledged: send again, under the same event_id. It counts once.
        sys.exit(f"{len(failed)} events are not acknowledged, the first for: {failed[0]}")


main()
