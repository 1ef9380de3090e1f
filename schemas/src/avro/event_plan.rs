//! A program that knows which of a record's fields make it an event.

use std::sync::Arc;

use super::decode::{Decimals, Decoder, Step};
use super::logical::{Offset, Unit};
use super::mapping::{EventMapping, Path, RecordMapping, TypeSource};
use super::program::{Fate, Field, Program, Shape, Slot};
use super::{AvroError, OWN_EVENT};
use crate::document::{Entry, Envelope, Name};
use crate::{Document, Limits, Number};

/// How values of one schema are read as events. Immutable.
#[derive(Debug)]
pub struct EventPlan {
    program: Program,
    /// For each root of the program, how it is an event.
    roots: Vec<Bound>,
}

#[derive(Debug)]
struct Bound {
    shape: u32,
    /// Fields of the event that the record has elsewhere or not at all.
    added: Vec<(Slot, Name, Source)>,
    /// Whether the mapping says that these are the event's fields: then numbers are taken for ids.
    is_mapped: bool,
    unit: Option<Unit>,
    /// Why the mapping does not fit.
    misfit: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Field,
    Constant(Name),
}

impl EventPlan {
    /// Binds a program whose schema is registered under these subjects.
    pub fn new(program: &Program, subjects: &[String], mapping: &EventMapping) -> Self {
        let mut binder = Binder {
            original: program.shapes.len(),
            program: program.clone(),
            names: program.names.as_ref().to_owned(),
        };
        let roots = program
            .roots
            .iter()
            .map(|root| {
                let entry = mapping.find(&root.name, subjects);
                binder.bind(root.shape, &root.name, entry)
            })
            .collect();
        let Binder {
            mut program, names, ..
        } = binder;
        program.names = Arc::from(names);
        Self { program, roots }
    }

    /// Reads a value without its prefix to a document whose fields are the record's, and those of the
    /// event.
    ///
    /// # Errors
    /// [`AvroError`] says what is wrong; the document is then `null`.
    pub fn read(
        &self,
        bytes: &[u8],
        limits: Limits,
        document: &mut Document,
    ) -> Result<(), AvroError> {
        self.read_boxed(bytes, limits, document)
            .map_err(|error| *error)
    }

    fn read_boxed(&self, bytes: &[u8], limits: Limits, document: &mut Document) -> Step<()> {
        let decimals = Decimals::Numbers;
        let mut decoder = Decoder::begin(&self.program, bytes, limits, decimals, document)?;
        let number = decoder.root()?;
        let bound = &self.roots[number];
        if let Some(why) = &bound.misfit {
            return Err(Box::new(AvroError::Unmapped {
                record: self.program.roots[number].name.to_string(),
                why: why.clone(),
            }));
        }
        decoder.unit = bound.unit;
        decoder.root_record(bound.shape, |decoder| bound.complete(decoder))?;
        decoder.end()?;
        let [event_id, customer_id, event_type, occurred_at, payload] = decoder.places;
        let instant = decoder.instant;
        decoder.out.finish(Some(Envelope {
            event_id,
            customer_id,
            event_type,
            occurred_at,
            instant,
            payload,
        }));
        Ok(())
    }
}

impl Bound {
    /// Adds the fields that the record does not have under the event's names, and makes texts of ids.
    fn complete(&self, decoder: &mut Decoder<'_, '_>) {
        for (slot, key, source) in &self.added {
            let entry = match source {
                Source::Constant(name) => Some(name.entry()),
                Source::Field => decoder.places[*slot as usize]
                    .and_then(|place| as_text(decoder, *slot, decoder.out.entry(place))),
            };
            // What is no single value stays where it is; the event is refused for it.
            let Some(entry) = entry else { continue };
            decoder.out.push(key.entry());
            decoder.places[*slot as usize] = Some(decoder.out.len());
            decoder.out.push(entry);
        }
        if !self.is_mapped {
            return;
        }
        for slot in Slot::ALWAYS {
            let added = self.added.iter().any(|(added, ..)| *added == slot);
            if let Some(place) = decoder.places[slot as usize].filter(|_| !added)
                && let Some(entry) = as_text(decoder, slot, decoder.out.entry(place))
            {
                decoder.out.set(place, entry);
            }
        }
    }
}

/// The entry of an event's field, numbers as text; nothing for what holds several values.
fn as_text(decoder: &mut Decoder<'_, '_>, slot: Slot, entry: Entry) -> Option<Entry> {
    match entry {
        Entry::Array { .. } | Entry::Object { .. } => None,
        Entry::Number(number) => Some(match (slot, decoder.instant) {
            (Slot::OccurredAt, Some(instant)) => {
                decoder.out.text(|text| text.push_str(&instant.to_string()))
            }
            (Slot::OccurredAt, None) => entry,
            _ => decoder.out.text(|text| push_number(text, number)),
        }),
        other => Some(other),
    }
}

fn push_number(text: &mut String, number: Number) {
    text.push_str(&number.to_string());
}

