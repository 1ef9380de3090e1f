//! Where the schema registry is, and where upstream's own records keep what an event has.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;
use schemas::avro::EventMapping;

use crate::settings::Secret;

/// Where the schema registry is.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Schema registry")]
pub struct RegistrySettings {
    /// Schema registry (Confluent's API), several with commas, tried in turn. With it documents are
    /// written as Avro, without it as JSON
    #[arg(
        long = "schema-registry-url",
        env = "SCHEMA_REGISTRY_URL",
        value_delimiter = ',',
        value_parser = url
    )]
    pub urls: Vec<String>,

    /// User to log in as, such as an API key
    #[arg(
        id = "registry_user",
        long = "schema-registry-user",
        env = "SCHEMA_REGISTRY_USER",
        requires = "registry_password"
    )]
    pub user: Option<String>,

    /// Password of that user; better given by the environment than by a flag
    #[arg(
        id = "registry_password",
        long = "schema-registry-password",
        env = "SCHEMA_REGISTRY_PASSWORD",
        hide_env_values = true
    )]
    pub password: Option<Secret>,
}

fn url(text: &str) -> Result<String, String> {
    let url: reqwest::Url = text.parse().map_err(|error| format!("{error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("write http:// or https:// and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("give the user as SCHEMA_REGISTRY_USER: a URL is printed".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a query or a fragment has no place here".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A mapping of upstream's own records, read from its file where settings are read.
#[derive(Clone, Default)]
pub struct MappingFile(Arc<EventMapping>);

impl MappingFile {
    /// What the file says.
    pub fn mapping(&self) -> Arc<EventMapping> {
        Arc::clone(&self.0)
    }
}

impl FromStr for MappingFile {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        let mapping = EventMapping::parse(&text).map_err(|error| format!("{path}: {error}"))?;
        Ok(Self(Arc::new(mapping)))
    }
}

impl fmt::Debug for MappingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        registry: RegistrySettings,
        #[arg(long, default_value = "", value_parser = |_: &str| Ok::<_, String>(()))]
        unused: (),
    }

    fn parse(arguments: &[&str]) -> Result<RegistrySettings, String> {
        Arguments::try_parse_from([&["test"], arguments].concat())
            .map(|arguments| arguments.registry)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn several_registries_are_named_with_commas_and_no_password_is_in_a_url() {
        assert!(parse(&[]).unwrap().urls.is_empty());
        let settings = parse(&["--schema-registry-url", "http://a:8081/,https://b/x"]).unwrap();
        assert_eq!(settings.urls, ["http://a:8081", "https://b/x"]);
        for (url, expected) in [
            ("a:8081", "write http:// or https://"),
            ("http://", "empty host"),
            ("http://ada:secret@a", "SCHEMA_REGISTRY_USER"),
            ("http://a?b=c", "no place here"),
        ] {
            let error = parse(&["--schema-registry-url", url]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let error = parse(&["--schema-registry-user", "ada"]).unwrap_err();
        assert!(error.contains("--schema-registry-password"), "{error}");
    }

    #[test]
    fn a_mapping_is_read_from_its_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(
            file,
            r#"[{{"record": "shop.Order", "event_id": "number"}}]"#
        )
        .unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let mapping: MappingFile = path.parse().unwrap();
        assert_eq!(mapping.mapping().len(), 1);
        write!(file, "x").unwrap();
        let error = path.parse::<MappingFile>().unwrap_err();
        assert!(error.contains("the event mapping is broken"), "{error}");
        assert!(
            "/nowhere"
                .parse::<MappingFile>()
                .unwrap_err()
                .contains("/nowhere")
        );
    }
}
