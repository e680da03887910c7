//! Open files: a program that may have few of them loses nothing, and refuses what it has no room for.
#![cfg(unix)]

use futures::future::join_all;
use serde_json::json;
use tests::{Edge, Process, Socket};

/// Starts the program with so many open files at most.
async fn with_files(limit: usize, arguments: &[&str]) -> Process {
    let limited = format!("ulimit -n {limit}; exec \"$0\" --port 0 \"$@\"");
    let command = ["-c", &limited, env!("CARGO_BIN_EXE_cloud")];
    Process::start("sh", &[&command, arguments].concat()).await
}

/// With as many files as systems usually give a program. Both ends of each call are files of this one process.
#[tokio::test]
async fn with_the_usual_limit_of_files_and_calls_over_connections_every_delivery_arrives() {
    const CLIENTS: usize = 16;
    const CHANGES: usize = 5;
    let program = with_files(1024, &["--loopback"]).await;
    let mut sockets = Vec::new();
    for _ in 0..100 {
        sockets.push(Socket::connected(&program, Edge::SocketIo, None).await);
    }
    let admin = program.rest().login_admin().await;
    let users = join_all((0..CLIENTS).map(|_| async { program.rest().register().await })).await;
    let changing = join_all(users.iter().map(|user| async {
        let path = format!("/users/{}", user["id"].as_str().unwrap());
        for number in 0..CHANGES {
            admin.patch(&path, json!({ "fullName": format!("Sara Ahmadi {number}") })).await.expect(200);
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
    let program = with_files(256, &[]).await;
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
