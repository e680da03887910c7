//! Everything that is served at the one port.

use std::sync::Arc;

use axum::{Router, middleware::from_fn_with_state};

use crate::{
    Limits,
    event_source::EventSources,
    gateway::{Gateway, management, websocket},
    invoke_api::{self, Asynchronous, Names},
    messages, own_host,
    permissions::{self, Permissions},
    undelivered,
};

/// The routes of the WebSocket API, of its management API, of SES and SNS, and of what was given up.
pub(super) fn router(
    gateway: &Gateway,
    limits: Limits,
    permissions: Option<&Arc<Permissions>>,
    sources: &EventSources,
) -> Router {
    let router = undelivered::router(sources.dead_letters()).merge(services(gateway, permissions));
    if gateway.has_api() { router.merge(websocket::router(gateway.clone(), limits)) } else { router }
}

fn services(gateway: &Gateway, permissions: Option<&Arc<Permissions>>) -> Router {
    let mut management = if gateway.has_api() { management::router(gateway.clone()) } else { Router::new() };
    let mut messages = messages::router();
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
