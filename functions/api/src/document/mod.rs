//! The OpenAPI document (`/api/openapi.json`) and a page to read it on (`/api/docs`).
//!
//! Router and document are one table ([`crate::routes`]): a route is in it with the `utoipa::path` attribute beside its
//! handler, which says what only that route knows. What follows from the form of a route (a token, a body, a path
//! parameter) is added here, the same for all.

pub(crate) mod fields;
mod page;

use axum::{
    Router,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    routing::get,
};
use serde_json::json;
use shared::error::ErrorBody;
use utoipa::{
    PartialSchema as _, ToSchema as _,
    openapi::{
        ComponentsBuilder, Content, Header, HeaderBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Ref,
        RefOr, Response, ResponseBuilder, ServerBuilder, Type,
        path::{Operation, ParameterIn, PathItem},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::headers::REQUEST_ID;

/// For how long the document may be kept: it changes with a deployment.
const CACHE: &str = "public, max-age=300";

/// The page needs its stylesheet and nothing else: no script, no frame, no other host.
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is true before any route is named.
pub(crate) fn empty() -> OpenApi {
    let token = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("The `accessToken` of a login, valid for 15 minutes."))
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Moien Realtime")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Users of the platform. Every change made here reaches the sockets of the `/users` namespace as an \
                     event. Errors have one shape, `ErrorBody`; its `message` is a code to switch on.",
                ))
                .build(),
        )
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .components(Some(
            ComponentsBuilder::new()
                .security_scheme("accessToken", SecurityScheme::Http(token))
                .schema(ErrorBody::name(), ErrorBody::schema())
                .schemas_from_iter([(shared::error::FieldError::name(), shared::error::FieldError::schema())])
                .build(),
        ))
        .build()
}

/// Adds to every operation the answers and headers that follow from its form.
pub(crate) fn complete(document: &mut OpenApi) {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        for (status, description) in implied(operation) {
            let answers = &mut operation.responses.responses;
            answers.entry(status.to_owned()).or_insert_with(|| refusal(description).into());
        }
        for answer in operation.responses.responses.values_mut() {
            if let RefOr::T(answer) = answer {
                answer.headers.insert(REQUEST_ID.to_string(), request_id());
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, post, patch, put, delete, .. } = item;
    [get, post, patch, put, delete].into_iter().flatten()
}

/// Which refusals an operation can answer with, whatever it does.
fn implied(operation: &Operation) -> Vec<(&'static str, &'static str)> {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let has_body = operation.request_body.is_some();
    let mut refusals = vec![
        ("413", "`BODY_TOO_LARGE`: more than 64 KB."),
        ("500", "`INTERNAL_ERROR`: our fault; the log knows more under this request's id."),
    ];
    if has_body || !parameters.is_empty() {
        refusals.push(("400", "`VALIDATION_ERROR`: `details` names each field that is wrong."));
    }
    if operation.security.is_some() {
        refusals.push(("401", "`UNAUTHENTICATED`: no token, or one that is forged or expired, or its owner is gone."));
        refusals.push(("403", "`FORBIDDEN`: not with this token. `ACCOUNT_BANNED`: the token's owner is banned."));
    }
    if parameters.iter().any(|parameter| parameter.parameter_in == ParameterIn::Path) {
        refusals.push(("404", "`NOT_FOUND`: there is no such user."));
    }
    if has_body {
        refusals.push(("415", "`UNSUPPORTED_MEDIA_TYPE`: the body is not declared as `application/json`."));
    }
    refusals
}

fn refusal(description: &str) -> Response {
    let schema = Ref::from_schema_name(ErrorBody::name());
    ResponseBuilder::new().description(description).content("application/json", Content::new(Some(schema))).build()
}

fn request_id() -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    let description = "Names this request in the logs, and so do the logs of the events that follow from it.";
    HeaderBuilder::new().schema(text).description(Some(description)).build()
}

/// The routes that serve the document. They are not part of it.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(document: &OpenApi) -> Router<S> {
    let document = json!(document);
    let page = page::render(&document);
    let text = document.to_string();
    Router::new()
        .route("/openapi.json", get(async || ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, CACHE)], text)))
        .route(
            "/docs",
            get(async || {
                let headers = [
                    (CONTENT_TYPE, "text/html; charset=utf-8"),
                    (CACHE_CONTROL, CACHE),
                    (CONTENT_SECURITY_POLICY, PAGE_POLICY),
                ];
                (headers, page)
            }),
        )
        .route(
            "/docs.css",
            get(async || {
                ([(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, CACHE)], include_str!("page.css"))
            }),
        )
}
