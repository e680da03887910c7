//! The embedded database: opened, served on a loopback port, swept of expired items, and trimmed of old stream records.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};
use transport::Service;
use uuid::Uuid;

use super::{
    DatabaseError,
    inspect::inspect,
    retention::{Claim, Claims, Trimmer, keep_trimming},
    server::{self, Served},
    turn::Turn,
    written::Written,
};
use crate::{
    own_host,
    server::{Port, in_process, serve},
};

/// AWS deletes expired items within days; a laptop should not make anybody wait for it.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How long open requests may hold up the end.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A running embedded database. Dropping it stops it too, less gently.
pub(super) struct Embedded {
    address: SocketAddr,
    /// Answers as the port does.
    service: Service,
    written: Written,
    claims: Claims,
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    keepers: [JoinHandle<()>; 2],
}

impl Embedded {
    pub(super) async fn start(data_dir: Option<&Path>) -> Result<Self, DatabaseError> {
        let (claims, turn, written) = (Claims::default(), Turn::default(), Written::default());
        let place = data_dir.map_or_else(|| "memory".to_owned(), |directory| file(directory).display().to_string());
        let failed = |reason: String| DatabaseError::Open { place: place.clone(), reason };
        let opened = tokio::task::spawn_blocking({
            let (data_dir, claims, turn) = (data_dir.map(Path::to_owned), claims.clone(), turn.clone());
            move || open(data_dir.as_deref(), claims, turn)
        });
        let (database, trimmer) = opened.await.map_err(|error| failed(error.to_string()))??;
        let port = Port::bind_one(([127, 0, 0, 1], 0).into()).await.map_err(|error| failed(error.to_string()))?;
        let address = port.local_addr().map_err(|error| failed(error.to_string()))?;
        let (shutdown, stopped) = oneshot::channel::<()>();
        let served = Served { database: database.clone(), turn, written: written.clone() };
        let router = own_host::only(server::router(served), &[]);
        let service = in_process(router.clone(), address);
        // A dropped sender means stop as well.
        let server = tokio::spawn(serve(port, router, async { stopped.await.unwrap_or_default() }));
        let keepers = [tokio::spawn(sweep(database, written.clone())), tokio::spawn(keep_trimming(trimmer))];
        Ok(Self { address, service, written, claims, shutdown: Some(shutdown), server, keepers })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The database as a service for requests of this process.
    pub(super) fn service(&self) -> Service {
        self.service.clone()
    }

    /// Changes with every write to the table.
    pub(super) fn written(&self, table: &str) -> watch::Receiver<u64> {
        self.written.subscribe(table)
    }

    /// Keeps what this reader has not passed, for 24 hours.
    pub(super) fn claim(&self, table: &str, reader: &str) -> Claim {
        self.claims.add(table, reader)
    }

    #[cfg(test)]
    pub(super) fn readers(&self, table: &str) -> Vec<String> {
        self.claims.readers(table)
    }

    pub(super) async fn stop(mut self) {
        self.keepers.iter().for_each(JoinHandle::abort);
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
        let _ = tokio::time::timeout(STOP_WITHIN, &mut self.server).await;
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.keepers.iter().for_each(JoinHandle::abort);
        self.server.abort();
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("dynamodb.db")
}

/// Opens the database twice: for requests, and for what is to be forgotten.
///
/// In memory it is a file of SQLite's own `memdb`, which connections of one process share by its name: one of `:memory:`
/// has a single connection for ever, which the library keeps to itself, and one with a shared cache refuses at once what
/// it finds locked. It is gone with the last connection, and so with the process.
pub(super) fn open(
    data_dir: Option<&Path>,
    claims: Claims,
    turn: Turn,
) -> Result<(dynoxide::Database, Trimmer), DatabaseError> {
    let place = match data_dir {
        Some(directory) => file(directory).display().to_string(),
        None => format!("file:/{}?vfs=memdb", Uuid::new_v4()),
    };
    let failed = |reason: String| DatabaseError::Open { place: place.clone(), reason };
    if let Some(directory) = data_dir {
        std::fs::create_dir_all(directory).map_err(|error| failed(error.to_string()))?;
        inspect(&file(directory)).map_err(|reason| DatabaseError::Unusable { file: place.clone(), reason })?;
    }
    let database = dynoxide::Database::new(&place).map_err(|error| failed(error.to_string()))?;
    let trimmer = Trimmer::open(&place, claims, turn).map_err(|error| failed(error.to_string()))?;
    Ok((database, trimmer))
}

async fn sweep(database: dynoxide::Database, written: Written) {
    let mut timer = tokio::time::interval(SWEEP_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => {
                tracing::debug!(count, "expired items deleted");
                written.everywhere();
            }
            Ok(Err(error)) => tracing::warn!(%error, "expired items could not be deleted"),
            Err(error) => tracing::warn!(%error, "expired items could not be deleted"),
        }
    }
}
