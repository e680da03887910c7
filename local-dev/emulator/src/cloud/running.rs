//! A running cloud: what can be asked of it, and how it ends.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use super::{in_process::InProcess, lock::Lock};
use crate::{
    dynamodb::Database,
    event_source::{EventSources, checkpoint_table},
    faults::Faults,
    functions::Functions,
    gateway::Gateway,
    invoke_api::Asynchronous,
    permissions::{Guard, Permissions},
    schedule::Schedules,
    tally::Spent,
    template::Template,
};

/// How long it may take to close all sockets and to handle their `$disconnect`: longer than one that does not read may.
const SOCKETS_END_WITHIN: Duration = Duration::from_secs(5);

/// How long requests that are being answered may take at the end.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A running cloud. [`Running::stop`] ends it cleanly; dropping it ends it like a crash.
pub struct Running {
    pub(super) address: SocketAddr,
    pub(super) stack: String,
    pub(super) template: Template,
    pub(super) database: Database,
    pub(super) sources: EventSources,
    pub(super) schedules: Schedules,
    pub(super) asynchronous: Asynchronous,
    pub(super) functions: Functions,
    pub(super) faults: Arc<Faults>,
    pub(super) gateway: Gateway,
    pub(super) end_sockets: BoxFuture<'static, ()>,
    pub(super) permissions: Option<Arc<Permissions>>,
    pub(super) guard: Option<Guard>,
    pub(super) in_process: InProcess,
    pub(super) lock: Option<Lock>,
    pub(super) shutdown: oneshot::Sender<()>,
    pub(super) server: JoinHandle<()>,
}

impl Running {
    /// `http://<host>:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// First part of the path of the gateway's URLs.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.gateway.stage()
    }

    /// Where other tools reach the tables.
    #[must_use]
    pub fn dynamodb_endpoint(&self) -> &str {
        self.database.endpoint()
    }

    /// The URL of every port that was opened on this machine.
    #[must_use]
    pub fn ports(&self) -> Vec<String> {
        let embedded = self.database.is_embedded().then(|| self.database.endpoint().to_owned());
        [self.url()].into_iter().chain(embedded).chain(self.guard.as_ref().map(Guard::endpoint)).collect()
    }

    /// Changes of a former life that are still to be delivered.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.sources.backlog()
    }

    /// The bodies of what was given up, by the event sources and of asynchronous invocations.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<serde_json::Value> {
        self.sources.dead_letters().list().into_iter().map(|letter| letter.body).collect()
    }

    /// Invokes a function (its logical id in the template) and returns its answer.
    ///
    /// # Errors
    /// The words of the function that failed.
    pub async fn invoke(&self, function: &str, event: serde_json::Value) -> Result<serde_json::Value, String> {
        self.functions.run(function, event).await.map_err(|error| error.to_string())
    }

    /// What goes wrong on purpose, from now on.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What the functions did, with [`enforce_policies`](crate::Settings::enforce_policies).
    #[must_use]
    pub fn permissions(&self) -> Option<&Permissions> {
        self.permissions.as_deref()
    }

    /// What each function used of what AWS bills, by logical id, with
    /// [`enforce_policies`](crate::Settings::enforce_policies).
    #[must_use]
    pub fn spent(&self) -> BTreeMap<String, Spent> {
        self.permissions.as_ref().map(|permissions| permissions.tally().all()).unwrap_or_default()
    }

    /// Runs what the template schedules, as if it were that time.
    ///
    /// # Errors
    /// The words of the function that failed.
    pub async fn tick(&self, at: Timestamp) -> Result<(), String> {
        self.schedules.tick(at).await.map_err(|error| error.to_string())
    }

    /// Ends event sources, then sockets, then requests, then the database. What is on its way is told to the sockets
    /// that are still there, and what is not follows after the next start: told to rooms that have been emptied it would be
    /// told to nobody.
    pub async fn stop(self) {
        let (database, _lock) = self.wind_down().await;
        database.stop().await;
    }

    /// Like [`Running::stop`], and deletes the tables: for tests on a DynamoDB they share.
    pub async fn stop_and_drop_tables(self) {
        let (stack, tables) = (self.stack.clone(), self.template.tables().to_vec());
        let (database, _lock) = self.wind_down().await;
        let tables: Vec<_> = tables.into_iter().chain([checkpoint_table()]).collect();
        if let Err(error) = database.drop_tables(&stack, &tables).await {
            tracing::warn!(%error, "could not delete the tables");
        }
        database.stop().await;
    }

    /// Ends all but the database, whose folder is ours until that has ended, too.
    async fn wind_down(self) -> (Database, Option<Lock>) {
        self.sources.stop().await;
        // Side by side: each waits for the clients of the other as well.
        tokio::join!(self.end_sockets, self.gateway.stop(SOCKETS_END_WITHIN));
        let _ = self.shutdown.send(());
        let server = self.server.abort_handle();
        if timeout(STOP_WITHIN, self.server).await.is_err() {
            server.abort();
        }
        self.asynchronous.stop().await;
        drop(self.in_process);
        (self.database, self.lock)
    }
}
