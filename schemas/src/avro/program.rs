//! A schema as the decoder follows it.

use std::sync::Arc;

use super::logical::{Offset, Unit};
use crate::document::Name;

/// A schema, checked and compiled: what stands after what in the bytes of a value.
///
/// Immutable, shared between threads as `Arc`. Decoding with it is bounded: it has no cycles, and an
/// item of an array takes at least a byte.
#[derive(Debug, Clone)]
pub struct Program {
    pub(super) shapes: Vec<Shape>,
    /// Names of fields and symbols, one after another; shapes hold parts of it.
    pub(super) names: Arc<str>,
    /// The names of the fields of records, record after record.
    pub(super) keys: Arc<[Name]>,
    /// The records that a value can be, one unless the schema is a union.
    pub(super) roots: Vec<Root>,
    /// Whether the value begins with the number of its root.
    pub(super) is_union: bool,
}

/// A record that a value can be.
#[derive(Debug, Clone)]
pub(super) struct Root {
    /// Its full name, with the namespace.
    pub(super) name: Box<str>,
    pub(super) shape: u32,
}

/// What stands at a place. Others are named by their place in [`Program::shapes`].
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    /// A text that holds JSON: the value is what it says.
    Json,
    Fixed(u32),
    Enum(Box<[Name]>),
    Decimal {
        /// Its size, if it has no length of its own.
        fixed: Option<u32>,
        scale: i64,
    },
    BigDecimal,
    Uuid {
        /// Whether it has no length of its own.
        fixed: bool,
    },
    Date,
    TimeOfDay(Unit),
    DateTime(Unit, Offset),
    Duration,
    /// Null or one other.
    Nullable {
        /// The number of the null.
        null: u8,
        other: u32,
    },
    Union(Box<[u32]>),
    Array(u32),
    Map(u32),
    Record(Record),
}

/// A record.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) fields: Box<[Field]>,
    /// Where its fields' names begin in [`Program::keys`], if it has all of its fields and no others.
    pub(super) keys: Option<u32>,
}

/// A field of a record.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: Name,
    pub(super) shape: u32,
    pub(super) fate: Fate,
    /// Which fields of the event it is.
    pub(super) slots: Slots,
    /// How many fields from here on are texts, or null instead.
    pub(super) texts: u8,
}

/// Most texts that are read at once.
pub(super) const MAX_TEXTS: usize = 8;

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stands in the document under its name.
    Kept,
    /// It is read and left out.
    Hidden,
    /// It is a map whose entries stand in the document as fields, each value a JSON text.
    Spread,
}

/// A field of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Slot {
    EventId,
    CustomerId,
    EventType,
    OccurredAt,
    Payload,
}

impl Slot {
    /// The fields that every event has.
    pub(super) const ALWAYS: [Self; 4] = [
        Self::EventId,
        Self::CustomerId,
        Self::EventType,
        Self::OccurredAt,
    ];

    /// Its name in a document.
    pub(super) const fn name(self) -> &'static str {
        SLOTS[self as usize]
    }
}

/// Names of the fields of an event, in the order of [`Slot`].
pub(super) const SLOTS: [&str; 5] = [
    "event_id",
    "customer_id",
    "event_type",
    "occurred_at",
    "payload",
];

/// A set of slots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Slots(u8);

impl Slots {
    pub(super) fn add(&mut self, slot: Slot) {
        self.0 |= 1 << slot as u8;
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn has(self, slot: usize) -> bool {
        self.0 & (1 << slot) != 0
    }
}

impl Program {
    /// The full names of the records that a value can be.
    pub fn record_names(&self) -> impl Iterator<Item = &str> {
        self.roots.iter().map(|root| &*root.name)
    }

    pub(super) fn name(&self, name: Name) -> &str {
        &self.names[name.start as usize..name.end as usize]
    }
}
