//! The program as a process of its own, for what only a process can show.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines},
    process::{Child, Command},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

use crate::Rest;

/// How long anything may take on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A started program; it ends with this value at the latest.
pub struct Process {
    child: Child,
    banner: String,
    url: String,
    log: UnboundedReceiver<String>,
    seen: Vec<String>,
}

/// The address where the program listens, for clients.
impl AsRef<str> for Process {
    fn as_ref(&self) -> &str {
        &self.url
    }
}

impl Process {
    /// Starts the program and waits until it has printed everything it prints at start.
    pub async fn start(program: &str, arguments: &[&str]) -> Self {
        Self::launch(Command::new(program).args(arguments)).await
    }

    /// Starts the program with these environment variables.
    pub async fn start_in(program: &str, arguments: &[&str], variables: impl Iterator<Item = (&str, &str)>) -> Self {
        Self::launch(Command::new(program).args(arguments).envs(variables)).await
    }

    /// Starts the program with a log as detailed as this filter says, for [`Process::logged`].
    pub async fn logging(program: &str, arguments: &[&str], filter: &str) -> Self {
        let mut command = Command::new(program);
        Self::launch(command.args(arguments).env("RUST_LOG", filter).stderr(Stdio::piped())).await
    }

    async fn launch(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let (sender, log) = unbounded_channel();
        if let Some(errors) = child.stderr.take() {
            tokio::spawn(pass_on(BufReader::new(errors).lines(), sender.clone()));
        }
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        while !banner.contains("Ctrl-C stops.") {
            let line = timeout(TIMEOUT, lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("it was not ready in time, after: {banner}"));
            banner += &line.unwrap().unwrap_or_else(|| panic!("it ended after: {banner}"));
            banner.push('\n');
        }
        let rest = banner.split("http://").nth(1).expect("a URL");
        let url = format!("http://{}", rest.split('/').next().unwrap());
        // What it prints later must not fill the pipe.
        tokio::spawn(pass_on(lines, sender));
        Self { child, banner, url, log, seen: Vec::new() }
    }

    /// Waits for a line of the log with all of these in it, unless there was one.
    pub async fn logged(&mut self, parts: &[&str]) {
        let has = |line: &String| parts.iter().all(|part| line.contains(part));
        let line = async {
            while !self.seen.iter().any(has) {
                self.seen.push(self.log.recv().await.expect("a log that goes on"));
            }
        };
        let found = timeout(TIMEOUT, line).await.is_ok();
        assert!(found, "no line with {parts:?} in time, in {:#?}", self.seen);
    }

    /// Ends it and returns everything it printed and logged since it had started.
    pub async fn into_log(mut self) -> String {
        self.signal("INT").await;
        while let Some(line) = timeout(TIMEOUT, self.log.recv()).await.expect("it ends in time") {
            self.seen.push(line);
        }
        self.seen.join("\n")
    }

    /// What the program printed at start.
    pub fn banner(&self) -> &str {
        &self.banner
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A REST client without a token.
    pub fn rest(&self) -> Rest {
        Rest::new(&self.url)
    }

    /// Files and sockets it has open; none where there is no `/proc`.
    pub fn open_files(&self) -> Option<usize> {
        Some(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()?)).ok()?.count())
    }

    /// Most memory it ever had, in bytes; none where there is no `/proc`.
    pub fn peak_memory(&self) -> Option<u64> {
        peak_memory(&self.child)
    }

    /// Ctrl-C.
    pub async fn interrupt(self) -> ExitStatus {
        self.signal("INT").await;
        self.ended().await
    }

    /// What a terminal sends that is closed.
    pub async fn hang_up(self) -> ExitStatus {
        self.signal("HUP").await;
        self.ended().await
    }

    async fn ended(mut self) -> ExitStatus {
        timeout(TIMEOUT, self.child.wait()).await.expect("it ends in time").unwrap()
    }

    async fn signal(&self, name: &str) {
        // The shell's own: the program `kill` is not on every machine.
        let kill = format!("kill -{name} {}", self.child.id().unwrap());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Arguments of `local-dev` for a free port and for users that are kept in this folder.
pub fn keeping_data_in(folder: &Path) -> Vec<&str> {
    vec!["--port", "0", "--data-dir", folder.to_str().unwrap()]
}

/// Linux keeps the high-water mark of a process's resident memory.
pub(crate) fn peak_memory(program: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id()?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

async fn pass_on(mut lines: Lines<BufReader<impl AsyncRead + Unpin>>, to: UnboundedSender<String>) {
    while let Ok(Some(line)) = lines.next_line().await {
        // Read on when nobody listens: the pipe must not fill.
        let _ = to.send(line);
    }
}
