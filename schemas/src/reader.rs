//! Reads documents in whatever form they come: JSON, or Avro with a schema of a registry.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::avro::wire::{Framed, frame};
use crate::avro::{self, AvroError, EventMapping, EventPlan, Program, SchemaId};
use crate::document::MAX_DEPTH;
use crate::{
    Campaign, CampaignChange, CampaignError, ChangeError, DeadLetterReason, Document, Limits,
    Match, MatchError,
};

/// Where schemas are found. Answers at once: whoever does not know a schema begins to ask for it and
/// says [`Found::Waiting`] meanwhile.
pub trait SchemaSource: Send + Sync {
    /// The schema of that id.
    fn find(&self, id: SchemaId) -> Found;
}

/// What is known of a schema.
#[derive(Debug, Clone)]
pub enum Found {
    /// It is there.
    Known(Arc<KnownSchema>),
    /// It is there, but values are not read with it.
    Unusable(Arc<str>),
    /// The registry says that there is none.
    Unknown,
    /// The registry has not answered yet: ask again later.
    Waiting,
}

/// A schema of a registry.
#[derive(Debug)]
pub struct KnownSchema {
    /// How values are written with it.
    pub form: Form,
    /// Subjects that it is registered under, if they were asked for.
    pub subjects: Vec<String>,
}

/// How values are written with a schema.
#[derive(Debug)]
pub enum Form {
    /// As Avro.
    Avro(Program),
    /// As JSON, after the same prefix (Confluent's serializer for JSON Schema).
    Json,
}

/// A value as it stands in a record.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    /// The record's value.
    pub value: &'a [u8],
    /// The record's header [`crate::names::header::VALUE_SCHEMA_ID`]; of several, the last.
    pub schema_header: Option<&'a [u8]>,
}

impl<'a> Encoded<'a> {
    /// A value without headers.
    pub const fn plain(value: &'a [u8]) -> Self {
        Self {
            value,
            schema_header: None,
        }
    }

    /// The schema that the value says it was written with; none for plain JSON, and for what nobody knows.
    ///
    /// # Errors
    /// It begins to name a schema and does not.
    pub fn schema(&self) -> Result<Option<SchemaId>, AvroError> {
        match frame(self.value, self.schema_header)? {
            Framed::Plain(_) => Ok(None),
            Framed::Schema { id, .. } => Ok(Some(id)),
        }
    }
}

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread<E> {
    /// The schema is not known yet: try again later. Never a reason for a dead letter.
    #[error("the schema with {0} is not known yet; the schema registry is asked")]
    Waiting(SchemaId),
    /// Nobody will ever read this.
    #[error(transparent)]
    Never(E),
}

impl<E> Unread<E> {
    fn map<T>(self, map: impl FnOnce(E) -> T) -> Unread<T> {
        match self {
            Self::Waiting(id) => Unread::Waiting(id),
            Self::Never(error) => Unread::Never(map(error)),
        }
    }
}

impl From<AvroError> for Unread<AvroError> {
    fn from(error: AvroError) -> Self {
        Self::Never(error)
    }
}

impl From<DeadLetterReason> for Unread<DeadLetterReason> {
    fn from(reason: DeadLetterReason) -> Self {
        Self::Never(reason)
    }
}

/// Reads documents. Owned by one thread; keeps what it has learnt of schemas, so that a known one costs
/// no lock.
#[derive(Default)]
pub struct Reader {
    source: Option<Arc<dyn SchemaSource>>,
    mapping: Arc<EventMapping>,
    known: HashMap<SchemaId, Arc<Plan>>,
    /// The schema that was used last: most topics have few.
    last: Option<(SchemaId, Arc<Plan>)>,
    document: Document,
}

/// How values of one schema are read.
struct Plan {
    schema: Arc<KnownSchema>,
    event: Option<EventPlan>,
}

/// So many schemas are kept; whoever brings more has them looked up again.
const KEPT: usize = 1_024;

/// Bounds of our own documents: what Kafka takes from us, and what any limit allows.
const LIMITS: Limits = Limits {
    max_bytes: 16 * 1024 * 1024,
    max_depth: MAX_DEPTH,
};

impl Reader {
    /// A reader of plain JSON, that has no registry to ask for schemas.
    pub fn json() -> Self {
        Self::default()
    }

    /// A reader of JSON and of Avro with the schemas of a source. `mapping` is for events.
    pub fn new(source: Arc<dyn SchemaSource>, mapping: Arc<EventMapping>) -> Self {
        Self {
            source: Some(source),
            mapping,
            ..Self::default()
        }
    }

    /// Whether headers of records matter: without a source of schemas they need not be looked at.
    pub fn takes_headers(&self) -> bool {
        self.source.is_some()
    }

    /// Whether there is an answer for a schema that was waited for, be it that there is no such schema.
    pub fn has_answer(&self, id: SchemaId) -> bool {
        let source = self.source.as_ref();
        source.is_none_or(|source| !matches!(source.find(id), Found::Waiting))
    }

