//! The counters, in the users table: `LIMIT#<what>#<who, hashed>`/`WINDOW`, removed by TTL. An address or e-mail address
//! is not readable in them.
//!
//! What costs something is counted before it is done, by one conditional write: of a thousand logins at the same moment
//! five are let through to a password hash, and the others cost a refused write at most: once a process has seen that an
//! account is closed, it takes that for granted for a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest::{SHA256, digest};
use aws_sdk_dynamodb::{Client, operation::update_item::builders::UpdateItemFluentBuilder};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use tokio::sync::Semaphore;

use super::Source;
use crate::{
    auth::Role,
    config::{ConfigError, Environment},
    dynamodb::{Item, condition_failed, n, s},
    error::Error,
    users::UserStore,
};

/// Wrong passwords an account takes from one source before it stops listening to it.
const LOGINS: u32 = 5;

/// For how long, from the last of them. An account is never closed to other sources: nobody can lock out its owner.
const LOGIN_SECONDS: i64 = 15 * 60;

/// The window registrations of one source are counted in, from the first of them.
const REGISTRATION_SECONDS: i64 = 60 * 60;

/// How often a counter is looked at again because its window ended, or began, in between.
const ATTEMPTS: u32 = 4;

/// Logins counted at the same time. Only `local-dev` has more at once: they wait, and find the answer known meanwhile.
const TURNS: usize = 16;

/// How long a process remembers that an account is closed, in seconds, and how many of them.
const REMEMBERED_SECONDS: i64 = 1;
const REMEMBERED: usize = 1000;

/// A counter as stored.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Window {
    /// How many are known to have failed; the rest of `taken` is under way.
    #[serde(default)]
    failed: u32,
    /// Epoch seconds.
    expires_at: i64,
}

/// A login that was let through. [`LimitStore::settle`] it.
#[must_use]
pub struct Attempt(Item);

/// The counters of the users table.
#[derive(Clone)]
pub struct LimitStore {
    client: Client,
    table: String,
    registrations: u32,
    turns: Arc<Semaphore>,
    closed: Arc<Mutex<HashMap<String, Closed>>>,
}

/// An account that is closed to a source. Times are epoch seconds.
#[derive(Clone, Copy)]
struct Closed {
    /// When that was seen.
    seen: i64,
    until: i64,
}

impl LimitStore {
    /// The counters of the same table, through the same client. `REGISTRATIONS_PER_HOUR` is what one source may
    /// register; 0 is no limit.
    ///
    /// # Errors
    /// [`ConfigError`] if that is missing or no number.
    pub fn beside(users: &UserStore, env: &Environment) -> Result<Self, ConfigError> {
        let name = "REGISTRATIONS_PER_HOUR";
        let invalid = ConfigError::Invalid { name, problem: "must be a number, 0 for no limit" };
        let registrations = env.required(name)?.parse().map_err(|_| invalid)?;
        let (client, table) = users.parts();
        let (turns, closed) = (Arc::new(Semaphore::new(TURNS)), Arc::default());
        Ok(Self { client, table, registrations, turns, closed })
    }

    /// Lets a login, or another question for an account's password, through to the password.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`] after five failures within 15 minutes, and for a moment when that many are under way.
    pub async fn begin_login(&self, role: Role, email: &str, source: &Source) -> Result<Attempt, Error> {
        let role = match role {
            Role::User => "user",
            Role::Admin => "admin",
        };
        let name = name(&[role, &email.to_lowercase(), source.as_str()]);
        let key = key("LOGIN", &name);
        let _turn = self.turns.acquire().await.map_err(Error::internal("waiting to count a login"))?;
        if let Some(until) = self.known_closed(&name) {
            return Err(refusal(until));
        }
        let renewal = "SET expiresAt = :end ADD taken :one";
        match self.take(&key, renewal, LOGINS, LOGIN_SECONDS).await? {
            None => Ok(Attempt(key)),
            // The others may turn out to be right: whoever is told to come back in a second can.
            Some(window) if window.failed < LOGINS => Err(Error::TooManyAttempts { retry_after: 1 }),
            Some(window) => {
                self.remember_closed(name, window.expires_at);
                Err(refusal(window.expires_at))
            }
        }
    }

    fn known_closed(&self, name: &str) -> Option<i64> {
        let closed = *self.closed.lock().unwrap_or_else(PoisonError::into_inner).get(name)?;
        let now = Timestamp::now().as_second();
        (closed.seen + REMEMBERED_SECONDS >= now && closed.until > now).then_some(closed.until)
    }

