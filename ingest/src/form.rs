//! What a body holds, by its headers.

use axum::http::{HeaderMap, header};
use service::http::Problem;
use service::http::problem::UNSUPPORTED_MEDIA_TYPE;

/// What a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One event, or an array of them.
    Json,
    /// An event a line.
    Lines,
    /// One CloudEvent, attributes and data together.
    CloudEvent,
    /// An array of CloudEvents.
    CloudEvents,
    /// The data of one CloudEvent, whose attributes are headers.
    CloudEventData,
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Form {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let media_type = headers.get(header::CONTENT_TYPE);
        let media_type = media_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let (essence, parameters) = media_type.split_once(';').unwrap_or((media_type, ""));
        let essence = essence.trim().to_ascii_lowercase();
        if !is_utf8(parameters) {
            return Err(Problem::new(
                &UNSUPPORTED_MEDIA_TYPE,
                format!("Content-Type is {media_type:?}; JSON is always UTF-8 here"),
            ));
        }
        let is_json = essence == "application/json" || essence.ends_with("+json");
        match &*essence {
            "application/cloudevents+json" => Ok(Self::CloudEvent),
            "application/cloudevents-batch+json" => Ok(Self::CloudEvents),
            _ if is_json && headers.contains_key("ce-specversion") => Ok(Self::CloudEventData),
            "application/json" => Ok(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Self::Lines),
            _ => Err(Problem::new(
                &UNSUPPORTED_MEDIA_TYPE,
                format!(
                    "Content-Type is {media_type:?}; send application/json, application/x-ndjson, \
                     application/cloudevents+json or application/cloudevents-batch+json"
                ),
            )),
        }
    }
}

/// Whether the parameters of a media type leave the characters at UTF-8.
fn is_utf8(parameters: &str) -> bool {
    parameters.split(';').all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset") || value.eq_ignore_ascii_case("utf-8")
    })
}

impl Compression {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut all = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(first) = all.next() else {
            return Ok(Self::None);
        };
        let name = first.to_str().unwrap_or("").trim().to_ascii_lowercase();
        match (&*name, all.next()) {
            ("" | "identity", None) => Ok(Self::None),
            ("gzip" | "x-gzip", None) => Ok(Self::Gzip),
            ("zstd", None) => Ok(Self::Zstd),
            _ => Err(Problem::new(
                &UNSUPPORTED_MEDIA_TYPE,
                format!("Content-Encoding is {first:?}; send gzip or zstd, once, or leave it out"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn the_headers_say_what_a_body_holds() {
        type Case = (&'static [(&'static str, &'static str)], Option<Form>);
        const BINARY: (&str, &str) = ("ce-specversion", "1.0");
        let cases: [Case; 10] = [
            (&[("content-type", "application/json")], Some(Form::Json)),
            (
                &[("content-type", "Application/JSON; charset=\"UTF-8\"")],
                Some(Form::Json),
            ),
            (
                &[("content-type", "application/x-ndjson")],
                Some(Form::Lines),
            ),
            (
                &[("content-type", "application/cloudevents+json"), BINARY],
                Some(Form::CloudEvent),
            ),
            (
                &[("content-type", "application/cloudevents-batch+json")],
                Some(Form::CloudEvents),
            ),
            (
                &[("content-type", "application/vnd.shop+json"), BINARY],
                Some(Form::CloudEventData),
            ),
            (&[("content-type", "application/vnd.shop+json")], None),
            (
                &[("content-type", "application/json; charset=latin1")],
                None,
            ),
            (&[("content-type", "text/plain"), BINARY], None),
            (&[], None),
        ];
        for (pairs, expected) in cases {
            assert_eq!(Form::of(&headers(pairs)).ok(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_body_is_compressed_once_or_not_at_all() {
        let cases = [
            (&[][..], Some(Compression::None)),
            (&["identity"], Some(Compression::None)),
            (&["GZIP"], Some(Compression::Gzip)),
            (&["zstd"], Some(Compression::Zstd)),
            (&["br"], None),
            (&["gzip, zstd"], None),
            (&["gzip", "gzip"], None),
        ];
        for (values, expected) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("content-encoding", value.parse().unwrap());
            }
            assert_eq!(Compression::of(&headers).ok(), expected, "{values:?}");
        }
    }
}
