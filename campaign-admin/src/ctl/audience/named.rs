//! Audiences of events that are tried and of the past: what the server knows of them now is not asked.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use schemas::AudienceName;
use state::Members;

use super::file::FileForm;

/// An audience, as an argument: `NAME=FILE` of the customers of a file, `NAME` of everybody.
#[derive(Debug, Clone)]
pub(crate) struct NamedAudience {
    name: AudienceName,
    file: Option<PathBuf>,
}

impl FromStr for NamedAudience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = match text.split_once('=') {
            Some((_, "")) => return Err("there is no file behind the =".to_owned()),
            Some((name, file)) => (name, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let name = AudienceName::new(name).map_err(|error| error.to_string())?;
        Ok(Self { name, file })
    }
}

impl NamedAudience {
    /// The name, if everybody is in it.
    pub(crate) fn of_everybody(&self) -> Option<&AudienceName> {
        self.file.is_none().then_some(&self.name)
    }
}

/// For `value_parser`: an audience with a file.
pub(crate) fn with_file(text: &str) -> Result<NamedAudience, String> {
    let audience: NamedAudience = text.parse()?;
    match audience.file {
        Some(_) => Ok(audience),
        None => Err("write NAME=FILE".to_owned()),
    }
}

/// Who is in the audiences that have files, which are read as those of `audience load` are.
///
/// # Errors
/// A file cannot be read, or something is wrong with a line.
pub(crate) fn read(audiences: &[NamedAudience]) -> anyhow::Result<Members> {
    let mut members = Members::default();
    for NamedAudience { name, file } in audiences {
        let Some(file) = file else { continue };
        for line in FileForm::default().open(file)? {
            let line = line.with_context(|| file.display().to_string())?;
            members.add(name.as_str(), &line.id);
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_is_of_a_file_or_of_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vip.txt");
        std::fs::write(&file, "ada\nbob\n").unwrap();
        let vip: NamedAudience = format!("vip={}", file.display()).parse().unwrap();
        let gold: NamedAudience = "gold".parse().unwrap();
        assert_eq!(vip.of_everybody(), None);
        assert_eq!(gold.of_everybody().unwrap().as_str(), "gold");
        let members = read(&[vip, gold]).unwrap();
        assert_eq!(members.counts().collect::<Vec<_>>(), [("vip", 2)]);
        assert!(with_file("gold").is_err() && with_file("g:=x").is_err());
        assert!("vip=".parse::<NamedAudience>().is_err());
    }
}
