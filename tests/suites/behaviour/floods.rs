//! A client that sends all it can: what that costs the program, and its neighbours.
#![cfg(target_os = "linux")]

use std::time::Duration;

use tests::{Edge, Process, Socket};
use tokio::time::interval;

/// Pairs of leaving and joining, the dearest a client can send: each is two transactions and an answer.
const PAIRS: usize = 20_000;

/// Open files the flood may cost, for the database and for answers.
const FILES: usize = 500;

/// Memory it may cost, in bytes.
const MEMORY: u64 = 100 * 1024 * 1024;

#[tokio::test]
async fn a_flood_of_leaving_and_joining_is_stopped_before_it_costs() {
    for edge in Edge::ALL {
        let program = Process::start(env!("CARGO_BIN_EXE_cloud"), &["--port", "0"]).await;
        let mut neighbour = Socket::connected(&program, edge, None).await;
        let mut flooder = Socket::connected(&program, edge, None).await;
        let (files, memory) = (program.open_files().unwrap(), program.peak_memory().unwrap());

        let mut most_files = files;
        let flood = async {
            for _ in 0..PAIRS {
                flooder.send("41/users,").await;
                flooder.send("40/users,").await;
            }
            flooder.drain().await
        };
        let looking = async {
            let mut look = interval(Duration::from_millis(5));
            loop {
                look.tick().await;
                most_files = most_files.max(program.open_files().unwrap());
            }
        };
        // It ends with the connection of the flooder, which is closed.
        tokio::select! {
            _ = flood => {}
            () = looking => {}
        }
        // The kernel's figure of the peak is put together from several counters, and may become a little smaller.
        let (files, memory) = (most_files - files, program.peak_memory().unwrap().saturating_sub(memory));
        println!("{edge:?}: {files} files, {} MB", memory >> 20);
        assert!(files < FILES && memory < MEMORY, "{edge:?}: {files} files, {} MB", memory >> 20);

        let user = program.rest().register().await;
        assert_eq!(neighbour.event().await, ("users.created".into(), user), "{edge:?}");
        assert!(program.interrupt().await.success());
    }
}
