//! The fields of documents that someone asks for.

use crate::hash::hash;

/// Fields of documents as a tree of names. Each has a number, so that what is known of it stands in an
/// array.
///
/// An array has no number of its own: its elements stand at the path of the array.
#[derive(Debug, Clone)]
pub struct Paths {
    /// By number. The first is the document itself.
    fields: Vec<Field>,
    names: String,
    /// Numbers of fields by the hash of parent and name, with some bits of the hash; open addressing with
    /// linear probing, a power of two of places, at most half of them taken.
    places: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Field {
    parent: PathId,
    name_start: u32,
    name_end: u32,
    wanted: bool,
    inner: bool,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    tag: u32,
    id: PathId,
}

/// The number of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(u32);

impl PathId {
    /// The document itself.
    pub const ROOT: Self = Self(0);

    /// The number.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The number as an index.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self::new()
    }
}

impl Paths {
    /// No fields but the document itself.
    pub fn new() -> Self {
        let document = Field {
            parent: PathId::ROOT,
            name_start: 0,
            name_end: 0,
            wanted: false,
            inner: false,
        };
        Self {
            fields: vec![document],
            names: String::new(),
            places: vec![Place::EMPTY; 16],
        }
    }

    /// The number of a field of `parent`, a new one if need be.
    ///
    /// # Panics
    /// At 2³² fields or 4 GiB of names.
    pub fn add(&mut self, parent: PathId, name: &str) -> PathId {
        if let Some(known) = self.find(parent, name) {
            return known;
        }
        let number = |index: usize| u32::try_from(index).expect("fewer than 2³² fields and bytes");
        let id = PathId(number(self.fields.len()));
        let name_start = number(self.names.len());
        self.names.push_str(name);
        self.fields.push(Field {
            parent,
            name_start,
            name_end: number(self.names.len()),
            wanted: false,
            inner: false,
        });
        self.fields[parent.index()].inner = true;
        if self.fields.len() * 2 > self.places.len() {
            self.grow();
        } else {
            self.place(id);
        }
        id
    }

    /// Asks for the values of a field.
    pub fn want(&mut self, id: PathId) {
        self.fields[id.index()].wanted = true;
    }

    /// The number of a field of `parent`, if it is known.
    #[inline]
    pub fn find(&self, parent: PathId, name: &str) -> Option<PathId> {
        let hash = hash(parent.0, name.as_bytes());
        let mask = self.places.len() - 1;
        let mut at = start(hash) & mask;
        loop {
            let place = self.places[at];
            if place.is_empty() {
                return None;
            }
            if place.tag == tag(hash) && self.is(place.id, parent, name) {
                return Some(place.id);
            }
            at = (at + 1) & mask;
        }
    }

    /// Whether the values of a field are asked for.
    #[inline]
    pub fn is_wanted(&self, id: PathId) -> bool {
        self.fields[id.index()].wanted
    }

    /// Whether fields of a field are known.
    #[inline]
    pub fn is_inner(&self, id: PathId) -> bool {
        self.fields[id.index()].inner
    }

    /// The object whose field it is; of the document, itself.
    pub fn parent(&self, id: PathId) -> PathId {
        self.fields[id.index()].parent
    }

    /// How many numbers there are, the document's included.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether no field is known.
    pub fn is_empty(&self) -> bool {
        self.fields.len() <= 1
    }

    fn name(&self, id: PathId) -> &str {
        let field = &self.fields[id.index()];
        &self.names[field.name_start as usize..field.name_end as usize]
    }

    fn is(&self, id: PathId, parent: PathId, name: &str) -> bool {
        self.fields[id.index()].parent == parent && self.name(id) == name
    }

    fn grow(&mut self) {
        self.places = vec![Place::EMPTY; self.places.len() * 2];
        for id in 1..self.fields.len() {
            self.place(PathId(u32::try_from(id).expect("it was one before")));
        }
    }

    fn place(&mut self, id: PathId) {
        let hash = hash(self.fields[id.index()].parent.0, self.name(id).as_bytes());
        let mask = self.places.len() - 1;
        let mut at = start(hash) & mask;
        while !self.places[at].is_empty() {
            at = (at + 1) & mask;
        }
        self.places[at] = Place { tag: tag(hash), id };
    }
}

impl Place {
    const EMPTY: Self = Self {
        tag: 0,
        id: PathId::ROOT,
    };

    /// The document itself is no field of any.
    #[inline]
    fn is_empty(self) -> bool {
        self.id == PathId::ROOT
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits")]
#[inline]
fn start(hash: u64) -> usize {
    hash as usize
}

#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_parent_and_its_name() {
        let mut paths = Paths::new();
        assert!(paths.is_empty());
        let payload = paths.add(PathId::ROOT, "payload");
        let amount = paths.add(payload, "amount");
        let top_amount = paths.add(PathId::ROOT, "amount");
        assert_eq!(paths.add(payload, "amount"), amount);
        assert_ne!(top_amount, amount);
        assert_eq!(paths.find(payload, "amount"), Some(amount));
        assert_eq!(paths.find(amount, "amount"), None);
        assert_eq!(paths.find(payload, "amoun"), None);
        assert_eq!(paths.parent(amount), payload);
        paths.want(amount);
        assert!(paths.is_wanted(amount) && !paths.is_wanted(payload));
        assert!(paths.is_inner(payload) && !paths.is_inner(amount));
    }

    #[test]
    fn many_fields_keep_their_numbers() {
        let mut paths = Paths::new();
        let name = |n: usize| format!("field-{n}");
        let added: Vec<_> = (0..10_000)
            .map(|n| paths.add(PathId::ROOT, &name(n)))
            .collect();
        assert_eq!(paths.len(), 10_001);
        for (n, id) in added.into_iter().enumerate() {
            assert_eq!(id.index(), n + 1);
            assert_eq!(paths.find(PathId::ROOT, &name(n)), Some(id));
        }
        assert_eq!(paths.find(PathId::ROOT, ""), None);
        let empty = paths.add(PathId::ROOT, "");
        assert_eq!(paths.find(PathId::ROOT, ""), Some(empty));
    }
}
