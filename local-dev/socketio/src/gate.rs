//! What comes in at the door: `$connect` for a handshake; for a later request, whether there is such a session.

use std::sync::{Arc, Weak};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, FromRequestParts as _, OriginalUri, Query, Request, State, WebSocketUpgrade},
    http::{
        HeaderValue, Method, StatusCode,
        header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_PROTOCOL},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use emulator::{Peer, UpgradeRequest};
use serde::Deserialize;
use serde_json::Value;
use shared::protocol::Frame;

use super::{
    SocketIoState,
    session::{EngineSession, Lease, SessionWire},
    upgrade,
};

/// What Engine.IO asks in the URL.
#[derive(Deserialize)]
pub(super) struct EngineQuery {
    #[serde(rename = "EIO")]
    protocol: Option<String>,
    sid: Option<String>,
    transport: Option<String>,
}

impl EngineQuery {
    fn is_websocket(&self) -> bool {
        self.transport.as_deref() == Some("websocket")
    }
}

/// Stands before socketioxide.
pub(super) async fn gate(
    State(edge): State<SocketIoState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Query<EngineQuery>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    match &query.sid {
        None if parts.method == Method::GET => handshake(edge, peer, query.is_websocket(), parts, body, next).await,
        None => next.run(Request::from_parts(parts, body)).await,
        Some(sid) => {
            let session = edge.sessions().get(sid).and_then(Weak::upgrade);
            // What socketioxide does not speak it refuses by itself.
            if query.is_websocket() && query.protocol.as_deref() == Some("4") {
                upgrade(&edge, session, peer, parts, body, next).await
            } else {
                poll(session, peer, parts, body, next).await
            }
        }
    }
}

async fn handshake(
    edge: SocketIoState,
    peer: Peer,
    websocket: bool,
    mut parts: Parts,
    body: Body,
    next: Next,
) -> Response {
    let accepted = match edge.gateway.connect(UpgradeRequest::new(&parts, &peer).into_websocket()).await {
        Ok(accepted) => accepted,
        Err(status) => return status.into_response(),
    };
    let protocol = accepted.protocol();
    let session = Arc::new(EngineSession::new(accepted.id(), edge.clone()));
    if websocket {
        session.runs_over(peer.close_handle);
    }
    edge.gateway.open(accepted, Arc::new(SessionWire(Arc::downgrade(&session))));
    let polling = Arc::downgrade(&session);
    parts.extensions.insert(Lease(session));
    copy_texts(&mut parts);
    let mut answer = next.run(Request::from_parts(parts, body)).await;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        // socketioxide knows of no subprotocols, and a client that offered some gives up when it gets none back.
        answer.headers_mut().extend(protocol.map(|protocol| (SEC_WEBSOCKET_PROTOCOL, protocol)));
    } else if answer.status() == StatusCode::OK {
        return remembered(&polling, answer).await;
    }
    answer
}

/// Replaces headers and URI by copies. socketioxide keeps a handshake for as long as its session lasts, and each text as it
/// was read keeps the whole 8 KB that the head of the request was read into.
fn copy_texts(parts: &mut Parts) {
    for value in parts.headers.values_mut() {
        if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = copy;
        }
    }
    if let Ok(copy) = parts.uri.to_string().parse() {
        parts.uri = copy;
    }
    parts.extensions.remove::<OriginalUri>();
}

/// The answer of a polling handshake; the session is known by the id in it from now on.
async fn remembered(session: &Weak<EngineSession>, answer: Response) -> Response {
    let (parts, body) = answer.into_parts();
    let body = match to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => {
            tracing::warn!(%error, "the answer of a handshake could not be read");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let open = match std::str::from_utf8(&body).map(Frame::decode) {
        Ok(Ok(Frame::Open(open))) => serde_json::from_str::<Value>(&open).ok(),
        _ => None,
    };
    if let (Some(session), Some(sid)) = (session.upgrade(), open.as_ref().and_then(|open| open["sid"].as_str())) {
        session.polls_as(sid.to_owned());
    }
    Response::from_parts(parts, Body::from(body))
}

/// A request of a polling session: for frames, or with some.
async fn poll(session: Option<Arc<EngineSession>>, peer: Peer, parts: Parts, body: Body, next: Next) -> Response {
    if session.as_ref().is_some_and(|session| session.is_over()) {
        return unknown_session();
    }
    let waiting = session.filter(|_| parts.method == Method::GET);
    if let Some(session) = &waiting {
        // Whoever waits for frames when the session is closed is not left waiting.
        *session.poll() = Some(peer.close_handle);
    }
    let answer = next.run(Request::from_parts(parts, body));
    let Some(session) = waiting else { return answer.await };
    let response = tokio::select! {
        biased;
        answer = answer => answer,
        // No packet is lost with the poll: socketioxide takes packets only when it answers with them at once.
        () = session.is_to_let_go() => noop(),
    };
    session.poll().take();
    response
}

/// The answer to a poll for which there is nothing, in socketioxide's form.
fn noop() -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=UTF-8")], Frame::Noop.encode()).into_response()
}

/// A polling session that is to become a WebSocket. One for an unknown session would be let in by socketioxide, and cut.
async fn upgrade(
    edge: &SocketIoState,
    session: Option<Arc<EngineSession>>,
    peer: Peer,
    mut parts: Parts,
    body: Body,
    next: Next,
) -> Response {
    let Some(session) = session.filter(|session| !session.is_over()) else { return unknown_session() };
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    // The Node server lets in a second one as well, and closes it.
    let Some(permit) = session.may_upgrade() else { return upgrade.on_upgrade(upgrade::refuse) };
    session.runs_over(peer.close_handle);
    let (server, uri, probed) = (edge.server.clone(), parts.uri, session.probed.clone());
    upgrade.on_upgrade(move |client| upgrade::run(client, server, uri, probed, permit))
}

/// What Engine.IO answers for a session it does not know. Node ends the TCP connection of a refused upgrade as well.
fn unknown_session() -> Response {
    let body = serde_json::json!({ "code": 1, "message": "Session ID unknown" });
    (StatusCode::BAD_REQUEST, [(CONNECTION, "close")], axum::Json(body)).into_response()
}
