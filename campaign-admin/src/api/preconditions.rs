//! `If-Match` and `If-None-Match` (RFC 9110, section 13.1).

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use service::http::Problem;
use service::http::problem::BAD_REQUEST;

use super::kinds::PRECONDITION_REQUIRED;
use crate::changes::Precondition;

/// What must be true before a change, as the headers say it.
pub(super) fn of(headers: &HeaderMap) -> Result<Precondition, Problem> {
    let (wanted, unwanted) = (tags(headers, &IF_MATCH)?, tags(headers, &IF_NONE_MATCH)?);
    match (wanted, unwanted) {
        (None, None) => Ok(Precondition::None),
        (Some(Tags::Any), None) => Ok(Precondition::Present),
        (Some(Tags::These(tags)), None) => Ok(Precondition::Tags(tags)),
        (None, Some(Tags::Any)) => Ok(Precondition::Absent),
        (None, Some(Tags::These(_))) => Err(Problem::new(
            &BAD_REQUEST,
            "If-None-Match takes only * on a change: there must be no such campaign",
        )),
        (Some(_), Some(_)) => Err(Problem::new(
            &BAD_REQUEST,
            "If-Match and If-None-Match contradict each other",
        )),
    }
}

/// The same where it must be said.
pub(super) fn required(headers: &HeaderMap) -> Result<Precondition, Problem> {
    match of(headers)? {
        Precondition::None => Err(Problem::new(
            &PRECONDITION_REQUIRED,
            "send If-Match with the ETag of the campaign, or *",
        )),
        precondition => Ok(precondition),
    }
}

/// Whether whoever asks has that state already.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> Result<bool, Problem> {
    Ok(match tags(headers, &IF_NONE_MATCH)? {
        None => false,
        Some(Tags::Any) => true,
        Some(Tags::These(tags)) => tags.iter().any(|known| known == tag),
    })
}

/// A state as `ETag`.
pub(super) fn etag(tag: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{tag}\"")).ok()
}

enum Tags {
    Any,
    These(Vec<String>),
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let mut found = Vec::new();
    for value in headers.get_all(name) {
        let text = value.to_str().ok();
        match text.map(str::trim) {
            Some("*") => return Ok(Some(Tags::Any)),
            Some(text) => {
                for tag in text.split(',') {
                    found.push(quoted(tag.trim()).ok_or_else(|| wrong(name))?.to_owned());
                }
            }
            None => return Err(wrong(name)),
        }
    }
    Ok((!found.is_empty()).then_some(Tags::These(found)))
}

/// The text of a tag. Weak tags are taken: some proxies weaken those that pass, and ours name a state.
fn quoted(tag: &str) -> Option<&str> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let text = tag.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('"')).then_some(text)
}

fn wrong(name: &HeaderName) -> Problem {
    let detail = format!("{name} takes * or the ETag that was read, in its quotes, as \"3\"");
    Problem::new(&BAD_REQUEST, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let value = HeaderValue::try_from(*value).unwrap();
            (name.clone(), value)
        });
        pairs.collect()
    }

    #[test]
    fn conditions_are_read_as_http_writes_them() {
        let tags = |tags: &[&str]| Precondition::Tags(tags.iter().map(|&t| t.into()).collect());
        let cases = [
            (&[][..], Precondition::None),
            (&[(IF_MATCH, "\"3\"")], tags(&["3"])),
            (&[(IF_MATCH, "W/\"3\", \"1-00ff\"")], tags(&["3", "1-00ff"])),
            (&[(IF_MATCH, "*")], Precondition::Present),
            (&[(IF_NONE_MATCH, "*")], Precondition::Absent),
        ];
        for (pairs, precondition) in cases {
            assert_eq!(of(&headers(pairs)).unwrap(), precondition);
        }
        for wrong in ["3", "\"3", "\"3\" \"4\"", "", ","] {
            assert!(of(&headers(&[(IF_MATCH, wrong)])).is_err(), "{wrong}");
        }
        assert!(of(&headers(&[(IF_NONE_MATCH, "\"3\"")])).is_err());
        assert!(of(&headers(&[(IF_NONE_MATCH, "*"), (IF_MATCH, "*")])).is_err());
        assert!(required(&headers(&[])).is_err());
    }

    #[test]
    fn who_has_the_state_already_is_known() {
        let known = |value, tag| is_known(&headers(&[(IF_NONE_MATCH, value)]), tag).unwrap();
        assert!(known("\"2\", \"3\"", "3") && known("*", "3"));
        assert!(!known("\"2\"", "3") && !is_known(&HeaderMap::new(), "3").unwrap());
    }
}
