//! Starting a function on Lambda, the same for each.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};
use tracing_subscriber::{EnvFilter, fmt};

use crate::error::Chain;

/// Serves invocations with a handler until Lambda ends the process. Logs are JSON lines on stdout; `RUST_LOG` filters them.
///
/// A handler's error becomes a failed invocation, its causes a line of the log.
///
/// # Errors
/// If the Runtime API goes away.
pub async fn run<Event, Answer, Failure, Future>(handler: impl Fn(LambdaEvent<Event>) -> Future) -> Result<(), Error>
where
    Event: DeserializeOwned,
    Answer: Serialize,
    Failure: Into<Box<dyn std::error::Error + Send + Sync>>,
    Future: std::future::Future<Output = Result<Answer, Failure>>,
{
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    // CloudWatch stamps every line with its own time.
    fmt().json().with_env_filter(filter).without_time().with_current_span(false).init();
    let handler = &handler;
    lambda_runtime::run(service_fn(async move |event| {
        // Boxed: a function's future is deep, and this one is moved around by the runtime.
        Box::pin(handler(event)).await.map_err(|failure| {
            let failure = failure.into();
            tracing::error!(error = %Chain(failure.as_ref()), "the invocation failed");
            failure
        })
    }))
    .await
}
