//! Two matchers and a settler with their logs, as the matcher's process has them.

mod settler;

use std::collections::BTreeMap;
use std::sync::Arc;

use rules::decide::Record;
use rules::{Rule, RuleSet};
use schemas::{Amount, Campaign, GivenBack, Limits, Reader, Source, Span};
use state::{
    Arrival, Decided, Due, Engine, EventTimes, Members, Partition, Sequel, Winners, claim,
};

use super::records::{Asked, Incoming, Said, SettledRecord, What};
use super::scene::{Buy, End, Scene};

/// The time of all records: that of the first events.
const NOW: i64 = 1_793_361_600_000;

type Changelog = Vec<(Vec<u8>, Option<Vec<u8>>)>;

struct Matcher {
    log: Vec<Incoming>,
    next: usize,
    engine: Engine,
    partition: Partition,
    changelog: Changelog,
}

pub(crate) struct Machine {
    campaigns: BTreeMap<String, Arc<Rule>>,
    rules: RuleSet,
    matchers: [Matcher; 2],
    claims: Vec<Asked>,
    next: usize,
    budgets: Partition,
    changelog: Changelog,
    pub(crate) matches: Vec<Said>,
    pub(crate) settled: Vec<SettledRecord>,
    /// Campaigns that won because another was refused.
    pub(crate) instead: usize,
    pub(crate) marks: usize,
}

fn commit(partition: &mut Partition, changelog: &mut Changelog) {
    let written = partition.changes(|change| {
        changelog.push((change.key.to_vec(), change.value.map(<[u8]>::to_vec)));
    });
    written.commit(None).unwrap();
}

fn restored(changelog: &Changelog) -> Partition {
    let mut partition = Partition::default();
    for (key, value) in changelog {
        partition.restore(key, value.as_deref()).unwrap();
    }
    partition
}

/// What a batch of a matcher writes.
#[derive(Default)]
struct Written {
    matches: Vec<Said>,
    claims: Vec<Asked>,
    instead: usize,
}

impl Written {
    fn won(&mut self, event: &str, customer: &str, (campaign, amount): (&str, Amount)) {
        self.matches.push(Said {
            event: event.to_owned(),
            customer: customer.to_owned(),
            campaign: campaign.to_owned(),
            what: What::Won {
                amount: amount.decimal(),
            },
        });
    }

    /// What became of a match, and what that gives back.
    fn follow(&mut self, customer: &str, sequel: &Sequel) {
        let won = &sequel.won;
        let what = match &sequel.reversal {
            None => What::Confirmed,
            Some(reversal) => What::Reversed {
                by: reversal.event_id.to_string(),
                amount: reversal.amount.unwrap_or_default(),
                whole: won.is_reversed,
            },
        };
        self.matches.push(Said {
            event: won.event_id.to_string(),
            customer: customer.to_owned(),
            campaign: won.campaign_id.to_string(),
            what,
        });
        if let Some(given) = sequel.given_back() {
            // As a header of a record of `claims`.
            let json = serde_json::to_string(&given).unwrap();
            let given: GivenBack<'static> = serde_json::from_str(&json).unwrap();
            self.claims.push(Asked::GiveBack(given));
        }
    }
}

impl Machine {
    pub(crate) fn new(scene: &Scene) -> Self {
        let times = EventTimes {
            dedup_window: Span::MAX,
            max_ahead: Span::MAX,
        };
        let matcher = || Matcher {
            log: Vec::new(),
            next: 0,
            engine: Engine::new(Reader::json(), Limits::default(), times),
            partition: Partition::default(),
            changelog: Vec::new(),
        };
        let mut machine = Self {
            campaigns: BTreeMap::new(),
            rules: RuleSet::default(),
            matchers: [matcher(), matcher()],
            claims: Vec::new(),
            next: 0,
            budgets: Partition::default(),
            changelog: Vec::new(),
            matches: Vec::new(),
            settled: Vec::new(),
            instead: 0,
            marks: 0,
        };
        for campaign in &scene.campaigns {
            machine.change(campaign);
        }
        machine
    }

    pub(crate) fn arrive(&mut self, event: &Buy) {
        self.matchers[event.partition].log.push(Incoming::Event {
            customer: event.customer.to_owned(),
            json: event.json(),
        });
    }

    pub(crate) fn change(&mut self, campaign: &Campaign) {
        let rule = Arc::new(Rule::compile(campaign.clone()).unwrap());
        self.campaigns.insert(campaign.id.to_string(), rule);
        self.rules = RuleSet::build(self.campaigns.values().cloned());
    }

    pub(crate) fn reset(&mut self, campaign: &str) {
        self.claims.push(Asked::Reset(campaign.to_owned()));
    }

    /// Whether records wait.
    pub(crate) fn is_busy(&self) -> bool {
        self.next < self.claims.len() || self.matchers.iter().any(|it| it.next < it.log.len())
    }

