//! `GET /users?limit&cursor`: all users, newest first, for administrators.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderName, header::LINK},
    response::AppendHeaders,
};
use shared::{Error, users::PublicUser};
use utoipa::IntoParams;

use crate::{App, caller::Caller, error_response::ErrorResponse};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// The query, for the document; the handler reads it parameter by parameter, to name the wrong one.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "its fields are only described")]
struct Paging {
    /// Users on a page.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<usize>,
    /// Where the page begins: from a `Link` header, and opaque.
    cursor: Option<String>,
}

type Page = (AppendHeaders<Option<(HeaderName, String)>>, Json<Vec<PublicUser>>);

#[utoipa::path(
    get,
    path = "/users",
    operation_id = "listUsers",
    summary = "All users, newest first, for administrators.",
    description = "The next page is named by the `Link` header.",
    params(Paging),
    security(("accessToken" = [])),
    responses((
        status = 200,
        description = "One page; without a `Link` header the last one",
        body = Vec<PublicUser>,
        headers(("link" = Option<String>, description = "`</api/v1/users?…>; rel=\"next\"`")),
    )),
)]
pub(super) async fn get(
    caller: Caller,
    State(app): State<Arc<App>>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Page, ErrorResponse> {
    caller.must_be_admin()?;
    let limit = query.get("limit").map_or(Ok(DEFAULT_LIMIT), |limit| parse_limit(limit))?;
    let page = app.users.list(limit, query.get("cursor").map(String::as_str)).await?;
    // The cursor is URL-safe base64 and needs no escaping.
    let next = |cursor| (LINK, format!("</api/v1/users?limit={limit}&cursor={cursor}>; rel=\"next\""));
    Ok((AppendHeaders(page.next.map(next)), Json(page.users.iter().map(PublicUser::from).collect())))
}

fn parse_limit(limit: &str) -> Result<usize, Error> {
    let limit = limit.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Error::field("limit", format!("must be a number from 1 to {MAX_LIMIT}")))
}
