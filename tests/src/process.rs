//! The program as a process of its own, for what only a process can show.

use std::process::{ExitStatus, Stdio};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::Rest;

/// A started program; it ends with this value at the latest.
pub struct Process {
    child: Child,
    banner: String,
    url: String,
}

/// Where it listens, for clients.
impl AsRef<str> for Process {
    fn as_ref(&self) -> &str {
        &self.url
    }
}

impl Process {
    /// Starts the program and waits until it has printed everything it prints at start.
    pub async fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        let mut child = command.args(arguments).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        while !banner.contains("Ctrl-C stops.") {
            banner += &lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended after: {banner}"));
            banner.push('\n');
        }
        let rest = banner.split("http://").nth(1).expect("a URL");
        let url = format!("http://{}", rest.split('/').next().unwrap());
        // What it prints later must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, banner, url }
    }

    /// What it printed at start.
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

    /// Ctrl-C.
    pub async fn interrupt(mut self) -> ExitStatus {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
        self.child.wait().await.unwrap()
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
