// Sends events, a line of JSON each from the input, as an upstream service in Node would.
//
//   npm ci
//   node producer.js < events.jsonl
//
// KAFKA_BOOTSTRAP_SERVERS  brokers, 127.0.0.1:9092 unless set
// EVENTS_TOPIC             events unless set
//
// Prints a line for each batch of a partition that is acknowledged: partition and first offset.

const { randomBytes } = require('node:crypto');
const readline = require('node:readline');
const { Kafka, Partitioners, CompressionTypes, logLevel } = require('kafkajs');

const topic = process.env.EVENTS_TOPIC || 'events';
const kafka = new Kafka({
  clientId: 'producer',
  brokers: (process.env.KAFKA_BOOTSTRAP_SERVERS || '127.0.0.1:9092').split(','),
  logLevel: logLevel.ERROR,
});

// W3C Trace Context. OpenTelemetry's instrumentation sets it by itself.
const traceparent = () => `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;

async function main() {
  const producer = kafka.producer({
    // Java's murmur2. LegacyPartitioner, and node-rdkafka without partitioner=murmur2_random, put a customer elsewhere.
    createPartitioner: Partitioners.DefaultPartitioner,
    // An event that is acknowledged is safe, and there once.
    idempotent: true,
    maxInFlightRequests: 1,
  });
  await producer.connect();
  const send = async (lines) => {
    const events = lines.map((line) => ({ line, ...JSON.parse(line) }));
    const messages = events.map((event) => ({
      key: event.customer_id,
      value: event.line,
      headers: { traceparent: traceparent() },
    }));
    // What is not acknowledged throws: send again, under the same event_id. It counts once.
    const answers = await producer.send({ topic, messages, acks: -1, compression: CompressionTypes.GZIP });
    for (const answer of answers) {
      console.log(answer.partition, answer.baseOffset);
    }
  };
  let lines = [];
  for await (const line of readline.createInterface({ input: process.stdin })) {
    lines.push(line);
    if (lines.length === 500) {
      await send(lines);
      lines = [];
    }
  }
  if (lines.length > 0) {
    await send(lines);
  }
  await producer.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
