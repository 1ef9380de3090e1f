//! Where spans are sent and which there are, under the names of OpenTelemetry's specification.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use clap::{Args, ValueEnum};

use super::Sampler;
use crate::settings::millis;

/// Traces.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Traces")]
pub struct TraceSettings {
    /// Collector of traces that takes OTLP over HTTP, as `http://collector:4318`; /v1/traces is added. Without it
    /// nothing is exported
    #[arg(
        long = "otlp-endpoint",
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_parser = endpoint
    )]
    pub endpoint: Option<String>,

    /// Its protocol; there is one
    #[arg(
        long = "otlp-protocol",
        env = "OTEL_EXPORTER_OTLP_PROTOCOL",
        default_value = "http/protobuf"
    )]
    pub protocol: Protocol,

    /// Headers of each request to it, such as a token, as key=value, several with commas, values percent-encoded;
    /// better given by the environment than by a flag
    #[arg(
        long = "otlp-headers",
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        hide_env_values = true
    )]
    pub headers: Option<Headers>,

    /// Longest time for it to take spans, in milliseconds
    #[arg(
        id = "otlp_timeout",
        long = "otlp-timeout-ms",
        env = "OTEL_EXPORTER_OTLP_TIMEOUT",
        default_value = "10000",
        value_parser = millis(10..=60_000)
    )]
    pub timeout: Duration,

    /// Name of this service in traces [default: the program's]
    #[arg(long = "otel-service-name", env = "OTEL_SERVICE_NAME")]
    pub service_name: Option<String>,

    /// What else is said of this process, as key=value, several with commas, values percent-encoded
    #[arg(
        long = "otel-resource-attributes",
        env = "OTEL_RESOURCE_ATTRIBUTES",
        default_value = "",
        hide_default_value = true
    )]
    pub resource: Pairs,

    /// Which traces have spans. parentbased: as the caller decided, the rest of the name says what is with traces that
    /// begin here
    #[arg(
        long = "otel-traces-sampler",
        env = "OTEL_TRACES_SAMPLER",
        default_value = "parentbased_always_on"
    )]
    pub sampler: SamplerName,

    /// Part of the traces, 0 to 1, with traceidratio
    #[arg(
        long = "otel-traces-sampler-arg",
        env = "OTEL_TRACES_SAMPLER_ARG",
        default_value = "1",
        value_parser = part
    )]
    pub sampler_arg: f64,

    /// Spans that wait to be sent; further ones are dropped and counted
    #[arg(
        id = "bsp_max_queue_size",
        long = "otel-max-queue-size",
        env = "OTEL_BSP_MAX_QUEUE_SIZE",
        default_value_t = 2048,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub max_queue_size: u32,

    /// How long a span waits for others to be sent along with, in milliseconds
    #[arg(
        id = "bsp_schedule_delay",
        long = "otel-schedule-delay-ms",
        env = "OTEL_BSP_SCHEDULE_DELAY",
        default_value = "5000",
        value_parser = millis(1..=60_000)
    )]
    pub schedule_delay: Duration,
}

impl TraceSettings {
    pub(super) fn queue(&self) -> usize {
        usize::try_from(self.max_queue_size).unwrap_or(usize::MAX)
    }

    pub(super) const fn sampler(&self) -> Sampler {
        let part = self.sampler_arg;
        match self.sampler {
            SamplerName::AlwaysOn => Sampler::ratio(1.0),
            SamplerName::AlwaysOff => Sampler::ratio(0.0),
            SamplerName::TraceIdRatio => Sampler::ratio(part),
            SamplerName::ParentBasedAlwaysOn => Sampler::ratio(1.0).following_parents(),
            SamplerName::ParentBasedAlwaysOff => Sampler::ratio(0.0).following_parents(),
            SamplerName::ParentBasedTraceIdRatio => Sampler::ratio(part).following_parents(),
        }
    }
}

/// How spans are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Protobuf over HTTP.
    #[value(name = "http/protobuf")]
    HttpProtobuf,
}

/// The samplers of OpenTelemetry's specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SamplerName {
    /// All.
    #[value(name = "always_on")]
    AlwaysOn,
    /// None.
    #[value(name = "always_off")]
    AlwaysOff,
    /// A part, by the trace's id.
    #[value(name = "traceidratio")]
    TraceIdRatio,
    /// As the caller; all that begin here.
    #[value(name = "parentbased_always_on")]
    ParentBasedAlwaysOn,
    /// As the caller; none that begins here.
    #[value(name = "parentbased_always_off")]
    ParentBasedAlwaysOff,
    /// As the caller; a part of those that begin here.
    #[value(name = "parentbased_traceidratio")]
    ParentBasedTraceIdRatio,
}

/// Pairs as the specification writes them: `key=value,key=value`, values percent-encoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(pub(super) Vec<(String, String)>);

impl FromStr for Pairs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pairs = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            // No value is repeated in an error: it may be a secret.
            let at = pairs.len() + 1;
            let Some((key, value)) = pair.split_once('=') else {
                return Err(format!("pair {at} has no '='; write key=value"));
            };
            let key = key.trim();
            if key.is_empty() {
                return Err(format!("pair {at} has no key; write key=value"));
            }
            let value = decoded(value.trim()).ok_or_else(|| {
                format!("the value of {key} is not percent-encoded; write % as %25 and , as %2C")
            })?;
            pairs.push((key.to_owned(), value));
        }
        Ok(Self(pairs))
    }
}

