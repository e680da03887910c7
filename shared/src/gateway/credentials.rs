//! The credentials posts are signed with: asked of the SDK's provider, kept until shortly before they expire, and with them
//! the day's signing key.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider, error::CredentialsError},
};
use tokio::{sync::Mutex, time::timeout};

use super::signature::SigningKey;

/// New ones are asked for so long before the old ones expire: longer than a post with all its attempts takes.
const BEFORE_THEY_EXPIRE: Duration = Duration::from_secs(60);

/// Credentials that say nothing of an end are asked for again after this time, as the SDK does it.
const WITHOUT_AN_END: Duration = Duration::from_secs(15 * 60);

/// How soon a provider is asked again that failed, or gave what expires at once.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long a provider may take.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Signing keys from a provider of credentials.
pub(super) struct Keys {
    provider: SharedCredentialsProvider,
    region: String,
    current: RwLock<Option<Current>>,
    /// Held by the one that asks the provider.
    asking: Mutex<()>,
}

#[derive(Clone)]
struct Current {
    key: Arc<SigningKey>,
    credentials: Credentials,
    ask_again: SystemTime,
}

/// There is nothing to sign with.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoKey {
    #[error("there are no credentials")]
    Refused(#[from] CredentialsError),
    #[error("there were no credentials within {LOAD_TIMEOUT:?}")]
    NoAnswer,
    #[error("the session token cannot be sent in a header")]
    Malformed(#[from] http::header::InvalidHeaderValue),
}

impl Keys {
    pub(super) fn new(provider: SharedCredentialsProvider, region: String) -> Self {
        Self { provider, region, current: RwLock::default(), asking: Mutex::default() }
    }

    /// The key to sign with now.
    pub(super) async fn key(&self, now: SystemTime) -> Result<Arc<SigningKey>, NoKey> {
        if let Some(key) = self.good_key(now) {
            return Ok(key);
        }
        let _turn = self.asking.lock().await;
        if let Some(key) = self.good_key(now) {
            return Ok(key);
        }
        let before = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let next = match before {
            // The same credentials on another day.
            Some(before) if now < before.ask_again => self.derive(before.credentials, before.ask_again, now)?,
            before => match self.load(now).await {
                Ok(next) => next,
                Err(error) => match before.filter(|before| !has_expired(&before.credentials, now)) {
                    Some(before) => {
                        tracing::warn!(%error, "signing with the credentials of before");
                        self.derive(before.credentials, now + ASK_AGAIN, now)?
                    }
                    None => return Err(error),
                },
            },
        };
        let key = Arc::clone(&next.key);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(next);
        Ok(key)
    }

    async fn load(&self, now: SystemTime) -> Result<Current, NoKey> {
        let loading = timeout(LOAD_TIMEOUT, self.provider.provide_credentials());
        let credentials = loading.await.map_err(|_| NoKey::NoAnswer)??;
        let until = credentials.expiry().map_or(now + WITHOUT_AN_END, |end| {
            end.checked_sub(BEFORE_THEY_EXPIRE).unwrap_or(now).max(now + ASK_AGAIN)
        });
        self.derive(credentials, until, now)
    }

    fn derive(&self, credentials: Credentials, ask_again: SystemTime, now: SystemTime) -> Result<Current, NoKey> {
        let key = SigningKey::derive(&credentials, &self.region, now)?;
        Ok(Current { key: Arc::new(key), credentials, ask_again })
    }

    fn good_key(&self, now: SystemTime) -> Option<Arc<SigningKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|current| current.is_good(now)).map(|current| Arc::clone(&current.key))
    }
}

impl Current {
    fn is_good(&self, now: SystemTime) -> bool {
        now < self.ask_again && self.key.is_of_the_day(now)
    }
}

fn has_expired(credentials: &Credentials, now: SystemTime) -> bool {
    credentials.expiry().is_some_and(|end| end <= now)
}
