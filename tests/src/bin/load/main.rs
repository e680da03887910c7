//! A load command: many sockets hear many renames, and this says how fast, how completely and at what cost.
//!
//! Not a test: times depend on the machine. What must hold on every machine, that nothing is missing, doubled or out of
//! order, decides the exit code: 0 if it held, 1 if not, 2 if there is nothing to report.

mod args;
mod ledger;
mod memory;
mod mutations;
mod report;
mod rest;
mod server;
mod socket;
mod table;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser as _;
use tokio::time::sleep;

use self::{
    args::Args,
    ledger::Ledger,
    memory::Resident,
    mutations::Run,
    report::{Memory, Report, Seen},
    rest::Rest,
    server::Server,
    socket::{Silent, Sockets},
};

/// How long the server may rest before its memory is read: its threads for hashing end after two seconds.
const REST: Duration = Duration::from_secs(3);

/// Why there is nothing to report, in words for whoever started the command.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args = Args::parse();
    // One thread: the server has the other cores, and sockets here only look for a number in a frame.
    let outcome = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run_until_interrupted(&args)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(report) => {
            if args.json {
                println!("{}", serde_json::json!(report));
            } else {
                print!("{}", table::of(&report));
            }
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("load: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Interrupted, it drops the server on the way out, which ends it.
async fn run_until_interrupted(args: &Args) -> Result<Report, Failure> {
    tokio::select! {
        outcome = run(args) => outcome,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        () = server::told_to_end() => Err("told to end".into()),
    }
}

async fn run(args: &Args) -> Result<Report, Failure> {
    let server = Server::of(args).await?;
    let outcome = measure(args, &server).await;
    // With the server gone every other error is a consequence.
    server.stop().await?;
    outcome
}

/// What the server holds when it has given back what it needed only for its last work.
async fn at_rest(server: &Server) -> Option<Resident> {
    sleep(REST).await;
    server.memory()
}

async fn measure(args: &Args, server: &Server) -> Result<Report, Failure> {
    let idle = at_rest(server).await;
    let rest = Rest::login(server.url(), &args.admin_email, &args.admin_password).await?;
    let run = Run::new(args.silent > 0);
    let users = run.register(&rest, args.users()).await?;
    run.make_history(args.history, &rest, &users).await?;
    let before_sockets = at_rest(server).await;

    let ledger = Arc::new(Ledger::new(args.sockets(), args.mutations(), users.len()));
    let begin = Instant::now();
    let sockets = Sockets::open(args.sockets(), server.url(), args.edge, &run.marker(), &ledger).await?;
    let connecting = begin.elapsed();
    let silent = Silent::open(args.silent, server.url(), args.edge).await?;
    let with_sockets = at_rest(server).await;

    let processor_time = server.processor_time();
    let rate = args.clients.map_or(args.rate, |_| f64::INFINITY);
    if rate > 0.0 {
        run.at_rate(rate, args.mutations(), &rest, &users, &ledger).await?;
    } else {
        run.one_after_another(args.mutations(), &rest, &users, &ledger).await?;
    }
    let tally = ledger.tally();
    let processor_time =
        processor_time.zip(server.processor_time()).map(|(before, after)| after.saturating_sub(before));
    let after_run = at_rest(server).await;
    let silent_open = silent.still_open().await;
    drop(sockets);
    let memory = Memory::of([idle, before_sockets, with_sockets, after_run], args.sockets());
    Report::new(args, connecting, &tally, &Seen { memory, processor_time, silent_open })
}
