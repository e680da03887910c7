//! The program as a process: what it prints, how it ends, and what survives `kill -9`.

use std::{collections::HashSet, path::Path, process::Stdio};

use futures::future::join_all;
use tests::{Edge, Process, Rest, Socket};
use tokio::process::Command;

#[tokio::test]
async fn help_shows_every_flag_with_its_variable() {
    let help = Command::new(env!("CARGO_BIN_EXE_cloud")).arg("--help").output().await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for flag in [
        "--host",
        "--port",
        "--dynamodb-endpoint",
        "--data-dir",
        "--stack-name",
        "--origins",
        "--anonymous",
        "--admin-email",
        "--admin-password",
        "--registrations-per-hour",
    ] {
        let variable = format!("LOCAL_DEV_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase());
        assert!(help.contains(flag) && help.contains(&variable), "{flag} {variable}\n{help}");
    }
}

#[tokio::test]
async fn start_prints_what_a_newcomer_needs_and_interrupt_ends_it() {
    let program = Process::start(env!("CARGO_BIN_EXE_cloud"), &["--port", "0"]).await;
    let url = program.url().to_owned();
    let banner = program.banner();
    for part in [
        &format!("{url}/api/v1"),
        &format!("io(\"{url}/users\""),
        "admin@example.com",
        "local-admin",
        "hear the feed",
        "curl ",
    ] {
        assert!(banner.contains(part), "{part}\n{banner}");
    }
    assert!(program.interrupt().await.success());
}

#[tokio::test]
async fn a_taken_port_is_said_with_a_way_out() {
    let first = Process::start(env!("CARGO_BIN_EXE_cloud"), &["--port", "0"]).await;
    let port = first.url().rsplit(':').next().unwrap();
    let second =
        Command::new(env!("CARGO_BIN_EXE_cloud")).args(["--port", port]).stdout(Stdio::null()).output().await.unwrap();
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && message.contains("--port 0"), "{message}");
    assert!(!message.contains("panicked"), "{message}");
}

fn arguments(folder: &Path) -> Vec<&str> {
    vec!["--port", "0", "--data-dir", folder.to_str().unwrap()]
}

#[tokio::test]
async fn users_and_tokens_survive_a_restart_with_a_data_dir() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(env!("CARGO_BIN_EXE_cloud"), &arguments(folder.path())).await;
    let user = first.rest().register().await;
    let token = first.rest().login(&user).await;
    first.interrupt().await;
    let second = Process::start(env!("CARGO_BIN_EXE_cloud"), &arguments(folder.path())).await;
    let me = second.rest().with_token(token.token()).get("/auth/me").await.expect(200);
    assert_eq!(me["user"], user);
    second.interrupt().await;
}

/// Kills the program while events are on their way, and expects each of them to be heard, before or after. The first one
/// is slow, so that some are left for the second.
#[tokio::test]
async fn what_was_committed_before_kill_9_is_delivered_by_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let slow = [arguments(folder.path()), vec!["--fault", "slow=broadcast:60s"]].concat();
    let first = Process::start(env!("CARGO_BIN_EXE_cloud"), &slow).await;
    let mut before = Socket::connected(&first, Edge::SocketIo, None).await;
    let rest = first.rest();
    let answers = join_all((0..40).map(|_| rest.post("/users/register", Rest::registration()))).await;
    first.kill().await;
    let committed = answers.into_iter().map(|answer| answer.expect(201)["user"]["id"].as_str().unwrap().to_owned());
    let heard = before.drain().await;
    let mut missing: HashSet<_> = committed.filter(|id| !heard.iter().any(|frame| frame.contains(id))).collect();
    assert!(!missing.is_empty(), "there is something left for the restart");

    let second = Process::start(env!("CARGO_BIN_EXE_cloud"), &arguments(folder.path())).await;
    let mut after = Socket::connected(&second, Edge::SocketIo, None).await;
    while !missing.is_empty() {
        let (name, user) = after.event().await;
        assert_eq!(name, "users.created");
        missing.remove(user["id"].as_str().unwrap());
    }
    second.interrupt().await;
}
