//! The functions as the programs that are deployed: each is started against a stub of Lambda's Runtime API, with the
//! environment of the template and under its policies, is handed an event as AWS sends it, and its answer is compared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stub;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use local_dev::Options;
use serde_json::{Value, json};
use tests::Cloud;
use tokio::time::timeout;

use stub::{Said, Stub};

/// Longer than the slowest takes: the greeting of a socket that never opens.
const PATIENCE: Duration = Duration::from_secs(30);

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

struct Deployment {
    cloud: Cloud,
    programs: PathBuf,
    environment: Vec<(String, String)>,
    _folder: tempfile::TempDir,
}

impl Deployment {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("environment");
        let cloud = Cloud::with(Options { env_file: Some(file.clone()), ..Options::default() }).await;
        let lines = fs::read_to_string(file).unwrap();
        let variable = |line: &str| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.trim_matches('\'').to_owned())
        };
        Self { cloud, programs: build(), environment: lines.lines().map(variable).collect(), _folder: folder }
    }

    /// Starts a function, hands it its event, and gives its answer and what it printed.
    async fn invoke(&self, function: &str) -> (Value, String) {
        let event = format!("{}/fixtures/events/{function}.json", env!("CARGO_MANIFEST_DIR"));
        let mut stub = Stub::with(fs::read_to_string(event).unwrap()).await;
        let logical_id = format!("{}{}Function", function[..1].to_uppercase(), &function[1..]);
        let mut program = tokio::process::Command::new(self.programs.join(function))
            .env_clear()
            .envs(self.environment.clone())
            // Its own permissions and no others.
            .env("AWS_ACCESS_KEY_ID", &logical_id)
            .env("AWS_LAMBDA_RUNTIME_API", stub.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", &logical_id)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = timeout(PATIENCE, stub.said()).await.unwrap_or_else(|_| panic!("{function} says nothing"));
        program.kill().await.unwrap();
        let output = program.wait_with_output().await.unwrap();
        let Said::Answer(answer) = said else { panic!("{function}: {said:?}") };
        (answer, String::from_utf8(output.stdout).unwrap())
    }
}

/// What API Gateway looks at; the rest of the answer is empty.
fn status_and_body(answer: &Value) -> (u64, &str) {
    (answer["statusCode"].as_u64().unwrap(), answer["body"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn every_program_answers_its_event_over_the_runtime_api() {
    let deployment = Deployment::start().await;
    let cloud = &deployment.cloud;

    let (login, _) = deployment.invoke("api").await;
    let (status, body) = status_and_body(&login);
    let refusal = json!({ "statusCode": 401, "message": "WRONG_CREDENTIALS", "error": "Unauthorized" });
    assert_eq!((status, serde_json::from_str::<Value>(body).unwrap()), (401, refusal));

    assert_eq!(status_and_body(&deployment.invoke("connect").await.0), (200, ""));
    assert_eq!(cloud.connection_ids().await, ["QQFxqeZfIAMCKRA="]);

    let (message, _) = deployment.invoke("message").await;
    assert_eq!(status_and_body(&message), (200, r#"44/nope,{"message":"Invalid namespace"}"#));

    let (greeted, printed) = deployment.invoke("handshake").await;
    assert_eq!(greeted, json!({ "batchItemFailures": [] }));
    assert_eq!(metric(&printed, "HandshakeFailures"), Some(json!([0.0])), "{printed}");

    let (beaten, printed) = deployment.invoke("heartbeat").await;
    assert_eq!(beaten, Value::Null);
    assert_eq!(metric(&printed, "Connections"), Some(json!([1.0])), "{printed}");

    assert_eq!(status_and_body(&deployment.invoke("disconnect").await.0), (200, ""));
    assert_eq!(cloud.connection_ids().await, Vec::<String>::new());

    let (told, printed) = deployment.invoke("broadcast").await;
    assert_eq!(told, json!({ "batchItemFailures": [] }));
    assert!(metric(&printed, "DeliveryLatency").is_some(), "{printed}");

    // A wrong guess was counted, which is nothing to send; then a code that was sealed with another secret.
    let (notified, printed) = deployment.invoke("notify").await;
    let failed = json!({ "batchItemFailures": [{ "itemIdentifier": "4421584500000000017450439093" }] });
    assert_eq!(notified, failed, "{printed}");

    deployment.cloud.stop().await;
}

/// A metric among the lines of a log, if the line is one CloudWatch would read it from.
fn metric(printed: &str, name: &str) -> Option<Value> {
    let lines = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut directives = lines.filter(|line| line.pointer("/_aws/CloudWatchMetrics/0/Namespace").is_some());
    directives.find_map(|line| line.get(name).cloned())
}
