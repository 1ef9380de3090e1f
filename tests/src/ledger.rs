//! What a test has done: the campaigns and events it wrote, and so what may come of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::oracle::{self, Shopping};
use crate::topics::Written;

/// A state that a campaign may be in: a version of it, or not there.
pub type State = Option<u64>;

/// Time in which nobody can say which of several states of a campaign an event meets. Between two of
/// them every event was committed and every matcher had read every campaign.
#[derive(Debug, Clone, Default)]
struct Epoch {
    states: BTreeMap<&'static str, BTreeSet<State>>,
    events: Vec<Shopping>,
}

/// A record of `events` that can never be processed.
#[derive(Debug, Clone)]
pub struct Poison {
    /// The word that names the reason.
    pub code: &'static str,
    /// The record.
    pub record: Written,
    /// Whether the dead letter is expected to hold the value, or only its size, for want of room.
    pub value_kept: bool,
}

/// All that was written, in the order of the epochs.
#[derive(Debug, Clone)]
pub struct Ledger {
    epochs: Vec<Epoch>,
    last: BTreeMap<&'static str, State>,
    poison: Vec<Poison>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            epochs: vec![Epoch::default()],
            last: BTreeMap::new(),
            poison: Vec::new(),
        }
    }
}

impl Ledger {
    /// Begins with these campaigns in force, in their first version.
    pub fn begin(&mut self) {
        self.last = oracle::campaigns().map(|id| (id, Some(1))).collect();
        self.current().states = only(&self.last);
    }

    /// A campaign was written or deleted; from now on events may meet that state of it, or still any
    /// other of this epoch.
    pub fn changed(&mut self, id: &'static str, state: State) {
        self.last.insert(id, state);
        self.current().states.entry(id).or_default().insert(state);
    }

    /// All is quiet: what comes now meets the last state of each campaign, and no other.
    pub fn settled(&mut self) {
        self.epochs.push(Epoch {
            states: only(&self.last),
            events: Vec::new(),
        });
    }

    /// An event was produced.
    pub fn produced(&mut self, event: Shopping) {
        self.current().events.push(event);
    }

    /// A record was produced that can never be processed.
    pub fn poisoned(&mut self, poison: Poison) {
        self.poison.push(poison);
    }

    /// All events but poison.
    pub fn events(&self) -> impl Iterator<Item = &Shopping> {
        self.epochs.iter().flat_map(|epoch| &epoch.events)
    }

    /// All poison.
    pub fn poison(&self) -> &[Poison] {
        &self.poison
    }

    /// How many records `events` holds.
    pub fn records(&self) -> usize {
        self.events().count() + self.poison.len()
    }

    /// Each event with the states of each campaign that it may have met.
    pub fn decisions(&self) -> impl Iterator<Item = (&Shopping, &'static str, &BTreeSet<State>)> {
        self.epochs.iter().flat_map(|epoch| {
            let states = &epoch.states;
            epoch
                .events
                .iter()
                .flat_map(move |event| states.iter().map(move |(id, states)| (event, *id, states)))
        })
    }

    fn current(&mut self) -> &mut Epoch {
        self.epochs.last_mut().expect("there is always an epoch")
    }
}

fn only(states: &BTreeMap<&'static str, State>) -> BTreeMap<&'static str, BTreeSet<State>> {
    let alone = |(&id, &state): (&&'static str, &State)| (id, BTreeSet::from([state]));
    states.iter().map(alone).collect()
}
