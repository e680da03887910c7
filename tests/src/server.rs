//! HTTP servers that stand in for others.

use std::net::SocketAddr;

use axum::Router;
use tokio::{net::TcpListener, task::AbortHandle};

/// Serves this on a free port and returns where. It ends with the test, or before that by the handle.
pub async fn serve(router: Router) -> (SocketAddr, AbortHandle) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    (address, server.abort_handle())
}
