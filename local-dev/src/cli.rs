//! The program: flags, logs, what it prints, and how it ends.

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use planner::{Crowd, Load, read_and_hash};
use tracing_subscriber::{EnvFilter, fmt};

use crate::{Anonymous, Options, Running, StartError, contract::Out, open_files, start};

/// The system's allocator keeps the 19 MiB of every password hash; this one gives them back when the thread ends.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long a thread that hashed a password waits for the next one.
const HASHING_THREADS_STAY: Duration = Duration::from_secs(2);

/// Moien Realtime on this machine: REST, Socket.IO and DynamoDB in one process, offline.
#[derive(Parser)]
#[command(name = "local-dev", version, args_conflicts_with_subcommands = true)]
struct Command {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    instead: Option<Instead>,
}

/// What the program does instead of running.
#[derive(Subcommand)]
enum Instead {
    /// What a month on AWS costs.
    Cost(Load),
    /// What happens with many sockets, simulated.
    Capacity(Crowd),
    /// Hashes the password on standard input, for the template's parameter AdminPasswordHash.
    AdminHash,
    /// Writes the contract of events and REST: TypeScript, JSON Schema, AsyncAPI and OpenAPI.
    Contract(Out),
}

/// Runs until Ctrl-C, or does what a subcommand says.
#[must_use]
pub fn run() -> ExitCode {
    let matches = Command::command().mut_args(without_empty_variable).get_matches();
    let Command { options, instead } = match Command::from_arg_matches(&matches) {
        Ok(command) => command,
        Err(error) => error.exit(),
    };
    let given = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.is_empty());
    let filter = given.and_then(|filter| EnvFilter::try_new(filter).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new("warn,dynoxide=error,emulator::messages=info"));
    let colours = std::io::stderr().is_terminal();
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // It would say on standard error that standard error is gone, and panic.
    log.log_internal_errors(false).init();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.thread_keep_alive(HASHING_THREADS_STAY).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no threads to run on: {error}")),
    };
    let Some(instead) = instead else { return runtime.block_on(serve(&options)) };
    let answer = match instead {
        Instead::Cost(load) => load.bill().map(|bill| bill.to_string()).map_err(|error| error.to_string()),
        Instead::Capacity(crowd) => {
            crowd.simulate().map(|report| report.to_string()).map_err(|error| error.to_string())
        }
        Instead::Contract(out) => out.write(),
        Instead::AdminHash => runtime.block_on(read_and_hash()).map(|hash| hash + "\n"),
    };
    match answer {
        Ok(answer) => {
            say(&answer);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// An empty environment variable counts as absent.
fn without_empty_variable(arg: Arg) -> Arg {
    let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { arg.env(None::<&'static str>) } else { arg }
}

/// Writes to standard output. That nobody reads to the end is no error.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

async fn serve(options: &Options) -> ExitCode {
    let open_files = open_files::raise();
    // Heard from here on: whoever reads the banner may end this at once.
    let stop = tokio::spawn(stop_signal());
    match start(options.clone()).await {
        Ok(running) => {
            say(&banner(options, &running, open_files));
            let _ = stop.await;
            say("\nStopping.\n");
            running.stop().await;
            ExitCode::SUCCESS
        }
        Err(error) => fail(&advice(&error, options)),
    }
}

fn fail(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "local-dev: {message}");
    ExitCode::FAILURE
}

/// The error, and how to get past it where that is known.
fn advice(error: &StartError, options: &Options) -> String {
    match error {
        StartError::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            format!(
                "{error}.\nAnother program has port {}. Stop it, or choose another: --port 0 picks a free one.",
                options.port
            )
        }
        _ => error.to_string(),
    }
}

/// What a newcomer needs next.
fn banner(options: &Options, running: &Running, open_files: u64) -> String {
    let url = running.url();
    let anonymous = match options.anonymous {
        Anonymous::Allow => "hear the feed (--anonymous deny refuses them, as AWS does)",
        Anonymous::Deny => "are refused; connect with auth: { token }",
    };
    let exposed = if options.host.is_loopback() {
        ""
    } else {
        "  Careful: this is not a loopback address; whoever reaches it may post to every socket.\n"
    };
    let kept = match (&options.data_dir, &options.dynamodb_endpoint) {
        (Some(folder), _) => format!("embedded, kept in {}", folder.display()),
        (None, Some(_)) => "as given".to_owned(),
        (None, None) => "embedded, in memory (--data-dir keeps it)".to_owned(),
    };
    let backlog = match running.backlog() {
        0 => String::new(),
        n => format!("  {n} changes were not delivered before the last stop; they follow once sockets are back\n"),
    };
    let few_files = open_files::notice(open_files, options.has_calls_over_connections()).unwrap_or_default();
    format!(
        r#"
Moien Realtime is running.

  REST       {url}/api/v1   (described at {url}/api/docs)
  Socket.IO  {url}/users   (path /socket.io/, or /{stage} with addTrailingSlash: false, as on AWS)
  Dashboard  {url}/   (built by npm ci && npm run build in local-dev/dashboard)
  DynamoDB   {dynamodb}   ({kept})
  Messages   {url}/_dev/messages  (e-mails and text messages; also printed here)
  Admin      {email} / {password}
  Sockets without a token {anonymous}.
{exposed}{backlog}{few_files}
Listen, in Node or a browser (npm install socket.io-client):

  import {{ io }} from "socket.io-client";
  const socket = io("{url}/users", {{ transports: ["websocket"] }});
  socket.on("connect", () => console.log("connected"));
  socket.onAny((event, payload) => console.log(event, payload));

Make something happen:

  curl {url}/api/v1/users/register -H 'content-type: application/json' -d '{{"fullName":"Sara Ahmadi Rad","countryCode":"IR","countryName":"Iran","phone":"+989121234567","email":"sara@example.com","password":"correct horse"}}'

Ctrl-C stops.
"#,
        stage = running.stage(),
        dynamodb = running.dynamodb_endpoint(),
        email = options.admin_email,
        password = options.admin_password,
    )
}

/// Ctrl-C, the polite signal of a supervisor, or the end of the terminal, unless that was to be ignored (`nohup`).
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // Listening to it would end that it is ignored.
        let hangup = if hangup_is_ignored() { None } else { signal(SignalKind::hangup()).ok() };
        let hung_up = async {
            match hangup {
                Some(mut hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
                () = hung_up => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}

/// Whether whoever started this had SIGHUP ignored. Only Linux says so in a file.
#[cfg(unix)]
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The lowest bit is that of signal 1, SIGHUP.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
