"""Gives rewards for matches, each once, whatever is killed and whatever comes twice.

  pip install -r requirements.txt
  python rewards.py ledger.db

KAFKA_BOOTSTRAP_SERVERS  brokers, 127.0.0.1:9092 unless set
MATCHES_TOPIC            matches unless set
GROUP                    rewards unless set

The ledger is a table whose primary key is match_id, and one of returns by reversal_id. A real service inserts into them in the transaction that moves the money.
"""
import json
import os
import sqlite3
import sys

from confluent_kafka import Consumer


def enter(ledger, match):
    """Enters a reward that is owed, or a return of one."""
    match_id, status = match["match_id"], match.get("status", "granted")
    if status in ("granted", "confirmed"):  # Owed: reward.amount less reversed_total.
        row = (match_id, match["customer_id"], json.dumps(match["reward"]))
        ledger.execute("INSERT OR IGNORE INTO rewards VALUES (?, ?, ?)", row)
    elif status == "reversed":
        # If the reward was given, reversal.amount comes back. It is noted in any case: a topic may be read again.
        reversal = match["reversal"]
        row = (reversal["reversal_id"], match_id, json.dumps(reversal))
        ledger.execute("INSERT OR IGNORE INTO returns VALUES (?, ?, ?)", row)
    # What is pending is not owed yet.


def main():
    ledger = sqlite3.connect(sys.argv[1])
    ledger.execute("CREATE TABLE IF NOT EXISTS rewards (match_id TEXT PRIMARY KEY, customer_id TEXT, reward TEXT)")
    ledger.execute("CREATE TABLE IF NOT EXISTS returns (reversal_id TEXT PRIMARY KEY, match_id TEXT, reversal TEXT)")
    consumer = Consumer({
        "bootstrap.servers": os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
        "group.id": os.environ.get("GROUP", "rewards"),
        # Matches of transactions that were aborted are on the topic, too. They were never won.
        "isolation.level": "read_committed",
        # Committed below, once rewards are safe.
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    })
    consumer.subscribe([os.environ.get("MATCHES_TOPIC", "matches")])
    while True:
        records = [record for record in consumer.consume(500, timeout=0.5) if not record.error()]
        if not records:
            continue
        with ledger:  # One transaction.
            for record in records:
                # Without a value it tells whoever keeps matches that its customer is to be forgotten.
                if record.value() is None:
                    continue
                try:
                    enter(ledger, json.loads(record.value()))
                except (AttributeError, TypeError, ValueError, KeyError):
                    # A record that is no match is somebody's mistake: tell them, and go on.
                    print("no match at", record.partition(), record.offset(), file=sys.stderr)
        # First the rewards, then the offset: after a kill between them matches come again, and count once.
        consumer.commit(asynchronous=False)


main()