    /// Reads the value of a record of `events` to a tape.
    ///
    /// # Errors
    /// See [`Unread`]; the document is then `null`.
    pub fn read_event(
        &mut self,
        encoded: Encoded<'_>,
        limits: Limits,
        document: &mut Document,
    ) -> Result<(), Unread<DeadLetterReason>> {
        let never = |error: AvroError| Unread::Never(DeadLetterReason::Avro(error));
        match self.frame(encoded).map_err(never)? {
            Framed::Plain(value) => read_json(value, limits, document),
            Framed::Schema { id, body } => {
                let plan = self
                    .plan(id)
                    .map_err(|unread| unread.map(DeadLetterReason::Avro))?;
                match &plan.event {
                    Some(event) => event.read(body, limits, document).map_err(never),
                    None => read_json(body, limits, document),
                }
            }
        }
    }

    /// Reads the value of a record of `campaigns`.
    ///
    /// # Errors
    /// See [`Unread`]; the last good version stays in force.
    pub fn read_campaign(
        &mut self,
        encoded: Encoded<'_>,
    ) -> Result<Campaign, Unread<CampaignError>> {
        match self.decode(encoded) {
            Ok(Decoded::Json(json)) => Campaign::from_json(json).map_err(Unread::Never),
            Ok(Decoded::Avro) => avro::read::campaign(&self.document).map_err(Unread::Never),
            Err(unread) => Err(unread.map(CampaignError::Avro)),
        }
    }

    /// Reads the value of a record of `campaign-changes`.
    ///
    /// # Errors
    /// See [`Unread`].
    pub fn read_change(
        &mut self,
        encoded: Encoded<'_>,
    ) -> Result<CampaignChange, Unread<ChangeError>> {
        match self.decode(encoded) {
            Ok(Decoded::Json(json)) => serde_json::from_slice(json)
                .map_err(|error| Unread::Never(ChangeError::new(error.to_string()))),
            Ok(Decoded::Avro) => avro::read::change(&self.document).map_err(Unread::Never),
            Err(unread) => Err(unread.map(|error| ChangeError::new(error.to_string()))),
        }
    }

    /// Reads the value of a record of `matches`.
    ///
    /// # Errors
    /// See [`Unread`]: no release of ours wrote this, or its schema is not known yet.
    pub fn read_match(
        &mut self,
        encoded: Encoded<'_>,
    ) -> Result<Match<'static>, Unread<DeadLetterReason>> {
        let never = |error: MatchError| Unread::Never(DeadLetterReason::NotAMatch(error));
        match self.decode(encoded) {
            Ok(Decoded::Json(json)) => serde_json::from_slice(json)
                .map_err(|error| never(MatchError::new(error.to_string()))),
            Ok(Decoded::Avro) => avro::read::won(&self.document).map_err(never),
            Err(unread) => Err(unread.map(DeadLetterReason::Avro)),
        }
    }

    fn frame<'a>(&self, encoded: Encoded<'a>) -> Result<Framed<'a>, AvroError> {
        let framed = frame(
            encoded.value,
            encoded.schema_header.filter(|_| self.source.is_some()),
        )?;
        match framed {
            Framed::Schema { id, .. } if self.source.is_none() => {
                Err(AvroError::NoRegistry { schema: id })
            }
            framed => Ok(framed),
        }
    }

    /// Decodes a document of ours to our own tape, if it is not JSON.
    fn decode<'a>(&mut self, encoded: Encoded<'a>) -> Result<Decoded<'a>, Unread<AvroError>> {
        match self.frame(encoded)? {
            Framed::Plain(value) => Ok(Decoded::Json(value)),
            Framed::Schema { id, body } => {
                let plan = self.plan(id)?;
                match &plan.schema.form {
                    Form::Json => Ok(Decoded::Json(body)),
                    Form::Avro(program) => {
                        program.read(body, LIMITS, &mut self.document)?;
                        Ok(Decoded::Avro)
                    }
                }
            }
        }
    }

    fn plan(&mut self, id: SchemaId) -> Result<Arc<Plan>, Unread<AvroError>> {
        if let Some((last, plan)) = &self.last
            && *last == id
        {
            return Ok(Arc::clone(plan));
        }
        let plan = match self.known.get(&id) {
            Some(plan) => Arc::clone(plan),
            None => self.learn(id)?,
        };
        self.last = Some((id, Arc::clone(&plan)));
        Ok(plan)
    }

    fn learn(&mut self, id: SchemaId) -> Result<Arc<Plan>, Unread<AvroError>> {
        let source = self.source.as_ref();
        let source = source.ok_or(AvroError::NoRegistry { schema: id })?;
        let schema = match source.find(id) {
            Found::Known(schema) => schema,
            Found::Waiting => return Err(Unread::Waiting(id)),
            Found::Unknown => return Err(AvroError::UnknownSchema { schema: id }.into()),
            Found::Unusable(why) => {
                let why = why.to_string();
                return Err(AvroError::UnusableSchema { schema: id, why }.into());
            }
        };
        let event = match &schema.form {
            Form::Avro(program) => Some(EventPlan::new(program, &schema.subjects, &self.mapping)),
            Form::Json => None,
        };
        let plan = Arc::new(Plan { schema, event });
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        self.known.insert(id, Arc::clone(&plan));
        Ok(plan)
    }
}

enum Decoded<'a> {
    Json(&'a [u8]),
    /// To the reader's own document.
    Avro,
}

fn read_json(
    value: &[u8],
    limits: Limits,
    document: &mut Document,
) -> Result<(), Unread<DeadLetterReason>> {
    document
        .read(value, limits)
        .map_err(|error| Unread::Never(error.into()))
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("has_source", &self.source.is_some())
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}
