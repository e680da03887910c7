//! `GET /health`: whether the API answers. It touches nothing else, so it says nothing about the tables.

use std::sync::Arc;

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Serialize;
use shared::users::iso_millis;
use utoipa::ToSchema;

use crate::App;

/// A sign of life.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    status: &'static str,
    /// ISO 8601 with milliseconds and Z.
    #[schema(format = DateTime)]
    timestamp: String,
    /// Seconds since this instance of the function started.
    uptime: f64,
}

#[utoipa::path(
    get,
    path = "/health",
    operation_id = "health",
    summary = "Whether the API answers.",
    description = "It touches nothing else, so it says nothing about the tables.",
    responses((status = 200, description = "It does", body = Health)),
)]
pub(super) async fn get(State(app): State<Arc<App>>) -> Json<Health> {
    let uptime = app.started.elapsed().as_secs_f64();
    Json(Health { status: "ok", timestamp: iso_millis(Timestamp::now()), uptime })
}
