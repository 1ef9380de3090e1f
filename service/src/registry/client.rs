//! Asks a registry, with `schema_registry_converter`; its caches are not used, for they keep an error until
//! they are told to forget it, and decoders read bytes themselves.

use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::{RequestBuilder, StatusCode};
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_all_versions, get_schema_by_guid, get_schema_by_id,
    get_schema_by_subject_and_version, is_compatible_schema, perform_sr_call, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RawError, RegisteredReference, SchemaType, SrCall, SuppliedSchema,
};
use schemas::avro::{Program, Refusal, SchemaId};
use schemas::reader::{Form, KnownSchema};
use serde_json::{Value as Json, json};

use super::RegistrySettings;
use crate::settings::Secret;

/// Longest time for an answer. A registry that takes longer is away.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Schemas that one refers to, directly or not.
const MAX_REFERENCES: usize = 64;

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Error codes of the registry's API.
const SCHEMA_NOT_FOUND: u32 = 40403;
const NOT_FOUND: [u32; 3] = [40401, 40402, SCHEMA_NOT_FOUND];

/// Why a registry gave no answer that helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It has no such thing. Asked again, it will say so again.
    #[error("the schema registry has none")]
    NotFound,
    /// It does not answer, or not as a registry does: asked again, it may.
    #[error("the schema registry cannot be asked: {0}")]
    Away(String),
    /// It understood and refused.
    #[error("the schema registry refuses: {0}")]
    Refused(String),
    /// The schema is there, and values are not read with it.
    #[error(transparent)]
    Unusable(#[from] Refusal),
}

/// A client of a registry, or of several that hold the same.
#[derive(Debug, Clone)]
pub struct Client {
    calls: SrSettings,
    http: reqwest::Client,
    settings: RegistrySettings,
}

impl Client {
    /// A client of the registries in the settings.
    ///
    /// # Errors
    /// The system's certificate authorities cannot be read, or no registry is named.
    pub fn new(settings: &RegistrySettings) -> anyhow::Result<Self> {
        let Some((first, further)) = settings.urls.split_first() else {
            anyhow::bail!("SCHEMA_REGISTRY_URL is not set; give the URL of the schema registry");
        };
        let mut builder = SrSettings::new_builder(first.clone());
        for url in further {
            builder.add_url(url.clone());
        }
        if let Some(user) = &settings.user {
            let password = settings.password.as_ref().map(Secret::reveal);
            builder.set_basic_authorization(user, password);
        }
        builder.set_timeout(TIMEOUT);
        Ok(Self {
            calls: builder.build_with(crate::http::client::builder())?,
            http: crate::http::client::client(TIMEOUT)?,
            settings: settings.clone(),
        })
    }

    /// A schema as values are read with it, with those that it refers to.
    ///
    /// # Errors
    /// See [`RegistryError`]; [`RegistryError::NotFound`] only if the registry says so itself.
    pub async fn known(
        &self,
        id: SchemaId,
        with_subjects: bool,
    ) -> Result<KnownSchema, RegistryError> {
        let found = match id {
            SchemaId::Number(id) => get_schema_by_id(id, &self.calls).await,
            SchemaId::Guid(guid) => get_schema_by_guid(&hyphenated(guid), &self.calls).await,
        };
        let schema = found.map_err(|error| lookup_error(id, &error))?;
        let form = match &schema.schema_type {
            SchemaType::Json => Form::Json,
            SchemaType::Avro => {
                let mut references = Vec::new();
                self.references(schema.references, &mut references).await?;
                let texts: Vec<&str> = references.iter().map(|known| &*known.text).collect();
                Form::Avro(Program::admit(&schema.schema, &texts)?)
            }
            other => return Err(Refusal::Kind(format!("{other:?}").to_lowercase()).into()),
        };
        let subjects = match id {
            SchemaId::Number(id) if with_subjects => self.subjects(id).await?,
            _ => schema.subject.into_iter().collect(),
        };
        Ok(KnownSchema { form, subjects })
    }

