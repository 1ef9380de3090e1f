//! Writes a document's tape from something that is not JSON.

use std::sync::Arc;

use super::{Document, DocumentError, Entry, Envelope, Name};

/// Writes one document, in place of what was there. Whoever uses it bounds depth and size.
///
/// Until [`Writer::finish`] the tape is unfinished; a writer that is dropped before leaves `null`.
pub(crate) struct Writer<'d> {
    document: &'d mut Document,
    finished: bool,
}

impl<'d> Writer<'d> {
    /// Begins a document whose names are parts of `names`, and the names of whose records' fields are
    /// among `keys`.
    pub(crate) fn begin(document: &'d mut Document, names: &Arc<str>, keys: &Arc<[Name]>) -> Self {
        document.clear();
        let is_same = (document.names.as_ref()).is_some_and(|known| Arc::ptr_eq(known, names));
        if !is_same {
            document.names = Some(Arc::clone(names));
            document.keys = Some(Arc::clone(keys));
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

    /// Keeps a text; its entry is for whoever asked.
    #[inline]
    pub(crate) fn string(&mut self, text: &str) -> Entry {
        self.text(|all| all.push_str(text))
    }

    /// Keeps a text that `write` adds; its entry is for whoever asked.
    #[inline]
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

    /// Ends a container that has only values: their names begin at that place of the keys.
    pub(crate) fn end_record(&mut self, at: u32, keys: u32) {
        let after = self.document.len();
        self.set(at, Entry::Record { after, keys });
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
