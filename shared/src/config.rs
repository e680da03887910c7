//! Configuration, read once when a function starts (design rule 10).
//!
//! Standard AWS variables keep their names (`AWS_REGION`, `AWS_ENDPOINT_URL_DYNAMODB`, …). On Lambda the variables are
//! those of the process; `local-dev` hands every function a set of its own.

use std::collections::HashMap;

/// The variables one function was started with.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

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
}

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub fn from_process() -> Self {
        // Not `vars()`: it panics on a variable that is not UTF-8, and none of ours may be.
        Self(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect())
    }

    /// A variable that must be there.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] if it is unset or empty.
    pub fn required(&self, name: &'static str) -> Result<&str, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing(name))
    }

    /// All variables, names and values, secrets included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A variable that may be absent; an empty one counts as absent.
    #[must_use]
    pub fn optional(&self, name: &'static str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(variables: T) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// Whether a socket without a token hears the feed (`ANONYMOUS`, `allow` or `deny`; deny when unset).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymous {
    /// It joins the feed.
    Allow,
    /// It is refused as unauthenticated.
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
    fn an_empty_variable_counts_as_missing() {
        assert!(matches!(
            env(&[("USERS_TABLE", "")]).required("USERS_TABLE"),
            Err(ConfigError::Missing("USERS_TABLE"))
        ));
    }
}