/// Headers of requests to the collector, never printed.
#[derive(Clone, Default)]
pub struct Headers(pub(super) Vec<(HeaderName, HeaderValue)>);

impl FromStr for Headers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let header = |(key, value): (String, String)| {
            let name = HeaderName::try_from(&key).map_err(|_| format!("{key} is no header"))?;
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| format!("the value of {key} cannot be that of a header"))?;
            value.set_sensitive(true);
            Ok((name, value))
        };
        let pairs = text.parse::<Pairs>()?.0;
        let headers: Result<_, String> = pairs.into_iter().map(header).collect();
        headers.map(Self)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} headers", self.0.len())
    }
}

/// Percent-decoded; none if it is broken, or no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? << 4 | digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn endpoint(text: &str) -> Result<String, String> {
    let url: reqwest::Url = text.parse().map_err(|error| format!("{error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("write http:// or https:// and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "give credentials as OTEL_EXPORTER_OTLP_HEADERS: an endpoint is printed".to_owned(),
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a query or a fragment has no place here".to_owned());
    }
    Ok(format!("{}/v1/traces", text.trim_end_matches('/')))
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok();
    part.filter(|part| (0.0..=1.0).contains(part))
        .ok_or_else(|| "write a part of all, 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        traces: TraceSettings,
    }

    fn parse(arguments: &[&str]) -> Result<TraceSettings, String> {
        Arguments::try_parse_from([&["test"], arguments].concat())
            .map(|arguments| arguments.traces)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_exported_unless_there_is_an_endpoint() {
        let settings = parse(&[]).unwrap();
        assert_eq!(settings.endpoint, None);
        assert_eq!(settings.sampler(), Sampler::default());
        for text in ["http://collector:4318", "http://collector:4318/"] {
            let settings = parse(&["--otlp-endpoint", text]).unwrap();
            let found = settings.endpoint.as_deref();
            assert_eq!(found, Some("http://collector:4318/v1/traces"));
        }
    }

    #[test]
    fn a_wrong_setting_is_named_with_what_is_allowed_and_no_secret() {
        let cases = [
            (&["--otlp-endpoint", "collector:4318"][..], "write http://"),
            (&["--otlp-endpoint", ""], "relative URL"),
            (
                &["--otlp-endpoint", "http://a:hunter2@b"],
                "OTEL_EXPORTER_OTLP_HEADERS",
            ),
            (&["--otlp-endpoint", "http://a?b"], "no place here"),
            (&["--otlp-protocol", "grpc"], "http/protobuf"),
            (&["--otlp-headers", "hunter2"], "pair 1 has no '='"),
            (&["--otlp-headers", "a=b,=c"], "pair 2 has no key"),
            (&["--otlp-headers", "a b=c"], "a b is no header"),
            (&["--otlp-headers", "a=50%"], "write % as %25"),
            (&["--otlp-headers", "a=%0a"], "cannot be that of a header"),
            (&["--otel-resource-attributes", "x"], "has no '='"),
            (&["--otel-traces-sampler", "some"], "parentbased_always_on"),
            (&["--otel-traces-sampler-arg", "1.5"], "0 to 1"),
            (&["--otel-traces-sampler-arg", "NaN"], "0 to 1"),
            (&["--otel-max-queue-size", "0"], "1..=1000000"),
        ];
        for (arguments, expected) in cases {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn headers_and_attributes_are_percent_encoded_and_headers_never_printed() {
        let given = "authorization=Bearer%20hunter2, x-team = growth";
        let settings = parse(&["--otlp-headers", given]).unwrap();
        let headers = settings.headers.clone().unwrap_or_default();
        let [(name, value), (_, team)] = &headers.0[..] else {
            panic!("{headers:?}");
        };
        assert_eq!(name, "authorization");
        assert_eq!(value, "Bearer hunter2");
        assert_eq!(team, "growth");
        assert!(!format!("{settings:?}").contains("hunter2"));
        let pairs: Pairs = "a=b%2Cc,d=".parse().unwrap();
        let expected = [("a", "b,c"), ("d", "")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(pairs.0, expected);
    }

    #[test]
    fn samplers_have_the_names_of_the_specification() {
        let ratio = Sampler::ratio(0.25);
        let cases = [
            ("always_on", Sampler::ratio(1.0)),
            ("always_off", Sampler::ratio(0.0)),
            ("traceidratio", ratio),
            ("parentbased_always_on", Sampler::default()),
            (
                "parentbased_always_off",
                Sampler::ratio(0.0).following_parents(),
            ),
            ("parentbased_traceidratio", ratio.following_parents()),
        ];
        for (name, expected) in cases {
            let arguments = [
                "--otel-traces-sampler",
                name,
                "--otel-traces-sampler-arg=0.25",
            ];
            assert_eq!(parse(&arguments).unwrap().sampler(), expected, "{name}");
        }
    }
}
