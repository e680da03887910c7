//! The suites of `tests/e2e`: the program as the official `socket.io-client` meets it, under Node's test runner.
//!
//! They need Node, npm and, once, a network. Where one of these is missing they are skipped, and said to be skipped; in
//! CI (`CI` is set) that is a failure. `DYNAMODB_ENDPOINT` makes the program use that database instead of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    env, fs,
    io::{self, Write as _},
    path::Path,
    process::{Command, Output},
};

const SUITES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e");

/// The first version with a test runner that has all the suites use.
const OLDEST_NODE: (u32, u32) = (18, 19);

/// The first version that ends a test that never does, and after how long: the longest, on a slow database and a busy
/// machine, takes a good part of that.
const TIMEOUT: ((u32, u32), &str) = ((20, 11), "--test-timeout=2400000");

/// What npm says when there is no way to its registry.
const NO_NETWORK: [&str; 7] =
    ["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH"];

#[test]
fn the_official_client_is_served_as_promised() {
    let node = match find_node().and_then(|node| install().map(|()| node)) {
        Ok(node) => node,
        Err(reason) => return skip(&reason),
    };
    let (since, timeout) = TIMEOUT;
    let output = Command::new("node")
        .args(["--test", "--test-reporter=spec"])
        .args((node >= since).then_some(timeout))
        .current_dir(SUITES)
        .env("CLOUD_BIN", env!("CARGO_BIN_EXE_cloud"))
        .output()
        .expect("node was found a moment ago");
    // Captured like everything a test prints: shown if it fails, or with `--nocapture`.
    println!("{}", text(&output));
    assert!(output.status.success(), "the runner ended with {}", output.status);
}

/// Passes without having tested anything, which nobody must overlook.
fn skip(reason: &str) {
    assert!(env::var_os("CI").is_none(), "the official client tests cannot run, and in CI they must: {reason}");
    let notice = format!("\n*** The official client tests were SKIPPED: {reason}\n\n");
    // Not `eprintln!`: what a passing test prints is thrown away.
    io::stderr().write_all(notice.as_bytes()).unwrap();
}

fn find_node() -> Result<(u32, u32), String> {
    let output = Command::new("node").arg("--version").output().map_err(|error| format!("no node: {error}"))?;
    let version = text(&output).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
    let (major, minor) = OLDEST_NODE;
    let found = numbers.next().zip(numbers.next()).filter(|found| *found >= OLDEST_NODE);
    found.ok_or_else(|| format!("node {version}, but {major}.{minor} is needed"))
}

/// Installs the packages of the lock file, unless that has been done since the file last changed.
fn install() -> Result<(), String> {
    let changed = |file: &str| fs::metadata(Path::new(SUITES).join(file)).and_then(|file| file.modified()).ok();
    // npm writes this file at the end of an installation.
    if changed("node_modules/.package-lock.json") >= changed("package-lock.json") {
        return Ok(());
    }
    let output = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
        .args(["ci", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1"])
        .current_dir(SUITES)
        .output()
        .map_err(|error| format!("no npm: {error}"))?;
    let said = text(&output);
    if output.status.success() {
        Ok(())
    } else if NO_NETWORK.iter().any(|code| said.contains(code)) {
        Err(format!("npm ci found no network:\n{said}"))
    } else {
        panic!("npm ci failed:\n{said}")
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}
