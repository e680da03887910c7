//! The flags.

use clap::{Parser, ValueEnum};

/// Opens sockets, renames users, and measures how long after the request the sockets hear of it.
///
/// Without --url it starts a server of its own: `cloud`, which is local-dev, from the folder this command is in, with an
/// embedded database. Exits with 1 if a delivery is missing, doubled or out of order.
#[derive(Debug, Parser)]
#[command(name = "load")]
pub(crate) struct Args {
    /// Sockets to open.
    #[arg(long, default_value_t = 100, value_parser = at_least_one, value_name = "N")]
    sockets: usize,

    /// Renames to send.
    #[arg(long, default_value_t = 200, value_parser = at_least_one, value_name = "M")]
    mutations: usize,

    /// Users the renames go to in turn.
    #[arg(long, default_value_t = 10, value_parser = at_least_one, value_name = "U")]
    pub(crate) users: usize,

    /// Sockets beside those, with tiny receive buffers, that join and then never read. The server has to close them: one
    /// that is still open at the end is a failure. Names are long then, and yet it takes some 2,000 renames to fill what
    /// the systems of both sides keep for a connection (on Linux up to 4 MB with what it costs to keep them).
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) silent: usize,

    /// Renames before the measured ones, by sixteen clients, unheard: does the server get slower with what it was told?
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) history: usize,

    /// So many clients, each with a user of its own, rename as fast as they are answered; the sockets hear what they hear.
    #[arg(long, value_parser = at_least_one, value_name = "K", conflicts_with_all = ["rate", "users"])]
    pub(crate) clients: Option<usize>,

    /// Only open so many sockets, as fast as they are let in: how many handshakes a second, and what does an idle socket hold?
    #[arg(
        long,
        value_parser = at_least_one,
        value_name = "N",
        conflicts_with_all = ["sockets", "mutations", "silent", "history", "clients", "rate"]
    )]
    pub(crate) connects: Option<usize>,

    /// Where sockets connect.
    #[arg(long, value_enum, default_value_t = Edge::SocketIo)]
    pub(crate) edge: Edge,

    /// Renames per second; 0 sends each when the last socket has heard of the one before.
    #[arg(long, default_value_t = 0.0, value_parser = rate, value_name = "PER-SECOND")]
    pub(crate) rate: f64,

    /// A running server instead of one of its own, e.g. http://127.0.0.1:3000.
    #[arg(long, visible_alias = "against", value_parser = base_url)]
    pub(crate) url: Option<String>,

    /// Process of that server, to report its memory.
    #[arg(long, requires = "url")]
    pub(crate) pid: Option<u32>,

    /// E-mail address of the administrator.
    #[arg(long, default_value = "admin@example.com", value_name = "EMAIL")]
    pub(crate) admin_email: String,

    /// Password of the administrator.
    #[arg(long, default_value = "local-admin", value_name = "TEXT")]
    pub(crate) admin_password: String,

    /// Print the report as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A place where sockets connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Edge {
    /// The Socket.IO server at /socket.io/.
    #[value(name = "socket.io")]
    SocketIo,
    /// The emulated API Gateway at /dev.
    Dev,
}

impl Args {
    /// Sockets that listen.
    pub(crate) fn sockets(&self) -> usize {
        self.connects.unwrap_or(self.sockets)
    }

    /// Renames they hear.
    pub(crate) fn mutations(&self) -> usize {
        if self.connects.is_some() { 0 } else { self.mutations }
    }

    /// Users the renames go to.
    pub(crate) fn users(&self) -> usize {
        self.clients.unwrap_or(self.users)
    }
}

impl Edge {
    /// Path of the WebSocket.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::SocketIo => "/socket.io/",
            Self::Dev => "/dev",
        }
    }

    /// The name of the place on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SocketIo => "socket.io",
            Self::Dev => "dev",
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "must be a whole number above 0".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate >= 0.0);
    rate.ok_or_else(|| "must be a number, 0 or above".to_owned())
}

fn base_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let is_plain = url.strip_prefix("http://").is_some_and(|host| !host.is_empty() && !host.contains('/'));
    if is_plain { Ok(url.to_owned()) } else { Err("must be http://<host>:<port>".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_base_url_has_no_path() {
        assert_eq!(base_url("http://127.0.0.1:3000/").as_deref(), Ok("http://127.0.0.1:3000"));
        for bad in ["", "127.0.0.1:3000", "https://127.0.0.1", "http://", "http://127.0.0.1/api"] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
