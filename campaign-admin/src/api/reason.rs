//! Why somebody makes a change, in their words.

use axum::http::HeaderMap;
use service::http::Problem;
use service::http::problem::BAD_REQUEST;

/// The header that says it. The parameter `reason` does, too.
pub(super) const HEADER: &str = "change-reason";

/// Longest reason, in bytes: it is kept in memory.
pub(super) const MAX_BYTES: usize = 1024;

/// The reason of a request: of what it may say, the first that is said.
pub(super) fn of(
    parameter: Option<&str>,
    headers: &HeaderMap,
) -> Result<Option<Box<str>>, Problem> {
    let header = match headers.get(HEADER) {
        None => None,
        // Clients write UTF-8 where the standard knows only ASCII.
        Some(value) => Some(
            std::str::from_utf8(value.as_bytes())
                .map_err(|_| Problem::new(&BAD_REQUEST, "Change-Reason is not UTF-8"))?,
        ),
    };
    let Some(reason) = parameter.or(header).map(str::trim) else {
        return Ok(None);
    };
    if reason.is_empty() {
        return Ok(None);
    }
    if reason.len() > MAX_BYTES || reason.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Problem::new(
            &BAD_REQUEST,
            format!("a reason has at most {MAX_BYTES} bytes and no control characters"),
        ));
    }
    Ok(Some(reason.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_taken_from_the_request_and_bounded() {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, "zu früh".parse().unwrap());
        let said = |parameter, headers: &HeaderMap| of(parameter, headers).unwrap();
        assert_eq!(said(None, &headers).as_deref(), Some("zu früh"));
        assert_eq!(said(Some(" better "), &headers).as_deref(), Some("better"));
        assert_eq!(said(None, &HeaderMap::new()), None);
        assert_eq!(said(Some(" "), &HeaderMap::new()), None);
        let long = "x".repeat(MAX_BYTES + 1);
        for wrong in [long.as_str(), "a\u{7}"] {
            assert!(of(Some(wrong), &headers).is_err());
        }
    }
}
