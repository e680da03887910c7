//! Configuration, read once when a function starts (ARCHITECTURE.md, "The environment is read once").
//!
//! Standard AWS variables keep their names (`AWS_REGION`, `AWS_ENDPOINT_URL_DYNAMODB`, …). On Lambda the variables are
//! those of the process; `local-dev` hands every function a set of its own.

use std::{collections::HashMap, num::NonZeroU8};

use transport::Transport;

/// Shortest secret, in bytes: a key of HS256 that is shorter than the hash weakens it, and no other key needs less.
pub const MIN_SECRET_BYTES: usize = 32;

/// What one function was started with: its variables, and how its requests get to the services it calls.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    transport: Transport,
}

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable that has no default is not set.
    #[error("environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable is set to something that cannot be used.
    #[error("environment variable {name} {problem}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What is wrong with it and what would be right; never its value, which may be secret.
        problem: &'static str,
    },
    /// TLS cannot be set up, and so nobody could be reached over it.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub fn from_process() -> Self {
        // Not `vars()`: it panics on a variable that is not UTF-8, and none of ours may be.
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
    }

    /// These variables with another transport, for a function that is one process with services it calls.
    #[must_use]
    pub fn over(self, transport: Transport) -> Self {
        Self { transport, ..self }
    }

    /// How requests get to services.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// A variable that must be there.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] if it is unset or empty.
    pub fn required(&self, name: &'static str) -> Result<&str, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing(name))
    }

    /// A variable that keys are made of.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] as for any other, [`ConfigError::Invalid`] if it is shorter than [`MIN_SECRET_BYTES`].
    pub(crate) fn secret(&self, name: &'static str) -> Result<&[u8], ConfigError> {
        let secret = self.required(name)?.as_bytes();
        if secret.len() < MIN_SECRET_BYTES {
            return Err(ConfigError::Invalid { name, problem: "must have at least 32 characters" });
        }
        Ok(secret)
    }

    /// All variables, names and values, secrets included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A variable that may be absent; an empty one counts as absent.
    #[must_use]
    pub fn optional(&self, name: &'static str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self { variables: variables.into_iter().collect(), transport: Transport::default() }
    }
}

/// Whether a socket without a token hears the feed (`ANONYMOUS`, `allow` or `deny`; deny when unset).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymous {
    /// A socket without a token joins the feed.
    Allow,
    /// A socket without a token is refused as unauthenticated.
    Deny,
}

impl Anonymous {
    /// Reads `ANONYMOUS`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for anything but the two words.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        match env.optional("ANONYMOUS") {
            Some("allow") => Ok(Self::Allow),
            Some("deny") | None => Ok(Self::Deny),
            Some(_) => Err(ConfigError::Invalid { name: "ANONYMOUS", problem: "must be `allow` or `deny`" }),
        }
    }
}

/// Into how many partitions the rows of the feed are spread (`FEED_SHARDS`, 1 to 64; 1 when unset).
///
/// DynamoDB reads and writes a partition at a limited rate. A feed of many sockets is written by many at once when they
/// come back together, and read page by page for every event; several partitions are written and read in parallel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedShards(NonZeroU8);

impl FeedShards {
    /// One partition, as if there were no shards.
    pub const ONE: Self = Self(NonZeroU8::MIN);

    /// The most there may be.
    pub const MAX: u8 = 64;

    /// So many shards; `None` for 0 and for more than [`FeedShards::MAX`].
    #[must_use]
    pub fn new(count: u8) -> Option<Self> {
        NonZeroU8::new(count).filter(|count| count.get() <= Self::MAX).map(Self)
    }

    /// Reads `FEED_SHARDS`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for anything but a whole number from 1 to 64.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let Some(text) = env.optional("FEED_SHARDS") else { return Ok(Self::ONE) };
        text.parse()
            .ok()
            .and_then(Self::new)
            .ok_or(ConfigError::Invalid { name: "FEED_SHARDS", problem: "must be a whole number from 1 to 64" })
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> u8 {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn anonymous_access_is_denied_unless_allowed_in_so_many_words() {
        assert_eq!(Anonymous::from_env(&env(&[])).unwrap(), Anonymous::Deny);
        assert_eq!(Anonymous::from_env(&env(&[("ANONYMOUS", "allow")])).unwrap(), Anonymous::Allow);
        assert!(Anonymous::from_env(&env(&[("ANONYMOUS", "true")])).is_err());
    }

    #[test]
    fn the_feed_has_one_partition_unless_told_otherwise_and_never_more_than_64() {
        let shards = |text: &str| FeedShards::from_env(&env(&[("FEED_SHARDS", text)])).ok().map(FeedShards::count);
        assert_eq!([shards(""), shards("1"), shards("64")], [Some(1), Some(1), Some(64)]);
        for wrong in ["0", "65", "256", "-1", "1.5", "many"] {
            assert_eq!(shards(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_empty_variable_counts_as_missing() {
        assert!(matches!(
            env(&[("USERS_TABLE", "")]).required("USERS_TABLE"),
            Err(ConfigError::Missing("USERS_TABLE"))
        ));
    }
}
