//! What is the same for functions on Lambda: how one is started, when it has to stop, and how one that reads a stream hands
//! records back.

use std::time::{Duration, SystemTime};

use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};
use tracing_subscriber::{EnvFilter, fmt, fmt::MakeWriter};

use crate::{
    config::{ConfigError, Environment},
    error::Chain,
};

/// A function: what `infra/template.yaml` deploys under its name, and `local-dev` calls the same way.
pub trait Function: Sized + Send + Sync + 'static {
    /// The event of AWS it is invoked with.
    type Event: DeserializeOwned + Send;
    /// What the caller of the function gets.
    type Answer: Serialize;
    /// A failed invocation.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The function in this environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable that is missing or wrong.
    fn from_env(env: &Environment) -> Result<Self, ConfigError>;

    /// Handles one event.
    ///
    /// # Errors
    /// Each function says which, and what becomes of the event then.
    fn handle(&self, event: LambdaEvent<Self::Event>)
    -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;
}

/// Serves invocations of a function until Lambda ends the process. Logs are JSON lines on stdout; `RUST_LOG` filters them.
///
/// Each line names the invocation it belongs to, and what else its spans say, such as the request.
///
/// An error of the function becomes a failed invocation, its causes a line of the log.
///
/// # Errors
/// If the environment is not what the function needs, the Runtime API goes away, or somebody else is logging already.
pub async fn run<F: Function>() -> Result<(), Error> {
    let function = &F::from_env(&Environment::from_process())?;
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    tracing::subscriber::set_global_default(logger(filter, std::io::stdout))?;
    lambda_runtime::run(service_fn(async move |event| {
        // Boxed: a function's future is deep, and this one is moved around by the runtime.
        Box::pin(function.handle(event)).await.map_err(|failure| {
            tracing::error!(error = %Chain(&failure), "the invocation failed");
            Error::from(failure)
        })
    }))
    .await
}

/// How long to go on where the deadline makes no sense, which is so under `cargo lambda watch`.
const WITHOUT_A_DEADLINE: Duration = Duration::from_secs(45);

/// When an invocation has to begin nothing more: so long before its deadline.
#[must_use]
pub fn stop_at(context: &Context, reserve: Duration) -> SystemTime {
    let now = SystemTime::now();
    let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(context.deadline);
    if deadline > now { deadline.checked_sub(reserve).unwrap_or(now) } else { now + WITHOUT_A_DEADLINE }
}

/// The answer of a function that reads a stream (`ReportBatchItemFailures`): records with these sequence numbers failed, and
/// the event source repeats from the first of them.
#[must_use]
pub fn batch_item_failures<'a>(sequence_numbers: impl IntoIterator<Item = &'a str>) -> DynamoDbEventResponse {
    let mut answer = DynamoDbEventResponse::default();
    for sequence_number in sequence_numbers {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(sequence_number.to_owned());
        answer.batch_item_failures.push(failure);
    }
    answer
}

/// One JSON object per line. CloudWatch stamps every line with its own time.
fn logger<W>(filter: EnvFilter, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    fmt().json().with_env_filter(filter).without_time().with_current_span(false).with_writer(writer).finish()
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use serde_json::{Value, json};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_of_the_log_is_one_json_object_that_names_the_request() {
        let lines = Lines::default();
        let writer = lines.clone();
        let logger = logger(EnvFilter::new("warn"), move || writer.clone());
        tracing::subscriber::with_default(logger, || {
            let _request = tracing::error_span!("request", request_id = "JKJaXmPLvHcESHA=").entered();
            tracing::warn!(connection = "c=", "two\nlines");
            tracing::info!("less than was asked for");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let line: Value = serde_json::from_str(&text).expect("one line");
        assert_eq!(line["fields"], json!({"connection": "c=", "message": "two\nlines"}));
        assert_eq!(line["spans"], json!([{"name": "request", "request_id": "JKJaXmPLvHcESHA="}]));
    }
}
