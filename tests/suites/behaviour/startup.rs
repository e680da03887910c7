//! Starting and ending the program where something is in the way: a terminal that goes, folders that cannot be used,
//! variables that are empty, options of any kind.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    process::{Output, Stdio},
};

use futures::future::join_all;
use serde_json::json;
use tests::{Edge, Process, Rest, Socket, keeping_data_in, until, user::path_to};
use tokio::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cloud");

/// Runs it, and asserts that it says why it does not start.
async fn refused(command: &mut Command) -> String {
    let Output { status, stderr, .. } =
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let message = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!status.success() && !message.is_empty() && !message.contains("panicked"), "{status}: {message}");
    message
}

#[tokio::test]
async fn a_terminal_that_goes_away_ends_it_like_ctrl_c() {
    let program = Process::start(PROGRAM, &["--port", "0"]).await;
    assert!(program.hang_up().await.success());
}

/// A program that `nohup` starts ignores that its terminal goes away. Elsewhere than on Linux a program is not told.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_that_goes_away_ends_nothing_that_was_to_ignore_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("id");
    let script = "trap '' HUP; echo $$ > \"$0\"; exec \"$@\"";
    let arguments = ["-c", script, file.to_str().unwrap(), PROGRAM, "--port", "0"];
    let program = Process::start("sh", &arguments).await;
    let hang_up = format!("kill -HUP {}", fs::read_to_string(&file).unwrap().trim());
    assert!(Command::new("sh").args(["-c", &hang_up]).status().await.unwrap().success());
    program.rest().register().await;
    assert!(program.interrupt().await.success());
}

/// `local-dev 2>&1 | head`: whatever it has to say there, nobody hears it.
#[cfg(unix)]
#[tokio::test]
async fn codes_arrive_also_where_nobody_reads_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let script = "mkfifo \"$0\" && exec 3<>\"$0\" 2>\"$0\" && exec 3<&- && exec \"$@\"";
    let arguments = ["-c", script, pipe.to_str().unwrap(), PROGRAM, "--port", "0"];
    let program = Process::start("sh", &arguments).await;
    let user = program.rest().register().await;
    let owner = program.rest().login(&user).await;
    for channel in ["email", "phone"] {
        let path = path_to(&user, &format!("/{channel}/verify/send"));
        owner.post(&path, json!({})).await.expect(200);
    }
    until(async || owner.messages().await.len() == 2).await;
    assert!(program.interrupt().await.success());
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_named_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    // A folder can be read as a file by nobody, not even by root.
    fs::create_dir(folder.path().join("secret-TokenSecret")).unwrap();
    let message = refused(Command::new(PROGRAM).args(keeping_data_in(folder.path()))).await;
    assert!(message.contains("secret-TokenSecret") && message.contains("choose another"), "{message}");
}

#[tokio::test]
async fn a_corrupt_database_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(PROGRAM, &keeping_data_in(folder.path())).await;
    for _ in 0..20 {
        first.rest().register().await;
    }
    first.interrupt().await;
    let file = folder.path().join("dynamodb.db");
    let sound = fs::read(&file).unwrap();
    let mut middle = sound.clone();
    let length = middle.len();
    middle[4096..length - 4096].fill(0xa5);
    for corrupt in
        [&b"this is no database, but some text that somebody put there"[..], &middle, &sound[..sound.len() / 2]]
    {
        fs::write(&file, corrupt).unwrap();
        for leftover in ["dynamodb.db-wal", "dynamodb.db-shm"] {
            let _ = fs::remove_file(folder.path().join(leftover));
        }
        let message = refused(Command::new(PROGRAM).args(keeping_data_in(folder.path()))).await;
        assert!(message.contains("dynamodb.db") && message.contains("--data-dir"), "{message}");
        assert_eq!(fs::read(&file).unwrap(), corrupt, "it is left as it is");
    }
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dynamodb.db");
    let notes = rusqlite::Connection::open(&file).unwrap();
    notes.execute("create table notes (body)", ()).unwrap();
    drop(notes);
    let before = fs::read(&file).unwrap();
    let message = refused(Command::new(PROGRAM).args(keeping_data_in(folder.path()))).await;
    assert!(message.contains("another program") && message.contains("--data-dir"), "{message}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

/// The program as on a full disk: no file may grow.
#[cfg(unix)]
fn on_a_full_disk(folder: &Path) -> Command {
    let mut shell = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
    shell.args(["-c", script, PROGRAM]).args(keeping_data_in(folder));
    shell
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_written_is_refused_at_start_and_breaks_no_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let message = refused(&mut on_a_full_disk(folder.path())).await;
    assert!(message.contains(folder.path().to_str().unwrap()), "{message}");
    let kept: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(kept.iter().all(|name| !name.to_str().unwrap().starts_with("secret-")), "no half of a secret: {kept:?}");

    let first = Process::start(PROGRAM, &keeping_data_in(folder.path())).await;
    let user = first.rest().register().await;
    first.interrupt().await;
    let message = refused(&mut on_a_full_disk(folder.path())).await;
    assert!(message.contains("dynamodb.db") && message.contains("written"), "{message}");
    let second = Process::start(PROGRAM, &keeping_data_in(folder.path())).await;
    second.rest().login(&user).await;
    second.interrupt().await;
}

#[tokio::test]
async fn a_secret_that_an_earlier_start_left_empty_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["secret-TokenSecret", "secret-CodeSecret"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let program = Process::start(PROGRAM, &keeping_data_in(folder.path())).await;
    program.interrupt().await;
    assert_eq!(fs::read_to_string(folder.path().join("secret-TokenSecret")).unwrap().len(), 64);
}

/// The variable of every flag that `--help` names.
async fn variables() -> Vec<String> {
    let help = Command::new(PROGRAM).arg("--help").output().await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let named = help.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap().to_owned());
    named.collect()
}

