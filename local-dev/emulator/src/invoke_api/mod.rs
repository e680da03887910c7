//! Lambda's Invoke API: `POST /2015-03-31/functions/<name>/invocations`, for functions that have others run, and for
//! people (`aws lambda invoke --endpoint-url …`).

mod asynchronous;
mod names;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use self::{
    asynchronous::Asynchronous,
    names::{Names, physical_name},
};
use crate::functions::{self, FunctionError};

/// Largest events, in bytes: of an invocation somebody waits for, and of one nobody does.
const MAX_EVENT: usize = 6 * 1024 * 1024;
const MAX_ASYNCHRONOUS_EVENT: usize = 1024 * 1024;

/// The one route.
pub(crate) fn router(asynchronous: Asynchronous, names: Names) -> Router {
    let route = post(invoke).with_state(InvokeApi { asynchronous, names });
    Router::new().route("/2015-03-31/functions/{name}/invocations", route).layer(DefaultBodyLimit::disable())
}

#[derive(Clone)]
struct InvokeApi {
    asynchronous: Asynchronous,
    names: Names,
}

/// A version, beside the name.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    qualifier: Option<String>,
}

/// Whether somebody waits for the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Invocation {
    RequestResponse,
    Event,
    DryRun,
}

impl Invocation {
    fn of(headers: &HeaderMap) -> Result<Self, Refused> {
        match headers.get("x-amz-invocation-type").map(HeaderValue::as_bytes) {
            None | Some(b"RequestResponse") => Ok(Self::RequestResponse),
            Some(b"Event") => Ok(Self::Event),
            Some(b"DryRun") => Ok(Self::DryRun),
            Some(other) => Err(Refused::invalid_parameter(&format!(
                "Value '{}' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: \
                 [Event, RequestResponse, DryRun]",
                String::from_utf8_lossy(other)
            ))),
        }
    }

    fn largest_event(self) -> usize {
        if self == Self::Event { MAX_ASYNCHRONOUS_EVENT } else { MAX_EVENT }
    }
}

/// An error of Lambda itself: its status, its type in a header, its words in the body.
struct Refused {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Refused {
    fn invalid_parameter(message: &str) -> Self {
        let message = message.to_owned();
        Self { status: StatusCode::BAD_REQUEST, kind: "InvalidParameterValueException", message }
    }

    fn not_found(name: &str) -> Self {
        let arn = if name.starts_with("arn:") { name.to_owned() } else { functions::arn(name) };
        let message = format!("Function not found: {arn}");
        Self { status: StatusCode::NOT_FOUND, kind: "ResourceNotFoundException", message }
    }

    fn too_large(largest: usize) -> Self {
        let message = format!("Request must be smaller than {largest} bytes for the InvokeFunction operation");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, kind: "RequestTooLargeException", message }
    }

    fn throttled() -> Self {
        let message = "Rate Exceeded.".to_owned();
        Self { status: StatusCode::TOO_MANY_REQUESTS, kind: "TooManyRequestsException", message }
    }

    fn no_json(error: &serde_json::Error) -> Self {
        let message = format!("Could not parse request body into json: {error}");
        Self { status: StatusCode::BAD_REQUEST, kind: "InvalidRequestContentException", message }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({ "Type": "User", "Message": self.message }).to_string();
        let headers = [("x-amzn-errortype", self.kind), (CONTENT_TYPE.as_str(), "application/json")];
        (self.status, headers, body).into_response()
    }
}

async fn invoke(
    State(api): State<InvokeApi>,
    Path(name): Path<String>,
    Query(Version { qualifier }): Query<Version>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let function = api.names.function(&name, qualifier.as_deref()).ok_or_else(|| Refused::not_found(&name))?;
    let invocation = Invocation::of(&headers)?;
    if body.len() > invocation.largest_event() {
        return Err(Refused::too_large(invocation.largest_event()));
    }
    // Without a body the event is an empty object.
    let event = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&body) };
    let event: Value = event.map_err(|error| Refused::no_json(&error))?;
    let id = Uuid::new_v4();
    let mut response = match invocation {
        Invocation::DryRun => StatusCode::NO_CONTENT.into_response(),
        Invocation::Event => {
            api.asynchronous.accept(id, function, event);
            StatusCode::ACCEPTED.into_response()
        }
        Invocation::RequestResponse => match api.asynchronous.functions().invoke_as(id, function, event).await {
            Err(FunctionError::Throttled { .. }) => return Err(Refused::throttled()),
            answer => answered(id, answer),
        },
    };
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    Ok(response)
}

/// The answer to an invocation. That a function failed is no failure of Lambda's: 200, and a header says so.
fn answered(id: Uuid, answer: Result<Value, FunctionError>) -> Response {
    let (failed, body) = match answer {
        Ok(answer) => (false, answer),
        Err(error) => (true, complaint(id, &error)),
    };
    let mut response = Response::new(Body::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-amz-executed-version", HeaderValue::from_static("$LATEST"));
    if failed {
        headers.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
    }
    response
}

/// What stands for the answer of a function that failed.
fn complaint(id: Uuid, error: &FunctionError) -> Value {
    match error {
        FunctionError::Failed { kind, message, .. } => json!({ "errorType": kind, "errorMessage": message }),
        FunctionError::Throttled { .. } => {
            json!({ "errorType": "TooManyRequestsException", "errorMessage": "Rate Exceeded." })
        }
        FunctionError::TimedOut { limit, .. } => json!({
            "errorType": "Sandbox.Timedout",
            "errorMessage": format!("RequestId: {id} Error: Task timed out after {:.2} seconds", limit.as_secs_f64()),
        }),
    }
}

#[cfg(test)]
mod tests;
