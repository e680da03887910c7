//! The program as a process: what it prints, how it ends, and what survives `kill -9`.

use std::{collections::HashSet, process::Stdio};

use futures::future::join_all;
use serde_json::{Value, json};
use tests::{Edge, Process, Rest, Socket, database_at, keeping_data_in};
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

#[tokio::test]
async fn users_and_tokens_survive_a_restart_with_a_data_dir() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(env!("CARGO_BIN_EXE_cloud"), &keeping_data_in(folder.path())).await;
    let user = first.rest().register().await;
    let token = first.rest().login(&user).await;
    first.interrupt().await;
    let second = Process::start(env!("CARGO_BIN_EXE_cloud"), &keeping_data_in(folder.path())).await;
    let me = second.rest().with_token(token.token()).get("/auth/me").await.expect(200);
    assert_eq!(me["user"], user);
    second.interrupt().await;
}

#[tokio::test]
async fn the_administrator_stays_logged_in_over_a_restart_with_a_data_dir_unless_the_password_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(env!("CARGO_BIN_EXE_cloud"), &keeping_data_in(folder.path())).await;
    let credentials = json!({ "email": "admin@example.com", "password": "local-admin" });
    let mut session = first.rest().post("/auth/admin/login", credentials).await.expect(200);
    first.interrupt().await;
    for (password, status) in [("local-admin", 200), ("another one", 401), ("local-admin", 401)] {
        let arguments = [keeping_data_in(folder.path()), vec!["--admin-password", password]].concat();
        let program = Process::start(env!("CARGO_BIN_EXE_cloud"), &arguments).await;
        let token = json!({ "refreshToken": session["tokens"]["refreshToken"] });
        let answer = program.rest().post("/auth/admin/refresh", token).await.expect(status);
        if status == 200 {
            session = answer;
        }
        program.interrupt().await;
    }
}

#[tokio::test]
async fn codes_for_people_are_printed_where_the_program_runs() {
    // An empty filter is none, so the log is as everybody sees it who says nothing about it.
    let mut program = Process::logging(env!("CARGO_BIN_EXE_cloud"), &["--port", "0"], "").await;
    let user = program.rest().register().await;
    let rest = program.rest().login(&user).await;
    let path = format!("/users/{}/email/verify/send", user["id"].as_str().unwrap());
    rest.post(&path, json!({})).await.expect(200);
    program.logged(&["is your code to confirm this e-mail address"]).await;
    program.logged(&["channel=\"email\"", user["email"].as_str().unwrap()]).await;
    program.interrupt().await;
}

/// Kills the program while events are on their way, and expects each of them to be heard, before or after. The first one
/// is slow, so that some are left for the second.
#[tokio::test]
async fn what_was_committed_before_kill_9_is_delivered_by_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let slow = [keeping_data_in(folder.path()), vec!["--fault", "slow=broadcast:60s"]].concat();
    let first = Process::start(env!("CARGO_BIN_EXE_cloud"), &slow).await;
    let mut before = Socket::connected(&first, Edge::SocketIo, None).await;
    let rest = first.rest();
    let answers = join_all((0..40).map(|_| rest.post("/users/register", Rest::registration()))).await;
    first.kill().await;
    let committed = answers.into_iter().map(|answer| answer.expect(201)["user"]["id"].as_str().unwrap().to_owned());
    let heard = before.drain().await;
    let mut missing: HashSet<_> = committed.filter(|id| !heard.iter().any(|frame| frame.contains(id))).collect();
    assert!(!missing.is_empty(), "there is something left for the restart");

    let second = Process::start(env!("CARGO_BIN_EXE_cloud"), &keeping_data_in(folder.path())).await;
    let mut after = Socket::connected(&second, Edge::SocketIo, None).await;
    while !missing.is_empty() {
        let (name, user) = after.event().await;
        assert_eq!(name, "users.created");
        missing.remove(user["id"].as_str().unwrap());
    }
    second.interrupt().await;
}

/// One function is stuck at the first change while the other one passes thousands: what the first one has not heard is kept,
/// and what both have passed is forgotten, in the folder, too.
#[tokio::test]
async fn what_one_function_has_not_heard_is_kept_over_kill_9_though_another_one_is_thousands_of_changes_ahead() {
    const CHANGES: usize = 4000;
    let folder = tempfile::tempdir().unwrap();
    let slow = [keeping_data_in(folder.path()), vec!["--fault", "slow=broadcast:60s"]].concat();
    let first = Process::start(env!("CARGO_BIN_EXE_cloud"), &slow).await;
    let user = first.rest().register().await;
    let database = Database::of(first.banner());
    let number = database.oldest().await;
    for start in (0..CHANGES).step_by(25) {
        let put = |number: usize| {
            let key = |prefix: &str| json!({ "S": format!("{prefix}#{number}") });
            json!({ "PutRequest": { "Item": { "pk": key("OTHER"), "sk": key("ROW") } } })
        };
        let rows: Vec<_> = (start..start + 25).map(put).collect();
        database.call("DynamoDB_20120810.BatchWriteItem", json!({ "RequestItems": { USERS: rows } })).await;
    }
    assert_eq!(database.oldest().await, number);
    first.kill().await;

    let second = Process::start(env!("CARGO_BIN_EXE_cloud"), &keeping_data_in(folder.path())).await;
    let mut socket = Socket::connected(&second, Edge::SocketIo, None).await;
    assert_eq!(socket.event().await, ("users.created".to_owned(), user));
    let database = Database::of(second.banner());
    while database.oldest().await == number {}
    second.interrupt().await;
}

