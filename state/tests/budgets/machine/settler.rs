//! The settler's turn.

use schemas::{CampaignId, Grant};
use state::settle::{Settled, reset, settle};
use state::{Arrival, give_back};

use super::{Machine, NOW, commit, restored};
use crate::records::{Asked, Incoming, Said, SettledRecord, What};
use crate::scene::End;

impl Machine {
    pub(crate) fn settler(&mut self, records: usize, end: End) {
        let (mut matches, mut settled_records) = (Vec::new(), Vec::new());
        let mut told = Vec::new();
        let mut marks = 0;
        let next = self.claims.len().min(self.next + records);
        for offset in self.next..next {
            let arrival = Arrival {
                offset: i64::try_from(offset).unwrap(),
                time: NOW,
            };
            let claim = match &self.claims[offset] {
                Asked::Reset(campaign) => {
                    reset(campaign, arrival, &mut self.budgets).unwrap();
                    settled_records.push(SettledRecord::Reset(campaign.clone()));
                    continue;
                }
                Asked::GiveBack(given) => {
                    let rule = &self.campaigns[&*given.campaign_id];
                    give_back(given, arrival, Some(rule), &mut self.budgets).unwrap();
                    settled_records.push(SettledRecord::GivenBack(given.clone()));
                    continue;
                }
                Asked::Claim(claim) => claim,
            };
            let id = CampaignId::new(&*claim.prize.campaign_id).unwrap();
            let rule = self.rules.rule(&id);
            let customer = claim.customer_id.to_string();
            let number = usize::try_from(claim.source.partition).unwrap();
            let settled = settle(claim, arrival, rule, &mut self.budgets).unwrap();
            let granted = match settled {
                Settled::Granted {
                    marks: new,
                    counted,
                    ..
                } => {
                    marks += new.len();
                    matches.push(Said {
                        event: claim.event_id.to_string(),
                        customer: customer.clone(),
                        campaign: id.to_string(),
                        what: What::Won {
                            amount: claim.prize.amount.decimal(),
                        },
                    });
                    if claim.kept.is_some() {
                        let mut claim = (**claim).clone();
                        claim.granted = Some(Grant {
                            claim: arrival.offset,
                            granted_at: jiff::Timestamp::from_millisecond(NOW).unwrap(),
                            counted,
                        });
                        let claim = serde_json::to_string(&claim).unwrap();
                        told.push((number, Incoming::Granted { customer, claim }));
                    }
                    true
                }
                Settled::Refused { marks: new, .. } => {
                    marks += new.len();
                    let claim = serde_json::to_string(claim).unwrap();
                    told.push((number, Incoming::Refused { customer, claim }));
                    false
                }
                Settled::TakenBefore => panic!("{offset} is new"),
            };
            settled_records.push(SettledRecord::Claim {
                claim: claim.clone(),
                document: Box::new(self.campaigns[id.as_str()].campaign()),
                granted,
            });
        }
        match end {
            End::Abort => self.budgets.roll_back(),
            End::Crash => self.budgets = restored(&self.changelog),
            End::Commit => {
                commit(&mut self.budgets, &mut self.changelog);
                self.next = next;
                self.matches.append(&mut matches);
                self.settled.append(&mut settled_records);
                self.marks += marks;
                for (number, record) in told {
                    self.matchers[number].log.push(record);
                }
            }
        }
    }
}
