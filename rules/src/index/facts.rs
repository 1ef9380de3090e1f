//! What an event says, in the form in which rules are looked up.

use schemas::document::leaves::{Leaf, Leaves};
use schemas::paths::{PathId, Paths};
use schemas::{Document, Number, Value};

use super::dictionary::Probe;
use super::keys::Plain;

/// The values of one event by field. Its memory is used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    leaves: Leaves,
    /// By leaf: its value.
    values: Vec<Fact>,
    /// By field.
    slots: Vec<Slot>,
    /// By leaf: the next of the same field.
    next: Vec<u32>,
    /// Counts events: what a slot says of others does not count.
    event: u32,
    /// Whether some field has more values than may be looked up without care for repeated ones.
    is_wide: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    event: u32,
    first: u32,
    last: u32,
    count: u32,
    in_element: bool,
}

/// A value, as far as every index looks at it in the same way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fact {
    Text(Probe),
    Number(Number),
    Other(Plain),
}

/// The end of the leaves of a field.
const END: u32 = u32::MAX;

/// More values of one field than this are wide.
const WIDE: u32 = 8;

impl Facts {
    /// Takes in an event.
    pub(crate) fn read(&mut self, paths: &Paths, document: &Document) {
        self.leaves.find(paths, document);
        if self.slots.len() < paths.len() {
            self.slots.resize(paths.len(), Slot::default());
        }
        self.event = self.event.wrapping_add(1);
        if self.event == 0 {
            self.slots.fill(Slot::default());
            self.event = 1;
        }
        self.is_wide = false;
        self.next.clear();
        self.values.clear();
        for (at, leaf) in (0..).zip(self.leaves.iter()) {
            self.next.push(END);
            self.values.push(match leaf.value(document) {
                Value::String(text) => Fact::Text(Probe::new(leaf.path.number(), text)),
                Value::Number(number) => Fact::Number(number),
                Value::Bool(false) => Fact::Other(Plain::False),
                Value::Bool(true) => Fact::Other(Plain::True),
                _ => Fact::Other(Plain::Null),
            });
            let slot = &mut self.slots[leaf.path.index()];
            if slot.event == self.event {
                self.next[slot.last as usize] = at;
                slot.last = at;
                slot.count += 1;
                slot.in_element |= leaf.in_element;
                self.is_wide |= slot.count > WIDE;
            } else {
                *slot = Slot {
                    event: self.event,
                    first: at,
                    last: at,
                    count: 1,
                    in_element: leaf.in_element,
                };
            }
        }
    }

    /// All values, in the order of the event.
    pub(super) fn leaves(&self) -> impl ExactSizeIterator<Item = (&Leaf, &Fact)> {
        self.leaves.iter().zip(&self.values)
    }

    /// Whether the field of a leaf has this value only, wherever one looks.
    #[inline]
    pub(super) fn is_single(&self, leaf: &Leaf) -> bool {
        !leaf.in_element && self.slots[leaf.path.index()].count == 1
    }

    /// Whether some field has so many values that the same may be among them often.
    pub(super) fn is_wide(&self) -> bool {
        self.is_wide
    }

    /// The paths at which the event has an array.
    pub(super) fn arrays(&self) -> &[PathId] {
        self.leaves.arrays()
    }

    /// Numbers of the leaves of a field.
    #[inline]
    pub(super) fn of(&self, path: u32) -> impl Iterator<Item = usize> {
        let mut at = self.slot(path).map_or(END, |slot| slot.first);
        std::iter::from_fn(move || {
            let this = at as usize;
            at = *self.next.get(this)?;
            Some(this)
        })
    }

    /// The values of a field.
    #[inline]
    pub(super) fn values<'d>(
        &self,
        path: u32,
        document: &'d Document,
    ) -> impl Iterator<Item = Value<'d>> {
        self.of(path)
            .map(move |at| self.leaves.get(at).value(document))
    }

    /// Whether a field may be absent: it has no value, or those that it has lie in elements of an array, so
    /// that other elements may have none.
    #[inline]
    pub(super) fn may_be_absent(&self, path: u32) -> bool {
        self.slot(path).is_none_or(|slot| slot.in_element)
    }

    #[inline]
    fn slot(&self, path: u32) -> Option<&Slot> {
        let slot = &self.slots[path as usize];
        (slot.event == self.event).then_some(slot)
    }
}
