//! `GET /health`: whether the API answers. It touches nothing else, so it says nothing about the tables.

use std::sync::Arc;

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Serialize;
use shared::users::iso_millis;

use crate::App;

#[derive(Serialize)]
pub(super) struct Health {
    status: &'static str,
    timestamp: String,
    /// Seconds since this instance of the function started.
    uptime: f64,
}

pub(super) async fn get(State(app): State<Arc<App>>) -> Json<Health> {
    let uptime = app.started.elapsed().as_secs_f64();
    Json(Health { status: "ok", timestamp: iso_millis(Timestamp::now()), uptime })
}
