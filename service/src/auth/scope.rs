//! Scopes: what a key or a token allows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One thing that may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Send events.
    EventsWrite,
    /// See campaigns and their history, check and try them.
    CampaignsRead,
    /// Create, change and delete campaigns.
    CampaignsWrite,
    /// See matches.
    MatchesRead,
    /// See what is remembered of a customer, and their matches.
    CustomersRead,
    /// Forget a customer everywhere.
    CustomersErase,
    /// See audiences, and who is in them.
    AudiencesRead,
    /// Put customers in audiences and take them out.
    AudiencesWrite,
    /// See dead letters and send them through again.
    DeadLettersRedrive,
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope; use {scopes}", scopes = Scopes::of(&Scope::ALL))]
pub struct UnknownScope(String);

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 9] = [
        Self::EventsWrite,
        Self::CampaignsRead,
        Self::CampaignsWrite,
        Self::MatchesRead,
        Self::CustomersRead,
        Self::CustomersErase,
        Self::AudiencesRead,
        Self::AudiencesWrite,
        Self::DeadLettersRedrive,
    ];

    /// Its name, in keys, tokens and problems.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventsWrite => "events:write",
            Self::CampaignsRead => "campaigns:read",
            Self::CampaignsWrite => "campaigns:write",
            Self::MatchesRead => "matches:read",
            Self::CustomersRead => "customers:read",
            Self::CustomersErase => "customers:erase",
            Self::AudiencesRead => "audiences:read",
            Self::AudiencesWrite => "audiences:write",
            Self::DeadLettersRedrive => "dead-letters:redrive",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u16);

impl Scopes {
    /// These scopes.
    pub fn of(scopes: &[Scope]) -> Self {
        scopes.iter().copied().collect()
    }

    /// Every scope there is.
    pub fn all() -> Self {
        Self::of(&Scope::ALL)
    }

    /// Whether that scope is among them.
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u16) != 0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let bits = scopes
            .into_iter()
            .fold(0, |bits, scope| bits | 1 << scope as u16);
        Self(bits)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{scope}")?;
        }
        Ok(())
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Scope::name))
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let scopes: Result<Self, _> = names.iter().map(|name| name.parse::<Scope>()).collect();
        scopes.map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_and_read_by_their_names() {
        let scopes = Scopes::of(&[Scope::MatchesRead, Scope::EventsWrite]);
        let json = serde_json::to_string(&scopes).unwrap();
        assert_eq!(json, r#"["events:write","matches:read"]"#);
        assert_eq!(serde_json::from_str::<Scopes>(&json).unwrap(), scopes);
        assert!(scopes.contains(Scope::EventsWrite) && !scopes.contains(Scope::CampaignsWrite));
        let error = serde_json::from_str::<Scopes>(r#"["events:read"]"#).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("use events:write, campaigns:read")
        );
    }
}
