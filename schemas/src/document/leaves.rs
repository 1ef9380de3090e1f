//! The values of a document that someone asks for.

use super::{Document, Fields, Node, Value};
use crate::paths::{PathId, Paths};

/// The values of one document after the other at the fields of some [`Paths`], in the order of the
/// document, and where it has arrays. Its memory is used again.
#[derive(Debug, Default, Clone)]
pub struct Leaves {
    found: Vec<Leaf>,
    /// Paths at which the document has an array, each once.
    arrays: Vec<PathId>,
    /// By path: the object in which the field was last seen; in a document that repeats names, where.
    seen: Vec<u64>,
    /// By path: the document in which an array was last seen there.
    array_seen: Vec<u64>,
    /// Counts objects and documents, and never begins anew: what was noted of others does not count.
    objects: u64,
    document: u64,
    is_repeated: bool,
}

/// A value of a document: neither an array nor an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// The field whose value it is.
    pub path: PathId,
    at: u32,
    /// Whether it belongs to an object that lies in an array, so that the field may have other values in
    /// other elements.
    pub in_element: bool,
}

impl Leaf {
    pub(super) const fn new(path: PathId, at: u32, in_element: bool) -> Self {
        Self {
            path,
            at,
            in_element,
        }
    }

    /// The value.
    ///
    /// # Panics
    /// May panic, or give another value, if the leaf is of another document.
    #[inline]
    pub fn value(self, document: &Document) -> Value<'_> {
        Node {
            tape: document,
            at: self.at,
        }
        .value()
    }
}

impl Leaves {
    /// Looks for the wanted values of a document. The time is linear in the document, or in what is found if the document
    /// was told to [look for it](Document::look_for).
    pub fn find(&mut self, paths: &Paths, document: &Document) {
        if let Some(found) = document.layout.found(paths) {
            self.found.clone_from(&found.leaves);
            self.arrays.clone_from(&found.arrays);
            return;
        }
        self.begin(paths);
        let root = document.root();
        self.field(paths, root, PathId::ROOT, false);
        if self.is_repeated {
            self.begin(paths);
            self.last(paths, root, PathId::ROOT, false);
        }
    }

    /// What was found.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Leaf> {
        self.found.iter()
    }

    /// One of what was found, by its place in [`Leaves::iter`].
    ///
    /// # Panics
    /// If there is none at that place.
    #[inline]
    pub fn get(&self, at: usize) -> Leaf {
        self.found[at]
    }

    /// The paths at which the document has an array. What lies below it has no single value.
    pub fn arrays(&self) -> &[PathId] {
        &self.arrays
    }

    fn begin(&mut self, paths: &Paths) {
        self.found.clear();
        self.arrays.clear();
        self.is_repeated = false;
        self.document += 1;
        if self.seen.len() < paths.len() {
            self.seen.resize(paths.len(), 0);
            self.array_seen.resize(paths.len(), 0);
        }
    }

    fn field(&mut self, paths: &Paths, node: Node<'_>, path: PathId, in_element: bool) {
        match node.value() {
            Value::Object(fields) if paths.is_inner(path) => {
                self.object(paths, fields, path, in_element);
            }
            Value::Object(_) => {}
            Value::Array(elements) => {
                self.note_array(path);
                for element in elements {
                    let in_element = in_element || element.is_object();
                    self.field(paths, element, path, in_element);
                }
            }
            _ => self.value(paths, node, path, in_element),
        }
    }

    fn value(&mut self, paths: &Paths, node: Node<'_>, path: PathId, in_element: bool) {
        if paths.is_wanted(path) {
            self.found.push(Leaf::new(path, node.at, in_element));
        }
    }

    fn object(&mut self, paths: &Paths, fields: Fields<'_>, path: PathId, in_element: bool) {
        self.objects += 1;
        let this = self.objects;
        for (name, value) in fields {
            let Some(child) = paths.find(path, name) else {
                continue;
            };
            let seen = &mut self.seen[child.index()];
            self.is_repeated |= *seen == this;
            *seen = this;
            self.field(paths, value, child, in_element);
        }
    }

    fn note_array(&mut self, path: PathId) {
        let seen = &mut self.array_seen[path.index()];
        if *seen != self.document {
            *seen = self.document;
            self.arrays.push(path);
        }
    }

    /// The same for documents that repeat names in an object, of which the last counts.
    fn last(&mut self, paths: &Paths, node: Node<'_>, path: PathId, in_element: bool) {
        match node.value() {
            Value::Object(fields) => {
                // Whatever lies below has other paths, so these notes stay until they are used.
                let known = |name| paths.find(path, name);
                for (name, value) in fields.clone() {
                    if let Some(child) = known(name) {
                        self.seen[child.index()] = u64::from(value.at);
                    }
                }
                for (name, value) in fields {
                    if let Some(child) = known(name)
                        && self.seen[child.index()] == u64::from(value.at)
                    {
                        self.last(paths, value, child, in_element);
                    }
                }
            }
            Value::Array(elements) => {
                self.note_array(path);
                for element in elements {
                    let in_element = in_element || element.is_object();
                    self.last(paths, element, path, in_element);
                }
            }
            _ => self.value(paths, node, path, in_element),
        }
    }
}
