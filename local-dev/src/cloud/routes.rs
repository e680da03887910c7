//! Everything that is served at the one port.

use std::sync::Arc;

use axum::{Router, middleware::from_fn_with_state};

use crate::{
    dashboard,
    event_source::EventSources,
    gateway::{Gateway, Limits, management, websocket},
    invoke_api::{self, Asynchronous, Names},
    messages, own_host,
    permissions::{self, Permissions},
    undelivered,
};

/// The routes of everything that is served at the port.
pub(super) fn router(
    gateway: &Gateway,
    limits: Limits,
    permissions: Option<&Arc<Permissions>>,
    invoke_api: Router,
    rest: Router,
    sockets: Router,
    sources: &EventSources,
) -> Router {
    let landing = landing(gateway.stage());
    Router::new()
        .merge(dashboard::router(landing))
        .merge(undelivered::router(sources.dead_letters()))
        .merge(sockets)
        .merge(websocket::router(gateway.clone(), limits))
        .merge(services(gateway, permissions))
        .merge(invoke_api)
        .merge(rest)
}

fn services(gateway: &Gateway, permissions: Option<&Arc<Permissions>>) -> Router {
    let (mut management, mut messages) = (management::router(gateway.clone()), messages::router());
    if let Some(permissions) = permissions {
        let state = (Arc::clone(permissions), gateway.stage().to_owned());
        management = management.layer(from_fn_with_state(state, permissions::of_management));
        messages = messages.layer(from_fn_with_state(Arc::clone(permissions), permissions::of_messages));
    }
    own_host::no_page(management.merge(messages))
}

/// Lambda's Invoke API, which functions reach as people do.
pub(super) fn lambda(asynchronous: &Asynchronous, names: &Names, permissions: Option<&Arc<Permissions>>) -> Router {
    let mut router = invoke_api::router(asynchronous.clone(), names.clone());
    if let Some(permissions) = permissions {
        router = router.layer(from_fn_with_state((Arc::clone(permissions), names.clone()), permissions::of_functions));
    }
    own_host::no_page(router)
}

fn landing(stage: &str) -> String {
    format!(
        "Moien Realtime (local-dev)

REST       /api/v1, described at /api/docs
Socket.IO  namespace /users; path /socket.io/, or /{stage} as on AWS; say transports: [\"websocket\"],
           since /{stage} has no polling. forceBase64 is for /{stage} only: /socket.io/ closes on it
Messages   /_dev/messages
Lambda     /2015-03-31/functions/<name>/invocations, for `aws lambda invoke --endpoint-url`
Given up   /_dev/undelivered
"
    )
}
