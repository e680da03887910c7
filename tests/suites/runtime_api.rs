//! The functions as the programs that are deployed: each is started against a stub of Lambda's Runtime API, with the
//! environment of the template and under its policies, is handed an event as AWS sends it, and its answer is compared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tests::{Deployment, Invocation};

/// The functions, built with the Cargo and the profile of this test. Together with the tests, so that features and with
/// them everything already built stay the same.
fn build() -> PathBuf {
    let folder = env::current_exe().unwrap().parent().and_then(Path::parent).expect("target/<profile>/deps").to_owned();
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--workspace", "--bins", "--tests"]);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    assert!(command.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success(), "the functions are built");
    folder
}

/// What API Gateway looks at; the rest of the answer is empty.
fn status_and_body(answer: &Value) -> (u64, &str) {
    (answer["statusCode"].as_u64().unwrap(), answer["body"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn every_program_answers_its_event_over_the_runtime_api() {
    let programs = build();
    let deployment = Deployment::start(move |function| programs.join(function)).await;
    let cloud = deployment.cloud();

    let login = deployment.invoke("api").await.answer;
    let (status, body) = status_and_body(&login);
    let refusal = json!({ "statusCode": 401, "message": "WRONG_CREDENTIALS", "error": "Unauthorized" });
    assert_eq!((status, serde_json::from_str::<Value>(body).unwrap()), (401, refusal));

    assert_eq!(status_and_body(&deployment.invoke("connect").await.answer), (200, ""));
    assert_eq!(cloud.connection_ids().await, ["QQFxqeZfIAMCKRA="]);

    let Invocation { answer: message, printed, .. } = deployment.invoke("message").await;
    assert_eq!(status_and_body(&message), (200, ""));
    // What it had to say went to a connection that there is no WebSocket of, and which it therefore forgot.
    assert!(!printed.contains("ERROR"), "{printed}");
    assert_eq!(cloud.connection_ids().await, Vec::<String>::new());
    assert_eq!(status_and_body(&deployment.invoke("connect").await.answer), (200, ""));

    // A connection that never opens is given up without an error.
    assert_eq!(deployment.invoke("handshake").await.answer, Value::Null);

    let Invocation { answer: beaten, printed, .. } = deployment.invoke("heartbeat").await;
    assert_eq!(beaten, Value::Null);
    assert_eq!(metric(&printed, "Connections"), Some(json!([1.0])), "{printed}");

    assert_eq!(status_and_body(&deployment.invoke("disconnect").await.answer), (200, ""));
    assert_eq!(cloud.connection_ids().await, Vec::<String>::new());

    let Invocation { answer: told, printed, .. } = deployment.invoke("broadcast").await;
    assert_eq!(told, json!({ "batchItemFailures": [] }));
    assert!(metric(&printed, "DeliveryLatency").is_some(), "{printed}");

    // A wrong guess was counted, which is nothing to send; then a code that was sealed with another secret.
    let Invocation { answer: notified, printed, .. } = deployment.invoke("notify").await;
    let failed = json!({ "batchItemFailures": [{ "itemIdentifier": "4421584500000000017450439093" }] });
    assert_eq!(notified, failed, "{printed}");

    deployment.stop().await;
}

/// A metric among the lines of a log, if the line is one CloudWatch would read it from.
fn metric(printed: &str, name: &str) -> Option<Value> {
    let lines = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut directives = lines.filter(|line| line.pointer("/_aws/CloudWatchMetrics/0/Namespace").is_some());
    directives.find_map(|line| line.get(name).cloned())
}
