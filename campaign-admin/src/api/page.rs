//! Pages of lists: a size, an opaque place to go on from, and the same in the answer (AIP-158).

use service::http::Problem;
use service::http::problem::BAD_REQUEST;

/// Entries of a page, unless another number is asked for.
pub(super) const SIZE: usize = 50;

/// Most entries of a page.
pub(super) const MAX_SIZE: usize = 500;

/// The size of a page that is asked for; larger ones are cut.
pub(super) fn size(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(SIZE),
        Some(0) => Err(Problem::new(&BAD_REQUEST, "page_size is 0; use 1 to 500")),
        Some(size) => Ok(size.min(MAX_SIZE)),
    }
}

/// A place as a token. The digits keep people from taking it for something to write themselves.
pub(super) fn token(place: &str) -> String {
    use std::fmt::Write as _;
    place.bytes().fold(String::new(), |mut token, byte| {
        // Writing to a string cannot fail.
        let _ = write!(token, "{byte:02x}");
        token
    })
}

/// The place of a token.
pub(super) fn place(token: &str) -> Result<String, Problem> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = token.as_bytes().chunks(2).map(|digits| match *digits {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    });
    let bytes: Option<Vec<u8>> = bytes.collect();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(unknown)
}

/// A token that was not given out by us.
pub(super) fn unknown() -> Problem {
    Problem::new(
        &BAD_REQUEST,
        "page_token is none that was given out; use next_page_token of the answer before, with the \
         same filter",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place_and_nothing_else_does() {
        for text in ["", "ten-for-fifty", "1;ä;:"] {
            assert_eq!(place(&token(text)).unwrap(), text);
        }
        for wrong in ["7", "7g", "+1", "ff", "ä"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
        assert_eq!(size(None).unwrap(), 50);
        assert_eq!(size(Some(10_000)).unwrap(), 500);
        assert!(size(Some(0)).is_err());
    }
}
