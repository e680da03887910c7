//! The management API: `POST`, `GET` and `DELETE /@connections/{id}`, for the connections of every edge.

use crate::event;
use std::time::Duration;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::json;
use tokio::time::sleep;

use super::{Gateway, NotSent};

/// Largest frame, in bytes.
const MAX_FRAME: usize = 128 * 1024;

/// How often a post that is not answered (`--fault stall`) looks whether it may be.
const STALLED: Duration = Duration::from_millis(100);

/// The routes, under the stage and at the root.
pub(crate) fn router(gateway: Gateway) -> Router {
    let connections = post(send).get(look).delete(close);
    let stage = gateway.stage().to_owned();
    // SDKs encode the `@`.
    let paths = ["/@connections/{id}".to_owned(), "/%40connections/{id}".to_owned()];
    let staged = paths.clone().map(|path| format!("/{stage}{path}"));
    // A stage that does not exist, or a path with something more in front.
    let wrong = paths.clone().map(|path| format!("/{{stage}}{path}"));
    let router = paths.into_iter().chain(staged).fold(Router::new(), |r, path| r.route(&path, connections.clone()));
    let router = wrong.into_iter().fold(router, |r, path| r.route(&path, axum::routing::any(forbidden)));
    router.layer(axum::extract::DefaultBodyLimit::disable()).with_state(gateway)
}

/// An error as the SDKs expect it: status first, type in the header, body last.
struct Refused(StatusCode, &'static str, Body);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, kind, body) = self;
        let mut response = (status, body).into_response();
        response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
        response
    }
}

impl From<NotSent> for Refused {
    fn from(not_sent: NotSent) -> Self {
        match not_sent {
            NotSent::Gone => Self(StatusCode::GONE, "GoneException", Body::empty()),
            NotSent::Full => Self(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", Body::empty()),
        }
    }
}

async fn send(State(gateway): State<Gateway>, Path(id): Path<String>, frame: Bytes) -> Result<StatusCode, Refused> {
    well_formed(&id)?;
    if frame.len() > MAX_FRAME {
        let body = json!({ "message": "Payload too large" }).to_string();
        return Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", body.into()));
    }
    while gateway.stalls(&id) {
        sleep(STALLED).await;
    }
    gateway.post(&id, &String::from_utf8_lossy(&frame))?;
    Ok(StatusCode::OK)
}

async fn look(State(gateway): State<Gateway>, Path(id): Path<String>) -> Result<Response, Refused> {
    well_formed(&id)?;
    let connection = gateway.reachable(&id)?;
    let mut identity = json!({ "sourceIp": connection.client.source_ip() });
    if let Some(agent) = connection.client.user_agent() {
        identity["userAgent"] = agent.into();
    }
    let answer = json!({
        "connectedAt": event::iso_millis(connection.connected_at),
        "identity": identity,
        "lastActiveAt": event::iso_millis(connection.last_active_at()),
    });
    Ok(Json(answer).into_response())
}

async fn close(State(gateway): State<Gateway>, Path(id): Path<String>) -> Result<StatusCode, Refused> {
    well_formed(&id)?;
    gateway.delete(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn forbidden() -> Refused {
    let body = json!({ "message": "Forbidden" }).to_string();
    Refused(StatusCode::FORBIDDEN, "ForbiddenException", body.into())
}

/// Sixteen URL-safe characters, the last one a padding.
fn well_formed(id: &str) -> Result<(), Refused> {
    let (alphabet, end) = id.split_at_checked(15).unwrap_or_default();
    let sound = end == "=" && alphabet.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if sound {
        return Ok(());
    }
    let body = json!({ "message": format!("Invalid connectionId: {id}") }).to_string();
    Err(Refused(StatusCode::BAD_REQUEST, "BadRequestException", body.into()))
}
