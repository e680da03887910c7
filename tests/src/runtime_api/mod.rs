//! The functions as the programs that are deployed: started against a stub of Lambda's Runtime API, with the environment
//! of the template and under its policies, around a cloud of their own.

mod stub;

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use local_dev::Options;
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use self::stub::{Said, Stub};
use crate::{Cloud, process::peak_memory};

/// Longer than the slowest takes: the greeting of a socket that never opens.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Programs and the cloud they work in; [`Deployment::stop`] it at the end.
pub struct Deployment {
    cloud: Cloud,
    program: Box<dyn Fn(&str) -> PathBuf>,
    environment: Vec<(String, String)>,
}

/// What became of an event.
pub struct Invocation {
    /// The function's answer.
    pub answer: Value,
    /// What the function printed: its log and its metrics.
    pub printed: String,
    /// Time from the start of the program until it asked for an event.
    pub init: Duration,
    /// Time from the event to the answer.
    pub duration: Duration,
    /// Most memory it ever had, in bytes; none where there is no `/proc`.
    pub memory: Option<u64>,
}

impl Deployment {
    /// Starts the cloud; `program` says where a function's program is.
    pub async fn start(program: impl Fn(&str) -> PathBuf + 'static) -> Self {
        let folder = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
        fs::create_dir(&folder).unwrap();
        let file = folder.join("environment");
        let cloud = Cloud::with(Options { env_file: Some(file.clone()), ..Options::default() }).await;
        let lines = fs::read_to_string(file).unwrap();
        fs::remove_dir_all(folder).unwrap();
        let variable = |line: &str| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.trim_matches('\'').to_owned())
        };
        Self { cloud, program: Box::new(program), environment: lines.lines().map(variable).collect() }
    }

    /// The cloud around the functions.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Starts a function and hands it its event, `fixtures/events/<function>.json`.
    pub async fn invoke(&self, function: &str) -> Invocation {
        let event = format!("{}/fixtures/events/{function}.json", env!("CARGO_MANIFEST_DIR"));
        let mut stub = Stub::with(fs::read_to_string(event).unwrap()).await;
        let started = Instant::now();
        let mut program = self.launch(function, &stub, |_| true);
        let Said::Ready(ready) = heard(function, &mut stub).await else {
            panic!("{function} answers before it is asked")
        };
        let Said::Answer(answered, answer) = heard(function, &mut stub).await else { panic!("{function} asks again") };
        let memory = peak_memory(&program);
        program.kill().await.unwrap();
        let output = program.wait_with_output().await.unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        Invocation { answer, printed, init: ready - started, duration: answered - ready, memory }
    }

    /// How long the function takes to start as on AWS, where its clients are for TLS: from the start of the program until
    /// it asks for an event.
    pub async fn init(&self, function: &str) -> Duration {
        let mut stub = Stub::with(String::new()).await;
        let started = Instant::now();
        let mut program = self.launch(function, &stub, |variable| !variable.starts_with("AWS_ENDPOINT_URL"));
        let Said::Ready(ready) = heard(function, &mut stub).await else { panic!("{function} does not start") };
        program.kill().await.unwrap();
        ready - started
    }

    /// Ends the cloud.
    pub async fn stop(self) {
        self.cloud.stop().await;
    }

    fn launch(&self, function: &str, stub: &Stub, with: impl Fn(&str) -> bool) -> Child {
        let logical_id = logical_id(function);
        Command::new((self.program)(function))
            .env_clear()
            .env("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", "https://localhost/dev")
            .envs(self.environment.iter().filter(|(name, _)| with(name)).cloned())
            // Its own permissions and no others.
            .env("AWS_ACCESS_KEY_ID", &logical_id)
            .env("AWS_LAMBDA_RUNTIME_API", stub.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", &logical_id)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{function}: {error}"))
    }
}

/// What the template calls a function.
pub fn logical_id(function: &str) -> String {
    format!("{}{}Function", function[..1].to_uppercase(), &function[1..])
}

async fn heard(function: &str, stub: &mut Stub) -> Said {
    match timeout(TIMEOUT, stub.said()).await.unwrap_or_else(|_| panic!("{function} says nothing")) {
        Said::Error(error) => panic!("{function}: {error}"),
        said => said,
    }
}
