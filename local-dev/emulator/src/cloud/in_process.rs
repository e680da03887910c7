//! Calls within the process: the functions it runs call the services it stands for without a connection in between.

use std::net::SocketAddr;

use axum::Router;
use transport::Transport;

use super::environment::reachable;
use crate::{dynamodb::Database, permissions::Guard, server};

/// The transport that the functions of this process are given, and what is connected to it; with the setting `loopback` nothing is.
/// Dropping it disconnects the services: they hold the functions, which hold the transport.
pub(super) struct InProcess {
    transport: Transport,
    /// Where everything but the database is served.
    address: SocketAddr,
    is_on: bool,
}

impl InProcess {
    /// Announces the port, which is served only when there are functions.
    pub(super) fn of(address: SocketAddr, loopback: bool) -> Self {
        let calls = Self { transport: Transport::default(), address: reachable(address), is_on: !loopback };
        if calls.is_on {
            calls.transport.announce(calls.address.to_string());
        }
        calls
    }

    pub(super) fn transport(&self) -> Transport {
        self.transport.clone()
    }

    /// Connects the embedded database, and the guard that enforces policies in front of any database.
    pub(super) fn connect_database(&self, database: &Database, guard: Option<&Guard>) {
        if !self.is_on {
            return;
        }
        if let Some(guard) = guard {
            self.transport.connect(guard.address().to_string(), guard.service());
        }
        if let (Some(service), Some(authority)) = (database.service(), database.endpoint().strip_prefix("http://")) {
            self.transport.connect(authority, service);
        }
    }

    /// Connects what is served at the port.
    pub(super) fn connect(&self, router: Router) {
        if self.is_on {
            self.transport.connect(self.address.to_string(), server::in_process(router, self.address));
        }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.transport.disconnect();
    }
}