    fn remember_closed(&self, name: String, until: i64) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if closed.len() == REMEMBERED {
            closed.clear();
        }
        closed.insert(name, Closed { seen: Timestamp::now().as_second(), until });
    }

    /// Notes how a login ended: a right password clears the counter.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn settle(&self, Attempt(key): Attempt, right: bool) -> Result<(), Error> {
        if right {
            let delete = self.client.delete_item().table_name(&self.table).set_key(Some(key)).send();
            return delete.await.map(drop).map_err(Error::internal("clearing a login counter"));
        }
        let update = self
            .update(&key)
            .update_expression("ADD failed :one")
            // A right password may have cleared it meanwhile.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":one", n(1));
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) if condition_failed(&error).is_some() => Ok(()),
            Err(error) => Err(Error::internal("counting a failed login")(error)),
        }
    }

    /// Counts a registration, successful or not: one that fails because an address is taken tells whose it is.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub async fn registration(&self, source: &Source) -> Result<(), Error> {
        if self.registrations == 0 {
            return Ok(());
        }
        let key = key("REGISTRATION", &name(&[source.as_str()]));
        let renewal = "SET expiresAt = if_not_exists(expiresAt, :end) ADD taken :one";
        let refused = self.take(&key, renewal, self.registrations, REGISTRATION_SECONDS).await?;
        refused.map_or(Ok(()), |window| Err(refusal(window.expires_at)))
    }

    /// Takes one of `limit`; the window if there is none left.
    async fn take(&self, key: &Item, renewal: &str, limit: u32, seconds: i64) -> Result<Option<Window>, Error> {
        let mut window = Window::default();
        for _ in 0..ATTEMPTS {
            let now = Timestamp::now().as_second();
            let one_more = self
                .update(key)
                .update_expression(renewal)
                .condition_expression("attribute_not_exists(pk) OR (taken < :limit AND expiresAt > :now)")
                .expression_attribute_values(":limit", n(limit))
                .expression_attribute_values(":now", n(now))
                .expression_attribute_values(":end", n(now + seconds))
                .expression_attribute_values(":one", n(1));
            if self.written(one_more).await? {
                return Ok(None);
            }
            window = self.read(key).await?;
            if window.expires_at > now {
                return Ok(Some(window));
            }
            // Items past their TTL may be there for days.
            let afresh = self
                .update(key)
                .update_expression("SET taken = :one, failed = :zero, expiresAt = :end")
                .condition_expression("expiresAt <= :now")
                .expression_attribute_values(":now", n(now))
                .expression_attribute_values(":end", n(now + seconds))
                .expression_attribute_values(":one", n(1))
                .expression_attribute_values(":zero", n(0));
            if self.written(afresh).await? {
                return Ok(None);
            }
        }
        Ok(Some(window))
    }

    fn update(&self, key: &Item) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).set_key(Some(key.clone()))
    }

    async fn written(&self, update: UpdateItemFluentBuilder) -> Result<bool, Error> {
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) if condition_failed(&error).is_some() => Ok(false),
            Err(error) => Err(Error::internal("counting attempts")(error)),
        }
    }

    async fn read(&self, key: &Item) -> Result<Window, Error> {
        let get = self.client.get_item().table_name(&self.table).set_key(Some(key.clone())).consistent_read(true);
        let item = get.send().await.map_err(Error::internal("reading a counter"))?.item;
        item.map_or(Ok(Window::default()), from_item).map_err(Error::internal("reading a counter"))
    }
}

fn refusal(until: i64) -> Error {
    let left = until - Timestamp::now().as_second();
    Error::TooManyAttempts { retry_after: left.max(1).unsigned_abs() }
}

/// Hashed: of one length whatever was sent, and no list of who tried what.
fn name(who: &[&str]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, who.join("\n").as_bytes()))
}

fn key(what: &str, who: &str) -> Item {
    HashMap::from([("pk".into(), s(format!("LIMIT#{what}#{who}"))), ("sk".into(), s("WINDOW"))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_of_account_and_source_has_a_counter_of_its_own() {
        let names = [
            name(&["user", "a@example.com", "192.0.2.1"]),
            name(&["user", "a@example.com", "192.0.2.2"]),
            name(&["user", "b@example.com", "192.0.2.1"]),
            name(&["admin", "a@example.com", "192.0.2.1"]),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name));
            assert!(!name.contains("example.com"));
        }
    }
}
