//! Restored customers that wait to be written together.

use state::base::Bytes;

/// Bytes of ids and states that are written at once. Of 112 bytes each, 65,000 customers at once are
/// taken in at 341,000 a second, 16,000 at once at 139,000, and without an order, as batches, at 152,000.
const FULL: usize = 16 * 1024 * 1024;

/// Room for a lot, and for its places: what is not written to takes no memory. With more than 32 MiB glibc gives all of it
/// back when it is let go. Less would teach it to keep as much for each thread that there ever was (`mallopt(3)`,
/// `M_MMAP_THRESHOLD`): half a GiB after two million customers of 12 partitions.
const ROOM: usize = 33 * 1024 * 1024;

/// A lot that grows beyond has all the room. Most restarts with a disk never come that far.
const SMALL: usize = 64 * 1024;

/// What was restored and is not written yet.
#[derive(Default)]
pub(crate) struct Lot {
    /// Ids and states.
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// Where a customer is in a lot.
struct Place {
    begin: usize,
    /// Where the id ends.
    middle: usize,
    /// Where the state ends; none if the customer is forgotten.
    end: Option<usize>,
    due: Option<i64>,
}

impl Lot {
    pub(crate) fn push(&mut self, id: &str, state: Option<Bytes<'_>>) {
        let begin = self.bytes.len();
        if begin > SMALL {
            // Once; then there is room for all that comes before it is full.
            make_room(&mut self.bytes);
            make_room(&mut self.places);
        }
        self.bytes.extend_from_slice(id.as_bytes());
        let middle = self.bytes.len();
        let end = state.map(|state| {
            self.bytes.extend_from_slice(state.bytes);
            self.bytes.len()
        });
        self.places.push(Place {
            begin,
            middle,
            end,
            due: state.and_then(|it| it.due),
        });
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    /// How many records it is of.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The customers in the order of their ids, each as it came last.
    pub(crate) fn in_order(&mut self) -> impl Iterator<Item = (&str, Option<Bytes<'_>>)> {
        let bytes = &self.bytes;
        let id = |place: &Place| &bytes[place.begin..place.middle];
        // In place; of one customer the last stays the last.
        self.places
            .sort_unstable_by(|a, b| id(a).cmp(id(b)).then(a.begin.cmp(&b.begin)));
        let places = &self.places;
        let is_last = move |at: usize| {
            let next = places.get(at + 1);
            next.is_none_or(|next| id(next) != id(&places[at]))
        };
        let last = (0..places.len()).filter(move |at| is_last(*at));
        last.filter_map(move |at| {
            let place = &places[at];
            let state = place.end.map(|end| Bytes {
                bytes: &bytes[place.middle..end],
                due: place.due,
            });
            // It came as text.
            Some((str::from_utf8(id(place)).ok()?, state))
        })
    }
}

/// All the room at once, for each step on the way would be taught to be kept.
fn make_room<T>(of: &mut Vec<T>) {
    let room = ROOM / size_of::<T>();
    if of.capacity() < room {
        of.reserve_exact(room - of.len());
    }
}