#[tokio::test]
async fn an_empty_variable_counts_as_absent() {
    let variables = variables().await;
    assert!(variables.len() > 10, "{variables:?}");
    let empty = variables.iter().map(|name| (name.as_str(), "")).chain([("RUST_LOG", ""), ("AWS_REGION", "")]);
    let program = Process::start_in(PROGRAM, &["--port", "0"], empty).await;
    assert!(program.banner().contains("admin@example.com / local-admin"), "{}", program.banner());
    program.interrupt().await;
}

#[tokio::test]
async fn no_value_of_any_option_makes_it_panic() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    fs::write(&file, "x").unwrap();
    let file = file.to_str().unwrap();
    let long = "x".repeat(3000);
    let help = Command::new(PROGRAM).arg("--help").output().await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--")).filter(|line| line.contains(" <"));
    let flags: Vec<_> = flags.map(|line| format!("--{}", line.split(' ').next().unwrap())).collect();
    assert!(flags.len() > 10, "{flags:?}");
    let values = [
        "",
        " ",
        "x",
        "é",
        "\u{1f980}",
        "0",
        "-1",
        "1",
        "1s",
        "0s",
        "99999999999999999999",
        "18446744073709551615s",
        "18446744073709551615ms",
        "http://",
        "http://a b",
        "https://[",
        "http://127.0.0.1:99999",
        "*",
        "/proc/x/y",
        file,
        &long,
        "slow=message:18446744073709551615s",
        "fail=api:x",
        "gone=18446744073709551615",
        "a,b,,c",
        "\n",
        "'",
        "127.0.0.1",
    ];
    // A port that is taken: whatever is no reason to refuse does not start all the same.
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for flag in flags.iter().filter(|flag| *flag != "--port") {
        join_all(values.map(|value| {
            let mut command = Command::new(PROGRAM);
            // Some of the values are folders that it creates.
            command.current_dir(&folder).args(["--port", &port]).arg(format!("{flag}={value}"));
            async move { refused(&mut command).await }
        }))
        .await;
    }
}

/// The functions start after the port is taken; what they make of a value shows only then.
#[tokio::test]
async fn what_no_program_can_be_started_with_is_refused_in_words() {
    for (flag, value, words) in [
        ("--dynamodb-endpoint", "x", "http://127.0.0.1:8000"),
        ("--dynamodb-endpoint", "ftp://x", "http://127.0.0.1:8000"),
        ("--dynamodb-endpoint", "http://127.0.0.1:99999", "http://127.0.0.1:8000"),
        ("--lambda-endpoint", "x", "http://127.0.0.1:9000"),
        ("--stack-name", "a b", "letters"),
        ("--stack-name", &"a".repeat(250), "letters"),
        ("--parameter", "FeedShards", "NAME=VALUE"),
        ("--parameter", "FeedShards=0", "at least 1"),
        ("--parameter", "FeedShards=", "a number"),
        ("--parameter", "LogLevel=loud", "error, warn, info, debug"),
        ("--parameter", "Origins=HTTPS://A.example/", "small letters"),
        ("--parameter", "Shards=1", "FeedShards"),
        ("--lifetime", "18446744073709551615s", "duration"),
        ("--idle-timeout", "99999999999999999s", "duration"),
    ] {
        let message = refused(Command::new(PROGRAM).args(["--port", "0"]).arg(format!("{flag}={value}"))).await;
        assert!(message.contains(words), "{flag}={value}: {message}");
    }
    let message = refused(Command::new(PROGRAM).args(["--port", "0", "--token-secret", "my secret"])).await;
    assert!(message.contains("32 characters") && !message.contains("my secret"), "{message}");
    let message = refused(Command::new(PROGRAM).args(["--port", "0"]).env("TOKEN_SECRET", "my secret")).await;
    assert!(message.contains("32 characters") && !message.contains("my secret"), "{message}");
}

/// Ends the program while a storm of events is on its way, and expects each to be heard, before the end or after the
/// restart. Each batch takes a second to begin, so that the end comes in between.
#[tokio::test]
async fn what_nobody_was_told_before_ctrl_c_follows_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    // Sixty registrations at once are more than the throttle of that route lets through.
    let storm = ["--fault", "slow=broadcast:1s", "--parameter", "PasswordRequestsPerSecond=1000000"];
    let slow = [keeping_data_in(folder.path()), storm.to_vec()].concat();
    let first = Process::start(PROGRAM, &slow).await;
    let mut before = Socket::connected(&first, Edge::SocketIo, None).await;
    let rest = first.rest();
    let answers = join_all((0..60).map(|_| rest.post("/users/register", Rest::registration()))).await;
    let heard = tokio::spawn(async move { before.drain().await });
    assert!(first.interrupt().await.success());
    let committed = answers.into_iter().map(|answer| answer.expect(201)["user"]["id"].as_str().unwrap().to_owned());
    let heard = heard.await.unwrap();
    let mut missing: HashSet<_> = committed.filter(|id| !heard.iter().any(|frame| frame.contains(id))).collect();
    assert!(!missing.is_empty(), "there is something left for the restart");

    let second = Process::start(PROGRAM, &keeping_data_in(folder.path())).await;
    let mut after = Socket::connected(&second, Edge::SocketIo, None).await;
    while !missing.is_empty() {
        let (name, user) = after.event().await;
        assert_eq!(name, "users.created");
        missing.remove(user["id"].as_str().unwrap());
    }
    second.interrupt().await;
}
