//! The flags.

use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Sends texts no client would send to the codec and to a running cloud, and exits with 1 at the first thing that must
/// not happen.
#[derive(Debug, Parser)]
#[command(name = "fuzz")]
pub(crate) struct Args {
    /// How long.
    #[arg(long, default_value_t = 600)]
    pub(crate) seconds: u64,

    /// What all texts follow from; printed when it is not given.
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// What to try.
    #[arg(long, value_enum, default_value_t = Target::All)]
    pub(crate) target: Target,
}

/// What to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Both, one after the other.
    All,
    /// The codec of `shared::protocol`.
    Codec,
    /// The message function, through the gateway edge of local-dev.
    Messages,
}

impl Target {
    /// The time of the codec and that of the messages.
    pub(crate) fn share(self, time: Duration) -> (Option<Duration>, Option<Duration>) {
        match self {
            Self::All => (Some(time / 4), Some(time - time / 4)),
            Self::Codec => (Some(time), None),
            Self::Messages => (None, Some(time)),
        }
    }
}
