//! The short way: functions that are this process call the services that are this process without a connection in between.

use std::net::SocketAddr;

use axum::Router;
use shared::transport::Transport;

use super::environment::reachable;
use crate::{Options, dynamodb::Database, permissions::Guard, server};

/// What the functions of this process are given; with `--loopback` there is nothing in it. Dropping it lets the services
/// go, which hold the functions that hold the transport.
pub(super) struct Within {
    transport: Transport,
    /// Of the port everything but the database is served at.
    address: SocketAddr,
    is_on: bool,
}

impl Within {
    /// The port is served later, when there are functions to serve; that it is going to be is known from now on.
    pub(super) fn of(options: &Options, address: SocketAddr) -> Self {
        let within = Self { transport: Transport::default(), address: reachable(address), is_on: !options.loopback };
        if within.is_on {
            within.transport.announce(within.address.to_string());
        }
        within
    }

    pub(super) fn transport(&self) -> Transport {
        self.transport.clone()
    }

    /// The embedded database, and what enforces policies in front of any.
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

    /// Everything that is served at the port.
    pub(super) fn connect(&self, router: Router) {
        if self.is_on {
            self.transport.connect(self.address.to_string(), server::within(router, self.address));
        }
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        self.transport.disconnect();
    }
}
