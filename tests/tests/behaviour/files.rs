//! Connections and open files: calls within the process need none, and a program that may have few loses nothing.

use futures::future::join_all;
use local_dev::{Limits, Options};
use serde_json::json;
use std::time::Duration;
use tests::{Cloud, Edge, Process, Socket};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

/// Changes a user over and over while a socket listens, and says how many files the program had open at most beside those
/// it has anyway.
async fn files_of_changes(arguments: &[&str]) -> Option<usize> {
    let program = Process::start(env!("CARGO_BIN_EXE_cloud"), &[&["--port", "0"], arguments].concat()).await;
    let mut socket = Socket::connected(&program, Edge::SocketIo, None).await;
    let user = program.rest().register().await;
    assert_eq!(socket.event().await.0, "users.created");
    let rest = program.rest().login(&user).await;
    let before = program.open_files()?;
    let path = format!("/users/{}", user["id"].as_str().unwrap());
    for number in 0..10 {
        rest.patch(&path, json!({ "fullName": format!("Name {number}") })).await.expect(200);
        assert_eq!(socket.event().await.0, "users.updated");
    }
    let after = program.open_files()?;
    program.interrupt().await;
    Some(after.saturating_sub(before))
}

#[tokio::test]
async fn changes_are_told_without_a_connection_within_the_process() {
    // The client itself keeps one.
    if let Some(more) = files_of_changes(&[]).await {
        assert!(more <= 1, "{more} more files");
    }
}

/// What [`files_of_changes`] counts is there to be counted.
#[tokio::test]
async fn with_loopback_functions_call_over_connections() {
    let program = Process::start(env!("CARGO_BIN_EXE_cloud"), &["--port", "0", "--loopback"]).await;
    let Some(before) = program.open_files() else { return };
    program.rest().register().await;
    let after = program.open_files().unwrap();
    assert!(after >= before + 2, "both ends of a connection to the database: {before}, {after}");
    program.interrupt().await;
}

/// Starts the program with this soft and this hard limit of open files.
async fn with_files(soft: &str, hard: &str, arguments: &[&str]) -> Process {
    let limited = format!("ulimit -Hn {hard} && ulimit -Sn {soft} && exec \"$0\" --port 0 \"$@\"");
    let command = ["-c", &limited, env!("CARGO_BIN_EXE_cloud")];
    Process::start("sh", &[&command, arguments].concat()).await
}

#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised_and_what_is_left_too_low_is_said() {
    let program = with_files("100", "600", &[]).await;
    let banner = program.banner();
    assert!(banner.contains("up to 450: this process may have 600 open files"), "{banner}");
    program.interrupt().await;
}

/// Both ends of each call are files of this one process, of which it has few.
#[tokio::test]
async fn with_few_files_and_calls_over_connections_every_delivery_still_arrives() {
    const CLIENTS: usize = 16;
    const CHANGES: usize = 5;
    let program = with_files("256", "256", &["--loopback"]).await;
    let mut sockets = Vec::new();
    for _ in 0..60 {
        sockets.push(Socket::connected(&program, Edge::SocketIo, None).await);
    }
    let admin = program.rest().login_admin().await;
    let users = join_all((0..CLIENTS).map(|_| async { program.rest().register().await })).await;
    let changing = join_all(users.iter().map(|user| async {
        let path = format!("/users/{}", user["id"].as_str().unwrap());
        for number in 0..CHANGES {
            admin.patch(&path, json!({ "fullName": format!("Name {number}") })).await.expect(200);
        }
    }));
    let hearing = join_all(sockets.iter_mut().map(|socket| async {
        for _ in 0..CLIENTS * (CHANGES + 1) {
            socket.event().await;
        }
    }));
    tokio::join!(changing, hearing);
    drop(sockets);
    program.interrupt().await;
}

#[tokio::test]
async fn sockets_beyond_what_there_are_files_for_are_refused_and_the_rest_of_the_program_goes_on() {
    let program = with_files("64", "64", &[]).await;
    let mut sockets = Vec::new();
    let refused = loop {
        match Socket::open(&program, Edge::Gateway, None).await {
            Ok(socket) => sockets.push(socket),
            Err(refused) => break refused,
        }
        assert!(sockets.len() <= 32, "more than there are files for");
    };
    assert_eq!(refused, 503);
    program.rest().register().await;
    drop(sockets);
    program.interrupt().await;
}

#[tokio::test]
async fn connections_that_send_nothing_are_closed_and_a_socket_that_is_silent_is_not() {
    let limits = Limits { headers: Duration::from_millis(500), ..Limits::default() };
    let cloud = Cloud::with(Options { limits, ..Options::default() }).await;
    let mut socket = Socket::connected(&cloud, Edge::Gateway, None).await;
    let address = cloud.url().trim_start_matches("http://").to_owned();
    let silent = join_all((0..50).map(|_| TcpStream::connect(address.clone()))).await;
    for connection in silent {
        let mut connection = connection.unwrap();
        let mut byte = [0; 8];
        let read = timeout(Duration::from_secs(60), connection.read(&mut byte));
        assert_eq!(read.await.expect("closed in time").unwrap(), 0);
    }
    let user = cloud.rest().register().await;
    assert_eq!(socket.event().await.1, user);
    drop(socket);
    cloud.stop().await;
}
