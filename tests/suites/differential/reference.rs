//! A plain socketioxide server with the namespace `/users`, and nobody who listens to events.

use std::time::Duration;

use axum::Router;
use serde::Serialize;
use socketioxide::{SocketIo, extract::SocketRef};
use tests::serve;
use tokio::task::AbortHandle;

/// The limit of the gateway for frames.
pub(crate) const MAX_FRAME: usize = 32 * 1024;

/// No ping comes while a session is played.
const INTERVAL: Duration = Duration::from_secs(480);

/// The server; it ends with this value.
pub(crate) struct Reference {
    io: SocketIo,
    url: String,
    server: AbortHandle,
}

/// The address where the reference listens, for clients.
impl AsRef<str> for Reference {
    fn as_ref(&self) -> &str {
        &self.url
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Reference {
    /// Starts it on a free port.
    pub(crate) async fn start(connect_timeout: Duration) -> Self {
        let builder = SocketIo::builder().ping_interval(INTERVAL).connect_timeout(connect_timeout);
        let (service, io) = builder.max_payload(128 * 1024).ws_max_message_size(MAX_FRAME).build_svc();
        io.ns("/users", async |_: SocketRef| {});
        let (address, server) = serve(Router::new().route_service("/socket.io/", service)).await;
        Self { io, url: format!("http://{address}"), server }
    }

    /// Posts an event to everybody in `/users`.
    pub(crate) async fn emit(&self, event: &str, payload: &(impl Serialize + Sync)) {
        self.io.of("/users").unwrap().emit(event, payload).await.unwrap();
    }
}
