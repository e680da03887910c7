//! What may be tried how often.
//!
//! What costs something is counted before it is done: of a thousand logins at the same moment five are let through to a
//! password hash, and the others cost a refused write at most.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::{sync::Semaphore, try_join};

use super::{
    ClientNetwork,
    closed::Closed,
    counters::{Counters, Limit, name},
};
use crate::{
    auth::Role,
    config::{ConfigError, Environment},
    error::Error,
    users::{UserStore, mailbox},
};

const QUARTER_OF_AN_HOUR: i64 = 15 * 60;
const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// Wrong passwords an account takes from one source before it stops listening to it; a quarter of an hour without an
/// attempt, or a right password, and it has forgotten them. An account is never closed to other sources: nobody can lock
/// out its owner.
const OF_ACCOUNT: Limit = Limit { what: "LOGIN", most: 5, seconds: QUARTER_OF_AN_HOUR, from_the_last: true };

/// Wrong passwords of one source, for whatever accounts, in a quarter of an hour from the first. Many, because a whole
/// office or mobile network may be one source; few for somebody with a list of leaked passwords.
const OF_SOURCE: Limit = Limit { what: "LOGINS", most: 100, seconds: QUARTER_OF_AN_HOUR, from_the_last: false };

/// Codes for one e-mail address or phone number, however many accounts have it: each costs money, and somebody's nerves
/// if it is a stranger's number. With five guesses for each code they are also a limit of guesses, fifty a day.
const CODES: [Limit; 2] = [
    Limit { what: "CODE", most: 1, seconds: 60, from_the_last: false },
    Limit { what: "CODES", most: 10, seconds: DAY, from_the_last: false },
];

/// Logins counted at the same time. Only `local-dev` has more at once: they wait, and find the answer known meanwhile.
const TURNS: usize = 16;

/// The limits, counted in the users table.
#[derive(Clone)]
pub struct LimitStore {
    counters: Counters,
    registrations: Limit,
    turns: Arc<Semaphore>,
    closed: Arc<Closed>,
}

/// A login that was let through: whom it is counted for.
struct Attempt {
    account: String,
    source: String,
}

impl LimitStore {
    /// The counters of the same table, through the same client. `REGISTRATIONS_PER_HOUR` is what one source may
    /// register; 0 is no limit.
    ///
    /// # Errors
    /// [`ConfigError`] if that is missing or no number.
    pub fn beside(users: &UserStore, env: &Environment) -> Result<Self, ConfigError> {
        let variable = "REGISTRATIONS_PER_HOUR";
        let invalid = ConfigError::Invalid { name: variable, problem: "must be a number, 0 for no limit" };
        let most = env.required(variable)?.parse().map_err(|_| invalid)?;
        let (client, table) = users.parts();
        Ok(Self {
            counters: Counters { client, table },
            registrations: Limit { what: "REGISTRATION", most, seconds: HOUR, from_the_last: false },
            turns: Arc::new(Semaphore::new(TURNS)),
            closed: Arc::default(),
        })
    }

    /// Lets a login, or another question for an account's password, through to the password: `check` answers who that
    /// is, or `None` if it is wrong. A check that fails for another reason counts as none.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`] after too many wrong ones, and for a moment when that many are under way; what `check`
    /// fails with.
    pub async fn login<T>(
        &self,
        role: Role,
        email: &str,
        source: &ClientNetwork,
        check: impl Future<Output = Result<Option<T>, Error>>,
    ) -> Result<Option<T>, Error> {
        let Attempt { account, source } = self.begin(role, email, source).await?;
        let counters = &self.counters;
        let outcome = check.await;
        match &outcome {
            Ok(Some(_)) => {
                try_join!(counters.clear(OF_ACCOUNT, &account), counters.give_back(OF_SOURCE, &source))?;
            }
            Ok(None) => {
                try_join!(counters.failed(OF_ACCOUNT, &account), counters.failed(OF_SOURCE, &source))?;
            }
            Err(_) => {
                let back = try_join!(counters.give_back(OF_ACCOUNT, &account), counters.give_back(OF_SOURCE, &source));
                // What the check failed with is the answer.
                if let Err(error) = back {
                    error.log();
                }
            }
        }
        outcome
    }

    async fn begin(&self, role: Role, email: &str, source: &ClientNetwork) -> Result<Attempt, Error> {
        let role = match role {
            Role::User => "user",
            Role::Admin => "admin",
        };
        let account = name(&[role, &mailbox::canonical(email), source.as_str()]);
        let source = name(&[source.as_str()]);
        let _turn = self.turns.acquire().await.map_err(Error::internal("waiting to count a login"))?;
        if let Some(until) = self.closed.known(&account).max(self.closed.known(&source)) {
            return Err(refusal(until));
        }
        self.admit(OF_ACCOUNT, &account).await?;
        if let Err(refused) = self.admit(OF_SOURCE, &source).await {
            self.counters.give_back(OF_ACCOUNT, &account).await?;
            return Err(refused);
        }
        Ok(Attempt { account, source })
    }

    async fn admit(&self, limit: Limit, who: &str) -> Result<(), Error> {
        match self.counters.take(limit, who).await? {
            None => Ok(()),
            // The others may turn out to be right: whoever is told to come back in a second can.
            Some(window) if window.failed < limit.most => Err(Error::TooManyAttempts { retry_after: 1 }),
            Some(window) => {
                self.closed.remember(who.to_owned(), window.expires_at);
                Err(refusal(window.expires_at))
            }
        }
    }

    /// Counts a registration, successful or not: one that fails because an address is taken tells whose it is.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub async fn registration(&self, source: &ClientNetwork) -> Result<(), Error> {
        if self.registrations.most == 0 {
            return Ok(());
        }
        self.count(self.registrations, &name(&[source.as_str()])).await
    }

    /// Counts a code on its way to an e-mail address or phone number.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`] within a minute of the last one, and after ten in a day.
    pub async fn code(&self, destination: &str) -> Result<(), Error> {
        let destination = name(&[&mailbox::canonical(destination)]);
        for limit in CODES {
            self.count(limit, &destination).await?;
        }
        Ok(())
    }

    async fn count(&self, limit: Limit, who: &str) -> Result<(), Error> {
        let refused = self.counters.take(limit, who).await?;
        refused.map_or(Ok(()), |window| Err(refusal(window.expires_at)))
    }
}

fn refusal(until: i64) -> Error {
    let left = until - Timestamp::now().as_second();
    Error::TooManyAttempts { retry_after: left.max(1).unsigned_abs() }
}
