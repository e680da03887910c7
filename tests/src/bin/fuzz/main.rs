//! `cargo run -p tests --bin fuzz`: tries to break the codec and the message function until the time is up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test program: whatever is unexpected is an end"
)]

mod args;
mod progress;

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;
use tests::fuzz::{Budget, Finding, codec, messages};

use crate::{args::Args, progress::reporting};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}, {} seconds", args.seconds);
    match run(&args, seed).await {
        Ok(()) => {
            println!("no finding");
            ExitCode::SUCCESS
        }
        Err(finding) => {
            println!("{finding}");
            ExitCode::FAILURE
        }
    }
}

/// The codec gets a quarter of the time: it is some hundred times faster.
async fn run(args: &Args, seed: u64) -> Result<(), Finding> {
    let (codec_time, messages_time) = args.target.share(Duration::from_secs(args.seconds));
    if let Some(time) = codec_time {
        reporting("codec", Budget::time(time), async |budget| {
            let run = tokio::task::spawn_blocking(move || codec::run(&budget, seed));
            run.await.expect("the codec target ends")
        })
        .await?;
    }
    if let Some(time) = messages_time {
        reporting("messages", Budget::time(time), async |budget| messages::run(&budget, seed).await).await?;
    }
    Ok(())
}
