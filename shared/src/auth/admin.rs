//! The one administrator: an e-mail address and a password hash in the configuration, not a row.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;

use super::{Passwords, Role};
use crate::{
    config::{ConfigError, Environment},
    error::Error,
    users::PasswordHash,
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
    /// [`ConfigError`] if one of the two variables is missing or the hash is not a PHC string.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let password_hash = env.required("ADMIN_PASSWORD_HASH")?;
        if !password_hash.starts_with("$argon2id$") {
            let problem = "must be an argon2id PHC string, $argon2id$…";
            return Err(ConfigError::Invalid { name: "ADMIN_PASSWORD_HASH", problem });
        }
        let email = env.required("ADMIN_EMAIL")?.to_lowercase();
        let generation = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, password_hash.as_bytes()));
        Ok(Self { email, password_hash: PasswordHash(password_hash.to_owned()), generation })
    }

    /// Whether these are the administrator's credentials; a wrong address takes as long as a wrong password.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn verify(&self, passwords: &Passwords, email: &str, password: String) -> Result<bool, Error> {
        let known: bool = email.to_lowercase().as_bytes().ct_eq(self.email.as_bytes()).into();
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
