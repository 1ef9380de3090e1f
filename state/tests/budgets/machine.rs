//! Two matchers and a settler with their logs, as the matcher's process has them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rules::decide::Record;
use rules::{Rule, RuleSet};
use schemas::{Campaign, CampaignId, Claim, Limits, Reader, Source, Span};
use state::settle::{Settled, reset, settle};
use state::{Arrival, Decided, Engine, EventTimes, Members, Partition, Winners, claim};

use super::scene::{Buy, End, Scene};

/// A record of a partition of `events`.
enum Incoming {
    Event {
        customer: String,
        json: String,
    },
    /// A control record: the claim was refused.
    Refused {
        customer: String,
        claim: String,
    },
}

/// A record of `claims`.
enum Asked {
    Claim(Box<Claim<'static>>),
    Reset(String),
}

/// A match.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Won {
    pub(crate) event: String,
    pub(crate) customer: String,
    pub(crate) campaign: String,
}

/// What the settler decided, in the order of its log.
pub(crate) struct SettledClaim {
    /// None: the budgets of that campaign were reset.
    pub(crate) claim: Option<Claim<'static>>,
    pub(crate) campaign: String,
    /// The campaign as it was then.
    pub(crate) document: Campaign,
    pub(crate) granted: bool,
}

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
    pub(crate) matches: Vec<Won>,
    pub(crate) settled: Vec<SettledClaim>,
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
        let (mut won, mut claims, mut instead) = (Vec::new(), Vec::new(), 0);
        let matcher = &mut self.matchers[number];
        let next = matcher.log.len().min(matcher.next + records);
        for offset in matcher.next..next {
            let arrival = Arrival {
                offset: i64::try_from(offset).unwrap(),
                time: NOW,
            };
            match &matcher.log[offset] {
                Incoming::Event { customer, json } => {
                    let record = Record {
                        key: Some(customer.as_bytes()),
                        value: Some(json.as_bytes()),
                        schema_header: None,
                    };
                    let mut winners = Winners::default();
                    let partition = &mut matcher.partition;
                    let decided = (matcher.engine).decide(
                        record,
                        arrival,
                        &self.rules,
                        (partition, &mut &Members::default()),
                        &mut winners,
                    );
                    let Decided::New(event, _) = decided.unwrap() else {
                        continue;
                    };
                    for rule in &winners.won {
                        if rule.totals().is_empty() {
                            won.push(Won {
                                event: event.event_id.to_owned(),
                                customer: customer.clone(),
                                campaign: rule.id().to_string(),
                            });
                            continue;
                        }
                        let source = Source {
                            topic: "events".into(),
                            partition: i32::try_from(number).unwrap(),
                            offset: arrival.offset,
                        };
                        let claim = claim(rule, &event, source, &winners).unwrap();
                        claims.push(claim.into_owned());
                    }
                }
                Incoming::Refused { customer, claim } => {
                    let asked = (Some(customer.as_bytes()), Some(claim.as_bytes()));
                    let partition = &mut matcher.partition;
                    let amends = (matcher.engine).refused(asked, arrival, &self.rules, partition);
                    let amends = amends.unwrap().unwrap();
                    for (rule, place) in &amends.won {
                        instead += 1;
                        let next = amends.claim(rule, *place);
                        if rule.totals().is_empty() {
                            won.push(Won {
                                event: next.event_id.to_string(),
                                customer: customer.clone(),
                                campaign: next.prize.campaign_id.to_string(),
                            });
                        } else {
                            claims.push(next.into_owned());
                        }
                    }
                }
            }
        }
        match end {
            End::Abort => matcher.partition.roll_back(),
            End::Crash => matcher.partition = restored(&matcher.changelog),
            End::Commit => {
                commit(&mut matcher.partition, &mut matcher.changelog);
                matcher.next = next;
                self.matches.append(&mut won);
                self.instead += instead;
                let claims = claims.into_iter().map(|it| Asked::Claim(Box::new(it)));
                self.claims.extend(claims);
            }
        }
    }

    pub(crate) fn settler(&mut self, records: usize, end: End) {
        let (mut matches, mut settled_claims) = (Vec::new(), Vec::new());
        let mut refused = VecDeque::new();
        let mut marks = 0;
        let next = self.claims.len().min(self.next + records);
        for offset in self.next..next {
            let arrival = Arrival {
                offset: i64::try_from(offset).unwrap(),
                time: NOW,
            };
            match &self.claims[offset] {
                Asked::Reset(campaign) => {
                    reset(campaign, arrival, &mut self.budgets).unwrap();
                    settled_claims.push(SettledClaim {
                        claim: None,
                        campaign: campaign.clone(),
                        document: self.campaigns[campaign].campaign(),
                        granted: false,
                    });
                }
                Asked::Claim(claim) => {
                    let id = CampaignId::new(&*claim.prize.campaign_id).unwrap();
                    let rule = self.rules.rule(&id);
                    let settled = settle(claim, arrival, rule, &mut self.budgets).unwrap();
                    let granted = match settled {
                        Settled::Granted { marks: told, .. } => {
                            marks += told.len();
                            matches.push(Won {
                                event: claim.event_id.to_string(),
                                customer: claim.customer_id.to_string(),
                                campaign: id.to_string(),
                            });
                            true
                        }
                        Settled::Refused { marks: told, .. } => {
                            marks += told.len();
                            let json = serde_json::to_string(claim).unwrap();
                            let number = usize::try_from(claim.source.partition).unwrap();
                            refused.push_back((number, claim.customer_id.to_string(), json));
                            false
                        }
                        Settled::TakenBefore => panic!("{offset} is new"),
                    };
                    settled_claims.push(SettledClaim {
                        claim: Some((**claim).clone()),
                        campaign: id.to_string(),
                        document: self.campaigns[id.as_str()].campaign(),
                        granted,
                    });
                }
            }
        }
        match end {
            End::Abort => self.budgets.roll_back(),
            End::Crash => self.budgets = restored(&self.changelog),
            End::Commit => {
                commit(&mut self.budgets, &mut self.changelog);
                self.next = next;
                self.matches.append(&mut matches);
                self.settled.append(&mut settled_claims);
                self.marks += marks;
                for (number, customer, claim) in refused {
                    let log = &mut self.matchers[number].log;
                    log.push(Incoming::Refused { customer, claim });
                }
            }
        }
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
}
