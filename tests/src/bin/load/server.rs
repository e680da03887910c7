//! The server under load: a process of its own, or one that runs already.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{
    Failure,
    args::Args,
    memory::{Resident, processor_time},
};

/// The program to start; Cargo builds it beside this one.
const PROGRAM: &str = "cloud";

/// How long the server may take to start: well under a second, and a few for a debug build on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(60);

/// Something that answers under a URL.
pub(crate) struct Server {
    url: String,
    pid: Option<u32>,
    own: Option<Own>,
}

/// A process of this command, which does not outlive it.
struct Own {
    process: Child,
    /// Kept open: printing into a pipe that nobody reads would be the server's end.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// The one the flags ask for.
    pub(crate) async fn of(args: &Args) -> Result<Self, Failure> {
        match &args.url {
            Some(url) => Ok(Self { url: url.clone(), pid: args.pid, own: None }),
            None => Self::start(args).await,
        }
    }

    async fn start(args: &Args) -> Result<Self, Failure> {
        let program = program()?;
        let mut process = Command::new(&program)
            .args(["--host", "127.0.0.1", "--port", "0", "--anonymous", "allow"])
            // What is measured is the service, not the template's throttles.
            .args(["--parameter", "RestRequestsPerSecond=1000000", "--parameter", "PasswordRequestsPerSecond=1000000"])
            .args(["--admin-email", &args.admin_email, "--admin-password", &args.admin_password])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let output = process.stdout.take().ok_or("the server has no output")?;
        let mut output = BufReader::new(output).lines();
        let url = timeout(START_WITHIN, announced(&mut output))
            .await
            .map_err(|_| format!("the server did not say where it is within {START_WITHIN:?}"))??;
        Ok(Self { url, pid: process.id(), own: Some(Own { process, _output: output }) })
    }

    /// `http://<host>:<port>`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The memory the server holds now, if its process is known.
    pub(crate) fn memory(&self) -> Option<Resident> {
        self.pid.and_then(Resident::of)
    }

    /// The processor time the server has used so far, if its process is known.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        self.pid.and_then(processor_time)
    }

    /// Ends it, if it is this command's own. It keeps nothing, so there is nothing to be polite about.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let Some(mut own) = self.own else { return Ok(()) };
        if let Some(status) = own.process.try_wait()? {
            return Err(format!("the server ended by itself: {status}").into());
        }
        Ok(own.process.kill().await?)
    }
}

/// The neighbour of this program.
fn program() -> Result<PathBuf, Failure> {
    let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    let program = std::env::current_exe()?.with_file_name(name);
    if program.is_file() {
        return Ok(program);
    }
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    Err(format!(
        "there is no {} to start; build it with `cargo build{release} -p tests`, or give a running server with --url",
        program.display()
    )
    .into())
}

/// Reads on until the banner names the base URL.
async fn announced(output: &mut Lines<BufReader<ChildStdout>>) -> Result<String, Failure> {
    while let Some(line) = output.next_line().await? {
        if let Some(url) = base_url(&line) {
            return Ok(url.to_owned());
        }
    }
    Err("the server ended before it said where it is; its own message is above".into())
}

/// `http://127.0.0.1:<port>` in a line of text.
fn base_url(line: &str) -> Option<&str> {
    const HOST: &str = "http://127.0.0.1:";
    let url = &line[line.find(HOST)?..];
    let port = url[HOST.len()..].bytes().take_while(u8::is_ascii_digit).count();
    (port > 0).then(|| &url[..HOST.len() + port])
}

/// The polite signal of a supervisor.
pub(crate) async fn told_to_end() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        terminate.recv().await;
        return;
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_the_base_url() {
        assert_eq!(base_url("  REST       http://127.0.0.1:40123/api/v1"), Some("http://127.0.0.1:40123"));
        for other in ["", "Moien Realtime is running.", "http://127.0.0.1:", "http://localhost:3000"] {
            assert_eq!(base_url(other), None, "{other}");
        }
    }
}
