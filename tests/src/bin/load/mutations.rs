//! The renames: one after another, or by the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{StreamExt as _, future::try_join_all, stream};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{Failure, ledger::Ledger, rest::Rest};

/// How long after its response a rename may still be on its way. What takes longer counts as missing.
const HEARD_WITHIN: Duration = Duration::from_secs(15);

/// What comes twice comes late: retries are some hundred milliseconds apart.
const LISTEN_ON: Duration = Duration::from_millis(500);

/// Clients that make the history.
const HISTORY_CLIENTS: usize = 16;

/// A letter of four bytes, Old Persian A, and how many of them a name can have beside its marker and its number.
const LONG_LETTER: char = '\u{103a0}';
const LONG_NAME: usize = 140;

/// One run of this command. Names carry its id, so that it can tell its own events from others'.
pub(crate) struct Run {
    id: String,
    /// What comes behind the number in a name.
    filler: String,
}

impl Run {
    /// A run unlike any before, with short names or with long ones, of which a system keeps fewer for a socket that does
    /// not read.
    pub(crate) fn new(long_names: bool) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let filler = if long_names { format!(" {}", LONG_LETTER.to_string().repeat(LONG_NAME)) } else { String::new() };
        Self { id: format!("{:x}", now.as_micros()), filler }
    }

    /// What comes before the number in a name.
    pub(crate) fn marker(&self) -> String {
        format!("Load {} ", self.id)
    }

    /// Registers the users to rename and returns their ids.
    pub(crate) async fn register(&self, rest: &Rest, users: usize) -> Result<Vec<String>, Failure> {
        let mut ids = Vec::with_capacity(users);
        for user in 0..users {
            let name = format!("{}new", self.marker());
            ids.push(rest.register(&name, &format!("load-{}-{user}@example.com", self.id)).await?);
        }
        Ok(ids)
    }

    /// Sends each rename when the last socket has heard of the one before. Stops at the first that is not heard by all.
    pub(crate) async fn one_after_another(
        &self,
        mutations: usize,
        rest: &Rest,
        users: &[String],
        ledger: &Ledger,
    ) -> Result<(), Failure> {
        for mutation in 0..mutations {
            self.rename(mutation, rest, users, ledger).await?;
            if timeout(HEARD_WITHIN, ledger.heard_by_all(mutation + 1)).await.is_err() {
                return Ok(());
            }
        }
        sleep(LISTEN_ON).await;
        Ok(())
    }

    /// Sends so many renames per second, as far as the server keeps up: those of one user wait for each other's
    /// responses, or their order would not be known. Infinitely many are as many as it answers.
    pub(crate) async fn at_rate(
        &self,
        rate: f64,
        mutations: usize,
        rest: &Rest,
        users: &[String],
        ledger: &Ledger,
    ) -> Result<(), Failure> {
        let begin = Instant::now();
        let due = |mutation: usize| begin + Duration::from_secs_f64(mutation as f64 / rate);
        let renames_of = |user| async move {
            for mutation in (user..mutations).step_by(users.len()) {
                sleep_until(due(mutation)).await;
                self.rename(mutation, rest, users, ledger).await?;
            }
            Ok::<_, Failure>(())
        };
        try_join_all((0..users.len()).map(renames_of)).await?;
        if timeout(HEARD_WITHIN, ledger.heard_by_all(mutations)).await.is_ok() {
            sleep(LISTEN_ON).await;
        }
        Ok(())
    }

    /// Renames that are not measured, some at a time, in turn of all users.
    pub(crate) async fn make_history(&self, changes: usize, rest: &Rest, users: &[String]) -> Result<(), Failure> {
        let name = format!("{}old", self.marker());
        let changes = (0..changes).map(|change| rest.rename(&users[change % users.len()], &name));
        let mut changes = stream::iter(changes).buffer_unordered(HISTORY_CLIENTS);
        while let Some(done) = changes.next().await {
            done?;
        }
        Ok(())
    }

    async fn rename(&self, mutation: usize, rest: &Rest, users: &[String], ledger: &Ledger) -> Result<(), Failure> {
        let name = format!("{}{mutation}{}", self.marker(), self.filler);
        ledger.sent(mutation);
        rest.rename(&users[mutation % users.len()], &name).await?;
        ledger.answered(mutation);
        Ok(())
    }
}
