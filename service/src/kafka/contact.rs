//! Whether a client still knows a broker.
//!
//! librdkafka forgets the brokers that a metadata response does not name. A response that names none
//! leaves it with nobody to ask: it waits for ever, says nothing, and does not try its bootstrap servers
//! (librdkafka issue 5301; seen with 2.12.1). A broker answers so while its cluster takes it for dead,
//! such as after a long pause, or when all are restarted at once. Only a new client helps.

use std::sync::atomic::{AtomicU32, Ordering};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;

use super::{log_error, log_line};

/// So many reports of statistics without a broker, 5 s apart, and none will come any more. A client that
/// begins anew with its bootstrap servers knows these at once.
const REPORTS: u32 = 3;

/// What the statistics of a client say of its brokers. Taken note of where librdkafka reports them, asked
/// by whoever owns the client.
#[derive(Debug, Default)]
pub struct Contact {
    /// Reports without a broker, one after another.
    without: AtomicU32,
}

impl Contact {
    /// Takes note of a report; for `ClientContext::stats`.
    pub fn note(&self, statistics: &Statistics) {
        // A logical one, such as the coordinator of a group, is another's name without an address.
        let real = |source: &str| source == "learned" || source == "configured";
        let brokers = &statistics.brokers;
        if brokers.values().any(|broker| real(&broker.source)) {
            self.without.store(0, Ordering::Relaxed);
        } else {
            self.without.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the client knows no broker and will never know one again. False while a broker is only
    /// away.
    pub fn is_lost(&self) -> bool {
        self.without.load(Ordering::Relaxed) >= REPORTS
    }
}

/// The context of a client that has nothing to tell but to the log, and whose contact is watched.
#[derive(Debug, Default)]
pub struct Watched {
    /// What is known of its brokers.
    pub contact: Contact,
}

impl ClientContext for Watched {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.contact.note(&statistics);
    }
}

impl ConsumerContext for Watched {}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Broker;

    use super::*;

    fn report(sources: &[&str]) -> Statistics {
        let broker = |source: &&str| {
            let broker = Broker {
                source: (*source).to_owned(),
                ..Broker::default()
            };
            ((*source).to_owned(), broker)
        };
        Statistics {
            brokers: sources.iter().map(broker).collect(),
            ..Statistics::default()
        }
    }

    #[test]
    fn contact_is_lost_when_no_broker_is_known_for_a_while() {
        let contact = Contact::default();
        for _ in 0..2 {
            contact.note(&report(&["logical"]));
        }
        assert!(!contact.is_lost(), "it may be about to begin anew");
        contact.note(&report(&["logical", "configured"]));
        for _ in 0..2 {
            contact.note(&report(&[]));
            assert!(!contact.is_lost());
        }
        contact.note(&report(&["logical"]));
        assert!(contact.is_lost());
        contact.note(&report(&["learned"]));
        assert!(!contact.is_lost());
    }
}
