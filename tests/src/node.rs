//! Suites under Node's test runner, as tests of this package.
//!
//! They need Node, npm and, once, a network. Where one of these is missing they are skipped, and said to be skipped; in
//! CI (`CI` is set) that is a failure.

use std::{
    env,
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    process::{Command, Output},
};

/// The first version that ends a test that never does, and after how long: the longest, on a slow database and a busy
/// machine, takes a good part of that.
const TIMEOUT: ((u32, u32), &str) = ((20, 11), "--test-timeout=2400000");

/// What npm says when there is no way to its registry.
const NO_NETWORK: [&str; 7] =
    ["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH"];

/// A Node that is there.
#[derive(Debug, Clone, Copy)]
pub struct Node((u32, u32));

impl Node {
    /// Looks for Node of this version or a later one; why there is none.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn find(oldest: (u32, u32)) -> Result<Self, String> {
        let output = Command::new("node").arg("--version").output().map_err(|error| format!("no node: {error}"))?;
        let version = text(&output).trim().to_owned();
        let mut numbers = version.trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
        let found = numbers.next().zip(numbers.next()).filter(|found| *found >= oldest);
        found.map(Self).ok_or_else(|| format!("node {version}, but {}.{} is needed", oldest.0, oldest.1))
    }

    /// Runs the suites of a folder. What they print is shown if they fail.
    pub fn test(self, folder: &str, arguments: &[&str], variables: &[(&str, &str)]) {
        let (since, timeout) = TIMEOUT;
        let output = Command::new("node")
            .args(["--test", "--test-reporter=spec"])
            .args((self.0 >= since).then_some(timeout))
            .args(arguments)
            .current_dir(folder)
            .envs(variables.iter().copied())
            .output()
            .expect("node was found a moment ago");
        // Captured like everything a test prints: shown if it fails, or with `--nocapture`.
        println!("{}", text(&output));
        assert!(output.status.success(), "the runner ended with {}", output.status);
    }
}

/// Installs the packages of a folder's lock file, unless that has been done since the file last changed. Two tests that
/// need the same folder wait for each other, in two processes as well: `npm ci` begins by removing what is installed, and
/// two of them at once can leave half of it in a folder that looks finished.
///
/// # Errors
/// Why they cannot be had on this machine.
///
/// # Panics
/// If npm fails for another reason, or where nothing can be written beside the program that is running.
pub fn install(folder: &str) -> Result<(), String> {
    // Every test binary of one build is in the same folder.
    let lock = env::current_exe().expect("the path of this program").with_file_name("npm-ci.lock");
    let lock = File::create(&lock).unwrap_or_else(|error| panic!("{} cannot be written: {error}", lock.display()));
    // Held until it goes out of scope.
    lock.lock().expect("a lock of a file");
    let changed = |file: &str| fs::metadata(Path::new(folder).join(file)).and_then(|file| file.modified()).ok();
    // npm writes this file at the end of an installation.
    if changed("node_modules/.package-lock.json") >= changed("package-lock.json") {
        return Ok(());
    }
    let said = match npm(folder, &["ci", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1"])? {
        (true, _) => return Ok(()),
        (false, said) => said,
    };
    assert!(NO_NETWORK.iter().any(|code| said.contains(code)), "npm ci failed in {folder}:\n{said}");
    Err(format!("npm ci found no network:\n{said}"))
}

/// Runs npm in a folder: whether it was content, and what it said.
///
/// # Errors
/// There is no npm.
pub fn npm(folder: &str, arguments: &[&str]) -> Result<(bool, String), String> {
    let output = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
        .args(arguments)
        .current_dir(folder)
        .output()
        .map_err(|error| format!("no npm: {error}"))?;
    Ok((output.status.success(), text(&output)))
}

/// Passes without having tested anything, which nobody must overlook.
///
/// # Panics
/// In CI.
pub fn skip(what: &str, reason: &str) {
    assert!(env::var_os("CI").is_none(), "{what} cannot run, and in CI they must: {reason}");
    let notice = format!("\n*** {what} were SKIPPED: {reason}\n\n");
    // Not `eprintln!`: what a passing test prints is thrown away.
    io::stderr().write_all(notice.as_bytes()).unwrap();
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A folder whose installation fails while another one goes on in it.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let alone = r#"
            const fs = require("node:fs");
            fs.writeFileSync("busy", "", { flag: "wx" });
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
            fs.unlinkSync("busy");
        "#;
        let package = r#"{"name": "p", "version": "1.0.0", "scripts": {"preinstall": "node alone.cjs"}}"#;
        let lock = r#"{"name": "p", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "p", "version": "1.0.0"}}}"#;
        for (name, text) in [("alone.cjs", alone), ("package.json", package), ("package-lock.json", lock)] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn two_that_install_the_same_packages_wait_for_each_other() {
        if let Err(reason) = Node::find((18, 19)) {
            return skip("The test of two installations at once", &reason);
        }
        let folder = folder();
        let path = folder.path().to_str().unwrap();
        let ended = thread::scope(|scope| {
            let both = [(); 2].map(|()| scope.spawn(|| install(path)));
            both.map(|one| one.join().is_ok_and(|ended| ended.is_ok()))
        });
        assert_eq!(ended, [true, true]);
    }
}