/// Marks the fields of an event in a copy of a program.
struct Binder {
    program: Program,
    /// How many shapes there were: those beyond are copies, and only copies are marked.
    original: usize,
    names: String,
}

impl Binder {
    fn bind(&mut self, shape: u32, record: &str, mapping: Option<&RecordMapping>) -> Bound {
        let mut bound = Bound {
            shape: self.copy(shape),
            added: Vec::new(),
            is_mapped: mapping.is_some(),
            unit: None,
            misfit: None,
        };
        if let Some(mapping) = mapping {
            bound.misfit = self.map(&mut bound, record, mapping).err();
        } else {
            self.take_as_it_is(&bound, record);
        }
        if let Shape::Record(record) = &mut self.program.shapes[bound.shape as usize] {
            let is_whole = record.fields.iter().all(|field| field.fate == Fate::Kept);
            record.keys = record.keys.filter(|_| is_whole && bound.added.is_empty());
        }
        bound
    }

    /// The event's fields are where its own names say.
    fn take_as_it_is(&mut self, bound: &Bound, record: &str) {
        for slot in Slot::ALWAYS.into_iter().chain([Slot::Payload]) {
            if let Some(field) = self.field(bound.shape, slot.name()) {
                field.slots.add(slot);
            }
        }
        if record == OWN_EVENT {
            // A release that writes another form of these writes another record.
            let _ = self.read_json(bound.shape, "payload");
            let is_map = |shape: &Shape| matches!(shape, Shape::Map(_));
            let further = self.field(bound.shape, "further").map(|field| field.shape);
            if further.is_some_and(|shape| is_map(&self.program.shapes[shape as usize]))
                && let Some(field) = self.field(bound.shape, "further")
            {
                field.fate = Fate::Spread;
            }
        }
    }

    fn map(
        &mut self,
        bound: &mut Bound,
        record: &str,
        mapping: &RecordMapping,
    ) -> Result<(), String> {
        let own = |slot: Slot| Path::new(slot.name());
        let path = |given: &Option<Path>, slot| given.clone().unwrap_or_else(|| own(slot));
        self.take(
            bound,
            Slot::EventId,
            &path(&mapping.event_id, Slot::EventId),
        )?;
        let customer = path(&mapping.customer_id, Slot::CustomerId);
        self.take(bound, Slot::CustomerId, &customer)?;
        let has_type = self.field(bound.shape, Slot::EventType.name()).is_some();
        match &mapping.event_type {
            Some(TypeSource::Field(path)) => self.take(bound, Slot::EventType, path)?,
            Some(TypeSource::Constant(text)) => self.constant(bound, &text.constant),
            None if has_type => self.take(bound, Slot::EventType, &own(Slot::EventType))?,
            None => {
                let name = record.rsplit('.').next().unwrap_or(record);
                self.constant(bound, name);
            }
        }
        let time = mapping.occurred_at.as_ref();
        let own_time = own(Slot::OccurredAt);
        let time_path = time.map_or(&own_time, |time| time.path());
        bound.unit = time.and_then(super::mapping::TimeSource::unit);
        self.take(bound, Slot::OccurredAt, time_path)?;
        self.check_time(bound, time_path)?;
        for field in &mapping.json {
            self.read_json(bound.shape, field)?;
        }
        for (slot, ..) in &bound.added {
            self.hide(bound.shape, slot.name());
        }
        Ok(())
    }

    /// Takes a field of the event from a path of the record.
    fn take(&mut self, bound: &mut Bound, slot: Slot, path: &Path) -> Result<(), String> {
        let steps = path.steps();
        if !self.mark(bound.shape, &steps, slot) {
            return Err(format!(
                "it has no field {} to be {}",
                path.as_str(),
                slot.name()
            ));
        }
        if steps != [slot.name()] {
            let key = self.name(slot.name());
            bound.added.push((slot, key, Source::Field));
        }
        Ok(())
    }

    fn constant(&mut self, bound: &mut Bound, text: &str) {
        let (key, text) = (self.name(Slot::EventType.name()), self.name(text));
        bound
            .added
            .push((Slot::EventType, key, Source::Constant(text)));
    }

    /// Marks the field at the end of a path. Records on the way are copied, for others may use the same
    /// type. Says whether there is such a field.
    fn mark(&mut self, record: u32, steps: &[&str], slot: Slot) -> bool {
        let Some((first, rest)) = steps.split_first() else {
            return false;
        };
        let Some(field) = self.field(record, first) else {
            return false;
        };
        if rest.is_empty() {
            field.slots.add(slot);
            return true;
        }
        let shape = field.shape;
        let Some(copy) = self.mark_below(shape, rest, slot) else {
            return false;
        };
        if let Some(field) = self.field(record, first) {
            field.shape = copy;
        }
        true
    }