const USERS: &str = "moien-realtime-UsersTable";

/// The embedded database, asked as any program may ask it.
struct Database(String);

impl Database {
    fn of(banner: &str) -> Self {
        let line = banner.lines().find_map(|line| line.trim().strip_prefix("DynamoDB")).unwrap();
        Self(line.split_whitespace().next().unwrap().to_owned())
    }

    async fn call(&self, operation: &str, request: Value) -> Value {
        let credential = "AWS4-HMAC-SHA256 Credential=local/20260101/eu-central-1/dynamodb/aws4_request";
        let request = reqwest::Client::new()
            .post(&self.0)
            .header("authorization", format!("{credential}, SignedHeaders=host, Signature=0"))
            .header("x-amz-date", "20260101T000000Z")
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", operation)
            .body(request.to_string());
        let answer = request.send().await.unwrap();
        let (status, answer) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{operation}: {status} {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// The number of the oldest record of the users table's stream.
    async fn oldest(&self) -> String {
        let streams = self.call("DynamoDBStreams_20120810.ListStreams", json!({ "TableName": USERS })).await;
        let stream = json!({ "StreamArn": streams["Streams"][0]["StreamArn"] });
        let stream = self.call("DynamoDBStreams_20120810.DescribeStream", stream).await;
        let range = &stream["StreamDescription"]["Shards"][0]["SequenceNumberRange"];
        range["StartingSequenceNumber"].as_str().unwrap().to_owned()
    }
}

/// How many items the table has, of the program that printed this.
async fn items(banner: &str, table: &str) -> usize {
    let endpoint = banner.lines().find_map(|line| line.trim().strip_prefix("DynamoDB")).unwrap();
    let endpoint = endpoint.split_whitespace().next().unwrap();
    let scan = database_at(endpoint).scan().table_name(table).send().await.unwrap();
    // Nobody removes what was due; it is looked at in its minute, or never.
    scan.items().iter().filter(|item| !item["pk"].as_s().unwrap().starts_with("DUE#")).count()
}

#[tokio::test]
async fn sockets_that_were_open_at_the_end_leave_no_rows_behind() {
    const TABLE: &str = "moien-realtime-ConnectionsTable";
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(env!("CARGO_BIN_EXE_cloud"), &keeping_data_in(folder.path())).await;
    let mut sockets = Vec::new();
    for edge in Edge::ALL {
        sockets.push(Socket::connected(&first, edge, None).await);
    }
    assert!(items(first.banner(), TABLE).await >= 4, "two connections, each in a room");
    first.interrupt().await;
    let second = Process::start(env!("CARGO_BIN_EXE_cloud"), &keeping_data_in(folder.path())).await;
    assert_eq!(items(second.banner(), TABLE).await, 0);
    second.interrupt().await;
}

#[tokio::test]
async fn a_data_dir_that_is_in_use_is_refused_and_free_after_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(env!("CARGO_BIN_EXE_cloud"), &keeping_data_in(folder.path())).await;
    let mut second = Command::new(env!("CARGO_BIN_EXE_cloud"));
    let second = second.args(keeping_data_in(folder.path())).stdout(Stdio::null()).output().await.unwrap();
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && message.contains("in use by another local-dev"), "{message}");
    first.interrupt().await;
    Process::start(env!("CARGO_BIN_EXE_cloud"), &keeping_data_in(folder.path())).await.interrupt().await;
}

#[tokio::test]
async fn a_function_that_fails_behind_rest_is_in_the_log_once() {
    let faults = ["--port", "0", "--fault", "fail=api:1"];
    let program = Process::logging(env!("CARGO_BIN_EXE_cloud"), &faults, "error").await;
    assert_eq!(reqwest::get(format!("{}/api/v1/health", program.url())).await.unwrap().status(), 500);
    let log = program.into_log().await;
    assert_eq!(log.matches("ApiFunction failed: failed on purpose (--fault)").count(), 1, "{log}");
}

#[tokio::test]
async fn what_cannot_be_given_at_start_is_said_in_a_sentence() {
    for (arguments, words) in
        [(["--origins", "*"], "list the origins"), (["--fault", "fail=boadcast:2"], "there is no function `boadcast`")]
    {
        let mut program = Command::new(env!("CARGO_BIN_EXE_cloud"));
        let ended = program.args(["--port", "0"]).args(arguments).output().await.unwrap();
        let message = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && message.contains(words) && !message.contains("panicked"), "{message}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn functions_call_services_of_their_own_process_without_a_connection_and_with_loopback_over_one() {
    for (arguments, is_within) in [(&["--port", "0"][..], true), (&["--port", "0", "--loopback"], false)] {
        // The suites are also run with everything over HTTP.
        let is_within = is_within && std::env::var_os("LOCAL_DEV_LOOPBACK").is_none();
        for edge in Edge::ALL {
            let program = Process::start(env!("CARGO_BIN_EXE_cloud"), arguments).await;
            let before = program.open_files().unwrap();
            let mut socket = Socket::connected(&program, edge, None).await;
            let rest = program.rest();
            let user = rest.register().await;
            assert_eq!(socket.event().await, ("users.created".into(), user));
            // Beside the socket and the connection of the client of REST.
            let others = program.open_files().unwrap().saturating_sub(before + 2);
            assert_eq!(others == 0, is_within, "{edge:?}, {arguments:?}: {others}");
            program.interrupt().await;
        }
    }
}
