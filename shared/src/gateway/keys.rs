//! The key posts are signed with, derived once a day.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use aws_credential_types::Credentials;
use http::header::InvalidHeaderValue;

use super::signature::SigningKey;

/// The signing keys of one pair of credentials. They are those of the environment and do not change while it lasts
/// ([`crate::aws`]), so only the day does.
pub(super) struct Keys {
    credentials: Credentials,
    region: String,
    current: RwLock<Option<Arc<SigningKey>>>,
}

impl Keys {
    pub(super) fn new(credentials: Credentials, region: String) -> Self {
        Self { credentials, region, current: RwLock::default() }
    }

    /// The key to sign with now.
    pub(super) fn key(&self, now: SystemTime) -> Result<Arc<SigningKey>, InvalidHeaderValue> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(key) = current.filter(|key| key.is_of_the_day(now)) {
            return Ok(key);
        }
        let key = Arc::new(SigningKey::derive(&self.credentials, &self.region, now)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&key));
        Ok(key)
    }
}