    pub(crate) fn matcher(&mut self, number: usize, records: usize, end: End) {
        let mut written = Written::default();
        let matcher = &mut self.matchers[number];
        let next = matcher.log.len().min(matcher.next + records);
        for offset in matcher.next..next {
            matcher.take(number, offset, &self.rules, &mut written);
        }
        match end {
            End::Abort => matcher.partition.roll_back(),
            End::Crash => matcher.partition = restored(&matcher.changelog),
            End::Commit => {
                commit(&mut matcher.partition, &mut matcher.changelog);
                matcher.next = next;
                self.write(written);
            }
        }
    }

    /// What is held until then is confirmed.
    pub(crate) fn due(&mut self, number: usize, until: i64, end: End) {
        let mut written = Written::default();
        let matcher = &mut self.matchers[number];
        loop {
            let due = (matcher.engine).next_due(until, &self.rules, &mut matcher.partition);
            let due = due.unwrap();
            if due.is_empty() {
                break;
            }
            for due in &due {
                let Due::Sequel {
                    customer_id,
                    sequel,
                } = due
                else {
                    panic!("nothing waits");
                };
                written.follow(customer_id, sequel);
            }
        }
        match end {
            End::Abort => matcher.partition.roll_back(),
            End::Crash => matcher.partition = restored(&matcher.changelog),
            End::Commit => {
                commit(&mut matcher.partition, &mut matcher.changelog);
                self.write(written);
            }
        }
    }

    fn write(&mut self, mut written: Written) {
        self.matches.append(&mut written.matches);
        self.claims.append(&mut written.claims);
        self.instead += written.instead;
    }

    /// The campaign as it is now.
    pub(crate) fn rule(&self, campaign: &str) -> &Rule {
        &self.campaigns[campaign]
    }

    pub(crate) fn campaigns(&self) -> impl Iterator<Item = &str> {
        self.campaigns.keys().map(String::as_str)
    }

    /// What is remembered of a customer.
    pub(crate) fn customer(&self, id: &str) -> state::Customer {
        let found = self
            .matchers
            .iter()
            .find_map(|it| it.partition.customer(id).unwrap());
        found.unwrap_or_default()
    }

    /// What is remembered of a budget's account.
    pub(crate) fn account(&self, id: &str) -> state::Customer {
        self.budgets.customer(id).unwrap().unwrap_or_default()
    }

    /// The events of a partition, in their order.
    pub(crate) fn events(&self, number: usize) -> impl Iterator<Item = &str> {
        let log = self.matchers[number].log.iter();
        log.filter_map(|it| match it {
            Incoming::Event { json, .. } => Some(&**json),
            Incoming::Refused { .. } | Incoming::Granted { .. } => None,
        })
    }
}

impl Matcher {
    fn take(&mut self, number: usize, offset: usize, rules: &RuleSet, written: &mut Written) {
        let arrival = Arrival {
            offset: i64::try_from(offset).unwrap(),
            time: NOW,
        };
        let partition = &mut self.partition;
        let whose = match &self.log[offset] {
            Incoming::Event { customer, json } => {
                let record = Record {
                    key: Some(customer.as_bytes()),
                    value: Some(json.as_bytes()),
                    schema_header: None,
                };
                let mut winners = Winners::default();
                let decided = (self.engine).decide(
                    record,
                    arrival,
                    rules,
                    (partition, &mut &Members::default()),
                    &mut winners,
                );
                let Decided::New(event, _) = decided.unwrap() else {
                    return;
                };
                for rule in &winners.won {
                    if rule.totals().is_empty() {
                        let amount = rule.amount(&event).unwrap().unwrap_or(Amount::ZERO);
                        let won = (rule.id().as_str(), amount);
                        written.won(event.event_id, customer, won);
                        continue;
                    }
                    let source = Source {
                        topic: "events".into(),
                        partition: i32::try_from(number).unwrap(),
                        offset: arrival.offset,
                    };
                    let claim = claim(rule, &event, source, &winners).unwrap();
                    (written.claims).push(Asked::Claim(Box::new(claim.into_owned())));
                }
                customer
            }
            Incoming::Refused { customer, claim } => {
                let asked = (Some(customer.as_bytes()), Some(claim.as_bytes()));
                let amends = (self.engine).refused(asked, arrival, rules, partition);
                let amends = amends.unwrap().unwrap();
                for (rule, place) in &amends.won {
                    written.instead += 1;
                    let next = amends.claim(rule, *place);
                    if rule.totals().is_empty() {
                        let won = (&*next.prize.campaign_id, next.prize.amount);
                        written.won(&next.event_id, customer, won);
                    } else {
                        (written.claims).push(Asked::Claim(Box::new(next.into_owned())));
                    }
                }
                customer
            }
            Incoming::Granted { customer, claim } => {
                let told = (Some(customer.as_bytes()), Some(claim.as_bytes()));
                assert!(self.engine.granted(told, arrival, partition).unwrap());
                customer
            }
        };
        for sequel in self.engine.take_sequels() {
            written.follow(whose, &sequel);
        }
    }
}
