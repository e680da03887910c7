//! Lambda's Runtime API for one invocation: hands out an event, and takes the answer. Notes when that was.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    sync::{Mutex, mpsc},
    task::AbortHandle,
};

use crate::serve;

/// What a function said.
pub(crate) enum Said {
    /// The function has started and wants an event.
    Ready(Instant),
    /// The function's answer.
    Answer(Instant, Value),
    /// The function's error, of the invocation or of its start.
    Error(String),
}

/// A stub for one function; it ends when dropped.
pub(crate) struct Stub {
    address: String,
    said: mpsc::Receiver<Said>,
    server: AbortHandle,
}

struct Invocation {
    event: Mutex<Option<String>>,
    say: mpsc::Sender<Said>,
}

impl Stub {
    /// Hands out that event, once.
    pub(crate) async fn with(event: String) -> Self {
        let (say, said) = mpsc::channel(2);
        let invocation = Arc::new(Invocation { event: Mutex::new(Some(event)), say });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(error))
            .with_state(invocation);
        let (address, server) = serve(router).await;
        Self { address: address.to_string(), said, server }
    }

    /// The address for `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What the function says next.
    pub(crate) async fn said(&mut self) -> Said {
        self.said.recv().await.expect("the stub runs")
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(invocation): State<Arc<Invocation>>) -> impl IntoResponse {
    let Some(event) = invocation.event.lock().await.take() else {
        // There is no second one: as on AWS, the function is frozen while it waits.
        return std::future::pending().await;
    };
    let _ = invocation.say.send(Said::Ready(Instant::now())).await;
    // As long as the slowest function of the template has.
    let deadline = jiff::Timestamp::now().as_millisecond() + 60_000;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-central-1:000000000000:function:f".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-67a8f41f-1d7e5f5c0a2b3c4d5e6f7a8b;Sampled=0".to_owned()),
        ("content-type", "application/json".to_owned()),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    (headers, event)
}

async fn answer(State(invocation): State<Arc<Invocation>>, body: Bytes) -> StatusCode {
    let answer = serde_json::from_slice(&body).expect("an answer is JSON");
    let _ = invocation.say.send(Said::Answer(Instant::now(), answer)).await;
    StatusCode::ACCEPTED
}

async fn error(State(invocation): State<Arc<Invocation>>, body: Bytes) -> StatusCode {
    let _ = invocation.say.send(Said::Error(String::from_utf8_lossy(&body).into_owned())).await;
    StatusCode::ACCEPTED
}
