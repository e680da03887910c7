//! The embedded database: opened, served on a loopback port, and swept of expired items.

use std::{net::SocketAddr, path::Path, time::Duration};

use axum::serve::Listener as _;
use tokio::{sync::oneshot, task::JoinHandle};

use super::{DatabaseError, inspect::inspect, server};
use crate::{
    own_host,
    server::{Peer, Port},
};

/// AWS deletes expired items within days; a laptop should not make anybody wait for it.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How long open requests may hold up the end.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A running embedded database. Dropping it stops it too, less gently.
#[derive(Debug)]
pub(super) struct Embedded {
    address: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    sweeper: JoinHandle<()>,
}

impl Embedded {
    pub(super) async fn start(data_dir: Option<&Path>) -> Result<Self, DatabaseError> {
        let file = data_dir.map(|directory| directory.join("dynamodb.db"));
        let place = file.as_ref().map_or_else(|| "memory".to_owned(), |file| file.display().to_string());
        let failed = |reason: String| DatabaseError::Open { place: place.clone(), reason };
        if let Some(directory) = data_dir {
            std::fs::create_dir_all(directory).map_err(|error| failed(error.to_string()))?;
        }
        let opened = tokio::task::spawn_blocking({
            let (file, place) = (file.clone(), place.clone());
            move || {
                let Some(file) = file else { return Ok(dynoxide::Database::memory()) };
                let unusable = |reason| DatabaseError::Unusable { file: place.clone(), reason };
                inspect(&file).map_err(unusable).map(|()| dynoxide::Database::new(&place))
            }
        });
        let opened = opened.await.map_err(|error| failed(error.to_string()))??;
        let database = opened.map_err(|error| failed(error.to_string()))?;
        let port = Port::bind_one(([127, 0, 0, 1], 0).into()).await.map_err(|error| failed(error.to_string()))?;
        let address = port.local_addr().map_err(|error| failed(error.to_string()))?;
        let (shutdown, stopped) = oneshot::channel::<()>();
        let service =
            own_host::only(server::router(database.clone()), &[]).into_make_service_with_connect_info::<Peer>();
        let stopped = async {
            // A dropped sender means stop as well.
            let _ = stopped.await;
        };
        let served = axum::serve(port, service).with_graceful_shutdown(stopped);
        let server = tokio::spawn(async move { served.await.unwrap_or_default() });
        Ok(Self { address, shutdown: Some(shutdown), server, sweeper: tokio::spawn(sweep(database)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn stop(mut self) {
        self.sweeper.abort();
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
        let _ = tokio::time::timeout(STOP_WITHIN, &mut self.server).await;
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.sweeper.abort();
        self.server.abort();
    }
}

async fn sweep(database: dynoxide::Database) {
    let mut timer = tokio::time::interval(SWEEP_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::debug!(count, "expired items deleted"),
            Ok(Err(error)) => tracing::warn!(%error, "expired items could not be deleted"),
            Err(error) => tracing::warn!(%error, "expired items could not be deleted"),
        }
    }
}
