//! `/_dev/undelivered`: what the event sources gave up, oldest first, as it would lie in the bucket or queue on AWS.

use axum::{Json, Router, routing::get};
use serde_json::Value;

use crate::event_source::DeadLetters;

/// The route.
pub(crate) fn router(letters: DeadLetters) -> Router {
    let list = async move || Json(letters.list().into_iter().map(|letter| letter.body).collect::<Vec<Value>>());
    Router::new().route("/_dev/undelivered", get(list))
}
