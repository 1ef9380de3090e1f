//! Makes API keys: `campaign-admin key create`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use service::auth::{KeyRecord, Scope, Scopes, make_key, read_keys};

/// What to do with keys.
#[derive(Debug, Clone, Subcommand)]
pub enum KeyCommand {
    /// Make a key; prints it once, and its record for the file of keys
    Create(CreateKey),
}

/// A key to be made.
#[derive(Debug, Clone, Args)]
pub struct CreateKey {
    /// Who will use it, for people; the history of campaigns says it
    #[arg(long, value_parser = name)]
    name: String,

    /// What it allows: events:write, campaigns:read, campaigns:write, matches:read, customers:read,
    /// customers:erase, audiences:read, audiences:write or dead-letters:redrive; may be repeated
    #[arg(long = "scope", required = true, value_delimiter = ',')]
    scopes: Vec<Scope>,

    /// When it ends, as RFC 3339, or after how long, as 90d or 12h [default: never]
    #[arg(long, value_parser = expiry)]
    expires: Option<Expiry>,

    /// File to append the record to, instead of printing it
    #[arg(long)]
    file: Option<PathBuf>,
}

/// When a key ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// At this time.
    At(Timestamp),
    /// So long after it was made.
    After(SignedDuration),
}

fn name(text: &str) -> Result<String, String> {
    let fits = (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
        .ok_or_else(|| "use 1 to 256 bytes without control characters".to_owned())
}

fn expiry(text: &str) -> Result<Expiry, String> {
    let wrong = || "write a time, as 2027-01-31T00:00:00Z, or a length, as 90d or 12h".to_owned();
    if let Ok(time) = text.parse() {
        return Ok(Expiry::At(time));
    }
    let (number, hours) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
        (Some(days), _) => (days, 24),
        (None, Some(number)) => (number, 1),
        (None, None) => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    if number == 0 {
        return Err(wrong());
    }
    Ok(Expiry::After(SignedDuration::from_hours(
        i64::from(number) * hours,
    )))
}

/// A key that was made.
#[derive(Debug)]
pub struct Made {
    /// The key, to be given to its owner.
    pub key: String,
    /// What else there is to say.
    pub told: String,
}

/// Makes the key and says all that its owner and the services need.
///
/// # Errors
/// It would have ended already, or the file cannot be appended to.
pub fn create(command: &CreateKey, now: Timestamp) -> anyhow::Result<Made> {
    let scopes: Scopes = command.scopes.iter().copied().collect();
    let expires_at = match command.expires {
        None => None,
        Some(Expiry::At(time)) => Some(time),
        Some(Expiry::After(length)) => Some(now.checked_add(length)?),
    };
    if let Some(expires_at) = expires_at {
        anyhow::ensure!(expires_at > now, "the key would have ended at {expires_at}");
    }
    let (key, record) = make_key(&command.name, scopes, now, expires_at);
    let line = serde_json::to_string(&record)?;
    let place = match &command.file {
        None => format!("Add this line to API_KEYS_FILE:\n\n{line}\n"),
        Some(path) => {
            append(path, &record, &line)?;
            format!("Its record was added to {}.\n", path.display())
        }
    };
    Ok(Made {
        key: key.reveal().to_owned(),
        told: format!("The key is shown only now. {place}"),
    })
}

/// Appends a line, in one write, to a file that only its owner can read.
fn append(path: &Path, record: &KeyRecord, line: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let shown = path.display();
    let before = std::fs::read_to_string(path).unwrap_or_default();
    read_keys(&before).with_context(|| format!("{shown} is not a file of keys"))?;
    // The last line may lack its end.
    let gap = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    options
        .open(path)
        .and_then(|mut file| file.write_all(format!("{gap}{line}\n").as_bytes()))
        .with_context(|| format!("adding key {} to {shown}", record.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(file: Option<PathBuf>, expires: Option<&str>) -> CreateKey {
        CreateKey {
            name: "till".to_owned(),
            scopes: vec![Scope::EventsWrite],
            expires: expires.map(|text| expiry(text).unwrap()),
            file,
        }
    }

    #[test]
    fn keys_are_shown_once_and_their_records_are_those_that_services_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let now = Timestamp::UNIX_EPOCH;
        let made = create(&command(None, None), now).unwrap();
        let mut lines = made.told.lines();
        let line = lines.find(|line| line.starts_with('{')).unwrap();
        assert_eq!(read_keys(line).unwrap().len(), 1);
        assert!(!made.told.contains(&made.key), "{made:?}");

        std::fs::write(&path, "# ours").unwrap();
        create(&command(Some(path.clone()), None), now).unwrap();
        let made = create(&command(Some(path.clone()), Some("90d")), now).unwrap();
        let secret = made.key.strip_prefix("cm_").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(secret.rsplit('_').next().unwrap()));
        let keys = read_keys(&text).unwrap();
        assert_eq!(keys.len(), 2);
        let ends = now + SignedDuration::from_hours(90 * 24);
        assert!(keys.values().any(|key| key.expires_at == Some(ends)));
        assert!(
            keys.values()
                .all(|key| key.scopes.contains(Scope::EventsWrite))
        );
    }

    #[test]
    fn a_key_that_has_ended_or_a_file_of_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, "other").unwrap();
        let now = Timestamp::now();
        assert!(create(&command(Some(path.clone()), None), now).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "other");
        assert!(create(&command(None, Some("2026-01-01T00:00:00Z")), now).is_err());
        for wrong in ["soon", "0d", "-1d", "9", "d", "1w"] {
            assert!(expiry(wrong).is_err(), "{wrong}");
        }
    }
}
