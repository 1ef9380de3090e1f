//! Writes a document's tape from something that is not JSON.

use std::sync::Arc;

use super::{Document, DocumentError, Entry, Envelope};
use crate::Number;

/// Writes one document, in place of what was there. Whoever uses it bounds depth and size.
///
/// Until [`Writer::finish`] the tape is unfinished; a writer that is dropped before leaves `null`.
pub(crate) struct Writer<'d> {
    document: &'d mut Document,
    finished: bool,
}

impl<'d> Writer<'d> {
    /// Begins a document whose names are parts of `names`.
    pub(crate) fn begin(document: &'d mut Document, names: &Arc<str>) -> Self {
        document.clear();
        let known = document.names.as_ref();
        if known.is_none_or(|known| !Arc::ptr_eq(known, names)) {
            document.names = Some(Arc::clone(names));
        }
        Self {
            document,
            finished: false,
        }
    }

    /// How many entries there are, and the place of the next.
    pub(crate) fn len(&self) -> u32 {
        self.document.len()
    }

    /// Bytes of text so far.
    pub(crate) fn text_len(&self) -> u32 {
        self.document.text_len()
    }

    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) {
        self.document.entries.push(entry);
    }

    pub(crate) fn number(&mut self, number: Number) {
        self.push(Entry::Number(number));
    }

    #[inline]
    pub(crate) fn string(&mut self, text: &str) {
        self.document.push_string(text);
    }

    /// A string that `write` adds to the text.
    pub(crate) fn written(&mut self, write: impl FnOnce(&mut String)) {
        let entry = self.text(write);
        self.push(entry);
    }

    /// The same, as an entry for another place.
    pub(crate) fn text(&mut self, write: impl FnOnce(&mut String)) -> Entry {
        let start = self.document.text_len();
        write(&mut self.document.text);
        let end = self.document.text_len();
        Entry::String { start, end }
    }

    /// Begins a container, to be ended when its content is written.
    #[inline]
    pub(crate) fn open(&mut self) -> u32 {
        let at = self.document.len();
        self.push(Entry::Null);
        at
    }

    pub(crate) fn end_array(&mut self, at: u32) {
        let after = self.document.len();
        self.set(at, Entry::Array { after });
    }

    pub(crate) fn end_object(&mut self, at: u32) {
        let after = self.document.len();
        self.set(at, Entry::Object { after });
    }

    /// A place to come [`Writer::back_to`].
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.document.entries.len(), self.document.text.len())
    }

    /// Takes back what was written since the mark.
    pub(crate) fn back_to(&mut self, (entries, text): (usize, usize)) {
        self.document.entries.truncate(entries);
        self.document.text.truncate(text);
    }

    /// The value of a JSON text.
    pub(crate) fn json(&mut self, text: &str, depth_left: u32) -> Result<(), DocumentError> {
        self.document.push_json(text, depth_left)
    }

    pub(crate) fn entry(&self, at: u32) -> Entry {
        self.document.entries[at as usize]
    }

    pub(crate) fn set(&mut self, at: u32, entry: Entry) {
        self.document.entries[at as usize] = entry;
    }

    /// Ends the document.
    pub(crate) fn finish(mut self, envelope: Option<Envelope>) {
        self.document.envelope = envelope;
        self.finished = true;
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.document.clear();
        }
    }
}
