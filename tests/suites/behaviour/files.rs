//! Open files: a program that may have few of them loses nothing, and refuses what it has no room for.
#![cfg(unix)]

use futures::future::join_all;
use serde_json::json;
use tests::{Edge, Process, Socket, user::path};

/// Starts the program within these limits, as `ulimit` is told them. Only `--loopback` makes calls go over connections, so
/// that the files a test counts on are the same in every run of the suites.
async fn limited(limits: &str, arguments: &[&str]) -> Process {
    let limited = within(limits);
    Process::start("sh", &[&["-c", &limited, env!("CARGO_BIN_EXE_cloud")], arguments].concat()).await
}

/// What the shell does to start a program within these limits.
fn within(limits: &str) -> String {
    format!("ulimit {limits}; export LOCAL_DEV_LOOPBACK=false; exec \"$0\" --port 0 \"$@\"")
}

/// Sixteen clients change users as fast as they are answered. Within the process calls need no file; over connections both
/// ends of each are files of this one process, which has as many as systems usually give a program.
#[tokio::test]
async fn with_few_files_every_delivery_arrives_within_the_process_and_over_connections() {
    const CLIENTS: usize = 16;
    const CHANGES: usize = 5;
    for (limit, transport, edge) in [("400", &[][..], Edge::Gateway), ("1024", &["--loopback"][..], Edge::SocketIo)] {
        let unthrottled = ["--parameter", "PasswordRequestsPerSecond=1000000"];
        let program = limited(&format!("-n {limit}"), &[&unthrottled, transport].concat()).await;
        let mut sockets = Vec::new();
        for _ in 0..100 {
            sockets.push(Socket::connected(&program, edge, None).await);
        }
        let admin = program.rest().login_admin().await;
        let users = join_all((0..CLIENTS).map(|_| async { program.rest().register().await })).await;
        let changing = join_all(users.iter().map(|user| async {
            let path = path(user);
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
        program.interrupt().await;
    }
}

/// The soft limit is raised to the hard one; what that is too low for is said.
#[tokio::test]
async fn a_limit_of_open_files_is_raised_and_one_that_is_too_low_is_said_with_what_it_is_good_for() {
    let low = limited("-n 400", &[]).await;
    assert!(low.banner().contains("400 files") && low.banner().contains("about 176 sockets"), "{}", low.banner());
    // 300 sockets are more than the soft limit has room for.
    let raised = limited("-Hn 20000 && ulimit -Sn 256", &[]).await;
    assert!(!raised.banner().contains("files"), "{}", raised.banner());
    let mut sockets = Vec::new();
    for _ in 0..300 {
        sockets.push(Socket::connected(&raised, Edge::Gateway, None).await);
    }
    let user = raised.rest().register().await;
    for socket in &mut sockets {
        assert_eq!(socket.event().await, ("users.created".into(), user.clone()));
    }
    for program in [low, raised] {
        program.interrupt().await;
    }
}

#[tokio::test]
async fn sockets_beyond_what_there_are_files_for_are_refused_and_the_rest_of_the_program_goes_on() {
    for edge in Edge::ALL {
        let program = limited("-n 256", &[]).await;
        let mut sockets = Vec::new();
        let refused = loop {
            match Socket::open(&program, edge, None).await {
                Ok(socket) => sockets.push(socket),
                Err(refused) => break refused,
            }
            assert!(sockets.len() <= 32, "{edge:?}: more than there are files for");
        };
        assert_eq!(refused, 503, "{edge:?}");
        program.rest().register().await;
        drop(sockets);
        program.interrupt().await;
    }
}

/// Connections that say nothing take every file there is, so that `broadcast`, whose calls go over connections here, cannot
/// open the first one to the gateway.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_post_that_finds_no_file_is_made_again_and_every_socket_hears_it_once() {
    const FILES: usize = 640;
    let limited = within(&format!("-n {FILES}"));
    let command = ["-c", &limited, env!("CARGO_BIN_EXE_cloud"), "--loopback"];
    let mut program = Process::logging("sh", &command, "warn,broadcast=debug,shared=debug").await;
    let (admin, user) = (program.rest().login_admin().await, program.rest().register().await);
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(Socket::connected(&program, Edge::Gateway, None).await);
    }
    let mut silent = Vec::new();
    let address = program.url().trim_start_matches("http://").to_owned();
    while program.open_files().unwrap() < FILES {
        silent.push(tokio::net::TcpStream::connect(&address).await.unwrap());
        assert!(silent.len() < 2 * FILES, "there are always files left");
    }
    // The clients' own connections are open already, and so are those of `api` to the database.
    admin.patch(&path(&user), json!({ "fullName": "Sara Ahmadi Nik" })).await.expect(200);
    program.logged(&["the gateway refused a call", "Too many open files"]).await;
    drop(silent);
    for socket in &mut sockets {
        let mut event = socket.event().await;
        if event.0 == "users.created" {
            // It connected before the registration was told.
            event = socket.event().await;
        }
        assert_eq!(event.1["fullName"], "Sara Ahmadi Nik");
    }
    admin.patch(&path(&user), json!({ "fullName": "Sara Ahmadi Rad" })).await.expect(200);
    for socket in &mut sockets {
        assert_eq!(socket.event().await.1["fullName"], "Sara Ahmadi Rad", "nobody was closed, or told twice");
    }
    program.interrupt().await;
}
