//! The file of the keys: one record of JSON a line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::key::KeyRecord;

/// Why a file of keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("API_KEYS_FILE {} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A line is not a record.
    #[error("line {line} of API_KEYS_FILE is not a key's record: {error}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// Why.
        error: serde_json::Error,
    },
    /// Two records have one id.
    #[error("line {line} of API_KEYS_FILE has the id {id} of a line before")]
    Repeated {
        /// Which, from 1.
        line: usize,
        /// The id.
        id: String,
    },
}

pub(super) fn read(path: &Path) -> Result<String, KeyFileError> {
    std::fs::read_to_string(path).map_err(|error| KeyFileError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

/// The records of a file's text, by id. Empty lines and lines that begin with `#` say nothing.
///
/// # Errors
/// [`KeyFileError`] names the first line that is wrong: a file is taken as a whole or not at all.
pub fn read_keys(text: &str) -> Result<HashMap<String, KeyRecord>, KeyFileError> {
    let mut keys = HashMap::new();
    for (at, line) in text.lines().enumerate() {
        let (number, line) = (at + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let record: KeyRecord = serde_json::from_str(line).map_err(|error| KeyFileError::Line {
            line: number,
            error,
        })?;
        let id = record.id.clone();
        if keys.insert(id.clone(), record).is_some() {
            return Err(KeyFileError::Repeated { line: number, id });
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::key::make_key;
    use super::super::scope::Scopes;
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let (_, record) = make_key("till", Scopes::all(), Timestamp::UNIX_EPOCH, None);
        let line = serde_json::to_string(&record).unwrap();
        let keys = read_keys(&format!("# keys\n\n{line}\n")).unwrap();
        assert_eq!(keys[&record.id], record);
        let cases = [
            (
                format!("{line}\n{line}"),
                "line 2 of API_KEYS_FILE has the id",
            ),
            (format!("{line}\n{{}}"), "line 2 of API_KEYS_FILE is not"),
            (line.replace("sha256:", ""), "write the hash as sha256:"),
            (line.replace("\"name\"", "\"nome\""), "unknown field `nome`"),
            (line.replace("events:write", "events"), "is not a scope"),
        ];
        for (text, expected) in cases {
            let error = read_keys(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
