//! The one administrator: an e-mail address and a password hash in the configuration, not a row.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

use super::Role;
use crate::{
    config::{ConfigError, Environment},
    error::Error,
    passwords::{PasswordHash, Passwords},
    users::mailbox,
};

/// The administrator of `ADMIN_EMAIL` and `ADMIN_PASSWORD_HASH`.
pub struct Admin {
    email: String,
    password_hash: PasswordHash,
    generation: String,
}

/// What the administrator is told about himself, in the place where a user gets a PublicUser.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminProfile {
    /// Always `admin`.
    id: &'static str,
    /// E-mail address.
    email: String,
    /// Always `admin`.
    role: Role,
}

impl Admin {
    /// `sub` of the administrator's tokens.
    pub const ID: &'static str = "admin";

    /// # Errors
    /// [`ConfigError`] if one of the two variables is missing or the hash is not one of `local-dev admin-hash`.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let name = "ADMIN_PASSWORD_HASH";
        let password_hash = PasswordHash(env.required(name)?.to_owned());
        if !Passwords::is_usual(&password_hash) {
            let problem =
                "must be an argon2id PHC string as `local-dev admin-hash` makes it, $argon2id$v=19$m=19456,t=2,p=1$…";
            return Err(ConfigError::Invalid { name, problem });
        }
        let email = mailbox::canonical(env.required("ADMIN_EMAIL")?);
        let generation = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, password_hash.0.as_bytes()));
        Ok(Self { email, password_hash, generation })
    }

    /// Whether these are the administrator's credentials; a wrong address takes as long as a wrong password.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn verify(&self, passwords: &Passwords, email: &str, password: String) -> Result<bool, Error> {
        let known: bool = mailbox::canonical(email).as_bytes().ct_eq(self.email.as_bytes()).into();
        let hash = known.then(|| self.password_hash.clone());
        passwords.verify(password, hash).await
    }

    /// What the administrator's sessions are worth: another password hash ends them all.
    #[must_use]
    pub fn session_generation(&self) -> &str {
        &self.generation
    }

    /// What the administrator sees of himself.
    #[must_use]
    pub fn profile(&self) -> AdminProfile {
        AdminProfile { id: Self::ID, email: self.email.clone(), role: Role::Admin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_that_is_only_the_beginning_of_one_stops_the_start() {
        let whole = Passwords::default().hash("local-admin".into()).await.unwrap().0;
        let admin = |hash: &str| {
            let variables = [("ADMIN_EMAIL", "admin@example.com"), ("ADMIN_PASSWORD_HASH", hash)];
            Admin::from_env(&variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect())
        };
        assert!(admin(&whole).is_ok());
        let Err(ConfigError::Invalid { name, .. }) = admin("$argon2id$…") else { panic!("it should not start") };
        assert_eq!(name, "ADMIN_PASSWORD_HASH");
    }
}