    /// Fetches what a schema refers to, each once. Schemas cannot refer to one another in a circle, but a
    /// registry might say so: the number is bounded.
    fn references<'a>(
        &'a self,
        wanted: Vec<RegisteredReference>,
        found: &'a mut Vec<Reference>,
    ) -> BoxFuture<'a, Result<(), RegistryError>> {
        Box::pin(async move {
            for RegisteredReference {
                subject, version, ..
            } in wanted
            {
                let is_same =
                    |known: &Reference| known.subject == subject && known.version == version;
                if found.iter().any(is_same) {
                    continue;
                }
                if found.len() >= MAX_REFERENCES {
                    let why = format!("it refers to more than {MAX_REFERENCES} schemas");
                    return Err(Refusal::Broken(why).into());
                }
                let calls = &self.calls;
                let inner = get_schema_by_subject_and_version(calls, &subject, Some(version)).await;
                let inner = inner.map_err(|error| passing(&error))?;
                found.push(Reference {
                    subject,
                    version,
                    text: inner.schema,
                });
                self.references(inner.references, found).await?;
            }
            Ok(())
        })
    }

    /// The subjects that a schema is registered under.
    async fn subjects(&self, id: u32) -> Result<Vec<String>, RegistryError> {
        let answer = self.get(&format!("/schemas/ids/{id}/subjects")).await?;
        serde_json::from_value(answer).map_err(|error| RegistryError::Away(error.to_string()))
    }

    /// The id that a schema has under a subject, if it is registered there.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn id_of(&self, subject: &str, schema: &str) -> Result<Option<u32>, RegistryError> {
        let body = json!({ "schema": schema }).to_string();
        match perform_sr_call(&self.calls, SrCall::PostForVersion(subject, &body)).await {
            Ok(found) => match found.id {
                Some(id) => Ok(Some(id)),
                None => Err(RegistryError::Away("its answer has no id".to_owned())),
            },
            Err(error) if code(&error).is_some_and(|code| NOT_FOUND.contains(&code)) => Ok(None),
            Err(error) => Err(passing(&error)),
        }
    }

    /// All versions of a subject with their schemas, oldest first; none if there is no such subject.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn versions(&self, subject: &str) -> Result<Vec<(u32, String)>, RegistryError> {
        let mut numbers = match get_all_versions(&self.calls, subject.to_owned()).await {
            Ok(numbers) => numbers,
            Err(error) if code(&error).is_some_and(|code| NOT_FOUND.contains(&code)) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(passing(&error)),
        };
        numbers.sort_unstable();
        let mut versions = Vec::with_capacity(numbers.len());
        for number in numbers {
            let version =
                get_schema_by_subject_and_version(&self.calls, subject, Some(number)).await;
            let version = version.map_err(|error| passing(&error))?;
            versions.push((number, version.schema));
        }
        Ok(versions)
    }

    /// Whether the registry itself takes a schema as a subject's next version.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn accepts(&self, subject: &str, schema: &str) -> Result<bool, RegistryError> {
        is_compatible_schema(&self.calls, subject.to_owned(), supplied(schema))
            .await
            .map_err(|error| passing(&error))
    }

    /// Registers a schema and tells its id.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let registered = post_schema(&self.calls, subject.to_owned(), supplied(schema)).await;
        registered.map(|schema| schema.id).map_err(|error| {
            // 409 and 422: incompatible, or no schema.
            match code(&error) {
                Some(code @ (409 | 40901 | 42201)) => {
                    RegistryError::Refused(format!("{code}: {}", cause(&error)))
                }
                _ => passing(&error),
            }
        })
    }

    /// The level of compatibility that is set for a subject itself.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn level(&self, subject: &str) -> Result<Option<String>, RegistryError> {
        let path = format!("/config/{}?defaultToGlobal=false", escaped(subject));
        match self.get(&path).await {
            Ok(answer) => Ok(answer["compatibilityLevel"].as_str().map(str::to_owned)),
            Err(RegistryError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the level of compatibility of a subject.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn set_level(&self, subject: &str, level: &str) -> Result<(), RegistryError> {
        let path = format!("/config/{}", escaped(subject));
        let body = json!({ "compatibility": level }).to_string();
        self.each(|url| {
            let request = self.http.put(format!("{url}{path}"));
            request
                .header("content-type", CONTENT_TYPE)
                .body(body.clone())
        })
        .await
        .map(|_| ())
    }

    async fn get(&self, path: &str) -> Result<Json, RegistryError> {
        self.each(|url| self.http.get(format!("{url}{path}"))).await
    }

    /// Asks one registry after the other until one answers.
    async fn each(&self, ask: impl Fn(&str) -> RequestBuilder) -> Result<Json, RegistryError> {
        let mut result = Err(RegistryError::NotFound);
        for url in &self.settings.urls {
            result = self.ask(ask(url)).await;
            if !matches!(result, Err(RegistryError::Away(_))) {
                break;
            }
        }
        result
    }

    async fn ask(&self, mut request: RequestBuilder) -> Result<Json, RegistryError> {
        if let Some(user) = &self.settings.user {
            let password = self.settings.password.as_ref();
            request = request.basic_auth(user, password.map(Secret::reveal));
        }
        let away = |error: reqwest::Error| RegistryError::Away(error.to_string());
        let answer = request
            .header("accept", CONTENT_TYPE)
            .send()
            .await
            .map_err(away)?;
        let status = answer.status();
        let text = answer.text().await.map_err(away)?;
        if status == StatusCode::NOT_FOUND {
            return Err(RegistryError::NotFound);
        }
        if !status.is_success() {
            let start: String = text.chars().take(200).collect();
            return Err(RegistryError::Away(format!("{status}: {start}")));
        }
        serde_json::from_str(&text).map_err(|error| RegistryError::Away(error.to_string()))
    }
}

/// A schema that another refers to.
struct Reference {
    subject: String,
    version: u32,
    text: String,
}

fn supplied(schema: &str) -> SuppliedSchema {
    SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned())
}

/// A subject within a path.
fn escaped(subject: &str) -> String {
    subject.replace('%', "%25").replace('/', "%2F")
}

/// Why a lookup failed. Only the registry's own word that there is no such schema is for good: a proxy's
/// page for what it cannot find is not. A registry that knows no GUIDs says so with another code.
fn lookup_error(id: SchemaId, error: &SRCError) -> RegistryError {
    match (id, code(error)) {
        (_, Some(SCHEMA_NOT_FOUND)) | (SchemaId::Guid(_), Some(404)) => RegistryError::NotFound,
        _ => passing(error),
    }
}

fn passing(error: &SRCError) -> RegistryError {
    RegistryError::Away(format!("{}: {}", error.error, cause(error)))
}

fn cause(error: &SRCError) -> &str {
    error.cause.as_deref().unwrap_or("no cause given")
}

/// The registry's own code, if it answered with one.
fn code(error: &SRCError) -> Option<u32> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref().map(|raw: &RawError| raw.error_code)
}

fn hyphenated(guid: [u8; 16]) -> String {
    let hex = crate::hex::encode(&guid);
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}