    /// The same below a shape: a record, or a union with records. Gives its copy.
    fn mark_below(&mut self, shape: u32, steps: &[&str], slot: Slot) -> Option<u32> {
        match self.program.shapes[shape as usize].clone() {
            Shape::Record(_) => {
                let copy = self.copy(shape);
                self.mark(copy, steps, slot).then_some(copy)
            }
            Shape::Nullable { null, other } => {
                let other = self.mark_below(other, steps, slot)?;
                Some(self.push(Shape::Nullable { null, other }))
            }
            Shape::Union(mut variants) => {
                let mut found = false;
                for variant in &mut variants {
                    if let Some(copy) = self.mark_below(*variant, steps, slot) {
                        *variant = copy;
                        found = true;
                    }
                }
                found.then(|| self.push(Shape::Union(variants)))
            }
            _ => None,
        }
    }

    /// A number says no time unless it is said what it counts.
    fn check_time(&self, bound: &Bound, path: &Path) -> Result<(), String> {
        let mut shape = bound.shape;
        for step in path.steps() {
            let Some(field) = self.peek(shape, step) else {
                return Ok(());
            };
            shape = field.shape;
            if let Shape::Nullable { other, .. } = self.program.shapes[shape as usize] {
                shape = other;
            }
        }
        let is_number = matches!(
            self.program.shapes[shape as usize],
            Shape::Int | Shape::Long
        );
        let path = path.as_str();
        match (is_number, bound.unit) {
            (true, None) => Err(format!(
                "{path} is a number; say what it counts: {{\"field\": \"{path}\", \"unit\": \"millis\"}}"
            )),
            (false, Some(_)) => Err(format!("{path} is no number, and a unit is given")),
            _ => match self.program.shapes[shape as usize] {
                Shape::DateTime(_, Offset::Unsaid) => Err(format!(
                    "{path} is a local time, which does not say when it was elsewhere"
                )),
                _ => Ok(()),
            },
        }
    }

    /// Reads what the text of a field says as JSON.
    fn read_json(&mut self, record: u32, name: &str) -> Result<(), String> {
        let shape = self.peek(record, name).map(|field| field.shape);
        let shape = shape.ok_or_else(|| format!("it has no field {name} to be read as JSON"))?;
        let read = match self.program.shapes[shape as usize] {
            Shape::Text => self.push(Shape::Json),
            Shape::Nullable { null, other }
                if matches!(self.program.shapes[other as usize], Shape::Text) =>
            {
                let other = self.push(Shape::Json);
                self.push(Shape::Nullable { null, other })
            }
            _ => return Err(format!("{name} is no text and cannot be read as JSON")),
        };
        if let Some(field) = self.field(record, name) {
            field.shape = read;
        }
        // What is no text any more cannot be read together with others.
        if let Shape::Record(record) = &mut self.program.shapes[record as usize] {
            for field in &mut record.fields {
                field.texts = 0;
            }
        }
        Ok(())
    }

    /// Leaves out a field whose name the event needs for another. One that an event's field is taken
    /// from within stays: of two fields of a name, the last counts.
    fn hide(&mut self, record: u32, name: &str) {
        let shape = self.peek(record, name).map(|field| field.shape);
        let is_needed = shape.is_some_and(|shape| self.has_slots(shape));
        if let Some(field) = self.field(record, name)
            && field.slots.is_empty()
            && !is_needed
        {
            field.fate = Fate::Hidden;
        }
    }

    fn has_slots(&self, shape: u32) -> bool {
        if (shape as usize) < self.original {
            return false;
        }
        match &self.program.shapes[shape as usize] {
            Shape::Record(record) => (record.fields)
                .iter()
                .any(|field| !field.slots.is_empty() || self.has_slots(field.shape)),
            Shape::Nullable { other, .. } => self.has_slots(*other),
            Shape::Union(variants) => variants.iter().any(|variant| self.has_slots(*variant)),
            _ => false,
        }
    }

    fn peek(&self, record: u32, name: &str) -> Option<&Field> {
        let Shape::Record(record) = &self.program.shapes[record as usize] else {
            return None;
        };
        (record.fields)
            .iter()
            .find(|field| self.program.name(field.name) == name)
    }

    fn field(&mut self, record: u32, name: &str) -> Option<&mut Field> {
        let names = Arc::clone(&self.program.names);
        let Shape::Record(record) = &mut self.program.shapes[record as usize] else {
            return None;
        };
        (record.fields)
            .iter_mut()
            .find(|field| names[field.name.start as usize..field.name.end as usize] == *name)
    }

    fn copy(&mut self, shape: u32) -> u32 {
        let shape = self.program.shapes[shape as usize].clone();
        self.push(shape)
    }

    fn push(&mut self, shape: Shape) -> u32 {
        self.program.shapes.push(shape);
        u32::try_from(self.program.shapes.len() - 1).expect("a program has few shapes")
    }

    fn name(&mut self, name: &str) -> Name {
        let place = |len: usize| u32::try_from(len).expect("a program has few names");
        let start = place(self.names.len());
        self.names.push_str(name);
        Name {
            start,
            end: place(self.names.len()),
        }
    }
}
