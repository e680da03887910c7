//! The `pid`: a signed token instead of a stored session. It works any number of times, in any environment, before the
//! first event and after a deployment, and it is worth nothing without an access token of the same subject.

use aws_lc_rs::{
    error::Unspecified,
    hkdf::{HKDF_SHA256, Salt},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::{
    config::{ConfigError, Environment},
    error::Error,
};

/// What a `pid` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pid {
    /// The Socket.IO id the socket keeps.
    pub sid: String,
    /// The namespace it joined.
    #[serde(rename = "nsp")]
    pub namespace: String,
    /// The room it joined, in its text form.
    pub room: String,
    /// The user or administrator behind it; absent for anonymous sockets.
    #[serde(rename = "sub", default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The [session generation](crate::users::User::session_generation) of that user.
    #[serde(rename = "gen", default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// When the `pid` was issued, epoch milliseconds. What was committed before that is in the list that the client
    /// loads then.
    #[serde(rename = "at")]
    pub issued_at: i64,
}

impl Pid {
    /// Whether another one is of the same subject in the same generation, in the same room and namespace.
    #[must_use]
    pub fn is_of_the_same_as(&self, other: &Self) -> bool {
        let of = |pid: &Self| (pid.namespace.clone(), pid.room.clone(), pid.subject.clone(), pid.generation);
        of(self) == of(other)
    }
}

/// Signs and reads them, with a key made of `TOKEN_SECRET` for this purpose alone: neither can one pass as an access token,
/// nor an access token as one.
pub struct Pids {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Pids {
    /// Reads the key, `TOKEN_SECRET`.
    ///
    /// # Errors
    /// [`ConfigError`] if the secret is missing or short.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let name = "TOKEN_SECRET";
        let key =
            key_of(env.secret(name)?).map_err(|Unspecified| ConfigError::Invalid { name, problem: "makes no key" })?;
        let mut validation = Validation::new(Algorithm::HS256);
        // It has none of the claims of an access token. How old it may be follows from what the log still has.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        Ok(Self { encoding: EncodingKey::from_secret(&key), decoding: DecodingKey::from_secret(&key), validation })
    }

    /// The token that says this.
    ///
    /// # Errors
    /// [`Error::Internal`] if signing fails.
    pub fn sign(&self, pid: &Pid) -> Result<String, Error> {
        encode(&Header::new(Algorithm::HS256), pid, &self.encoding).map_err(Error::internal("signing a pid"))
    }

    /// What a genuine token says; `None` for any other text.
    #[must_use]
    pub fn read(&self, token: &str) -> Option<Pid> {
        decode(token, &self.decoding, &self.validation).ok().map(|token| token.claims)
    }
}

fn key_of(secret: &[u8]) -> Result<[u8; 32], Unspecified> {
    let mut key = [0; 32];
    let root = Salt::new(HKDF_SHA256, b"moien-realtime").extract(secret);
    root.expand(&[b"connection state recovery: pid"], HKDF_SHA256)?.fill(&mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Role, Tokens};

    fn env(secret: &str) -> Environment {
        [("TOKEN_SECRET".to_owned(), secret.to_owned())].into_iter().collect()
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn pid() -> Pid {
        Pid {
            sid: "AZmgsnw9fk-KGyw9Tl9qew".into(),
            namespace: "/users".into(),
            room: "ROOM#/users#feed".into(),
            subject: Some("admin".into()),
            generation: None,
            issued_at: 1_739_125_407_396,
        }
    }

    #[test]
    fn a_pid_is_read_as_it_was_signed_any_number_of_times() {
        let token = Pids::from_env(&env(SECRET)).unwrap().sign(&pid()).unwrap();
        for _ in 0..3 {
            assert_eq!(Pids::from_env(&env(SECRET)).unwrap().read(&token), Some(pid()));
        }
    }

    #[test]
    fn a_pid_that_was_changed_cut_or_signed_by_others_says_nothing() {
        let pids = Pids::from_env(&env(SECRET)).unwrap();
        let token = pids.sign(&pid()).unwrap();
        let foreign = Pids::from_env(&env("another secret of 32 characters!")).unwrap();
        assert_eq!(foreign.read(&token), None);
        for end in 0..token.len() {
            assert_eq!(pids.read(&token[..end]), None, "{end}");
        }
        for index in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'Q' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last character has bits that belong to no byte.
            assert!(pids.read(&changed).is_none_or(|read| read == pid()), "{changed}");
        }
        for text in ["", ".", "..", "a.b.c", "é", "null"] {
            assert_eq!(pids.read(text), None, "{text}");
        }
    }

    #[test]
    fn neither_is_a_pid_an_access_token_nor_an_access_token_a_pid() {
        let (pids, tokens) = (Pids::from_env(&env(SECRET)).unwrap(), Tokens::from_env(&env(SECRET)).unwrap());
        assert!(tokens.verify(&pids.sign(&pid()).unwrap()).is_err());
        assert_eq!(pids.read(&tokens.issue("admin", Role::Admin).unwrap()), None);
        // Also one that says what a pid says, signed with the key of access tokens.
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        assert_eq!(pids.read(&encode(&Header::new(Algorithm::HS256), &pid(), &key).unwrap()), None);
    }

    #[test]
    fn a_short_secret_stops_the_start() {
        assert!(matches!(Pids::from_env(&env("short")), Err(ConfigError::Invalid { .. })));
    }
}
