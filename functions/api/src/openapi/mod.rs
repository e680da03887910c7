//! The OpenAPI document (`/api/openapi.json`) and a page to read it on (`/api/docs`); beside them the contract of the events,
//! which is generated in `shared::contract` (`/api/asyncapi.json`, `/api/events.ts`).
//!
//! Router and document are one table ([`crate::routes`]): a route is in it with the `utoipa::path` attribute beside its
//! handler, which says what only that route knows. What follows from the form of a route (a token, a body, a path
//! parameter) is added here, the same for all.

mod events;
pub(crate) mod fields;
mod page;

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    http::{
        HeaderName, Method,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    routing::get,
};
use serde_json::json;
use shared::{contract::Contract, error::ErrorBody};
use utoipa::{
    PartialSchema as _, ToSchema as _,
    openapi::{
        ComponentsBuilder, ContactBuilder, Content, Header, HeaderBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder,
        OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema, ServerBuilder, Type,
        path::{Operation, ParameterBuilder, ParameterIn, PathItem},
        security::{Http, HttpAuthScheme, SecurityScheme},
        tag::TagBuilder,
    },
};

use crate::{
    repeat::{self, REPLAYED},
    security_headers::REQUEST_ID,
};

/// How long the document may be kept: it changes with a deployment.
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
                .contact(Some(ContactBuilder::new().name(Some("Moien Delivery")).build()))
                .license(Some(
                    LicenseBuilder::new()
                        .name(env!("CARGO_PKG_LICENSE"))
                        .identifier(Some(env!("CARGO_PKG_LICENSE")))
                        .build(),
                ))
                .description(Some(
                    "Users of the platform. Every change made here reaches the sockets of the `/users` namespace as an \
                     event. Errors have one shape, `ErrorBody`; its `message` is a code to switch on.",
                ))
                .build(),
        )
        .tags(Some(GROUPS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build())))
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
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            if repeat::applies(&method, path) {
                repeatable(operation);
            }
            operation.tags = Some(vec![group(path).to_owned()]);
            // Said of each, so that nobody takes a forgotten one for open.
            operation.security.get_or_insert_default();
            finish(operation);
        }
    }
    while drop_unused(document) {}
}

/// Removes schemas that nothing refers to, such as the parts that a generic one has inlined. Whether there were any: what
/// only those referred to is unused in turn.
fn drop_unused(document: &mut OpenApi) -> bool {
    let text = json!(document).to_string();
    let Some(components) = &mut document.components else { return false };
    let before = components.schemas.len();
    components.schemas.retain(|name, _| text.contains(&format!("\"#/components/schemas/{name}\"")));
    components.schemas.len() < before
}

/// The parts the routes are in, with what they are for.
const GROUPS: [(&str, &str); 3] = [
    ("auth", "Who somebody is: logins, sessions, the bearer of a token."),
    ("users", "Accounts, and who may change them."),
    ("service", "The service itself."),
];

fn group(path: &str) -> &'static str {
    let of = |name: &str| path.starts_with(&format!("/api/v1/{name}"));
    GROUPS.iter().map(|(name, _)| *name).find(|name| of(name)).unwrap_or("service")
}

/// What follows from its form.
fn finish(operation: &mut Operation) {
    for (status, description) in implied(operation) {
        let answers = &mut operation.responses.responses;
        answers.entry(status.to_owned()).or_insert_with(|| refusal(description).into());
    }
    for (status, answer) in &mut operation.responses.responses {
        if let RefOr::T(answer) = answer {
            answer.headers.insert(REQUEST_ID.to_string(), header(REQUEST_ID_MEANS));
            if status == "401" {
                answer.headers.insert(WWW_AUTHENTICATE.to_string(), header(CHALLENGE_MEANS));
            }
            if status == "429" {
                answer.headers.insert(RETRY_AFTER.to_string(), retry_after(u64::schema()));
            }
        }
    }
}

/// Adds the header that names a request, and what comes of it.
fn repeatable(operation: &mut Operation) {
    let key = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[!-~]*$"))
        .min_length(Some(1))
        .max_length(Some(repeat::LONGEST_KEY))
        .examples(["8e03978e-40d5-43e8-bc93-6894a57f9324"]);
    let parameter = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A name for this request, random, such as a UUID. If its answer gets lost, send it again with the same key \
             within a day: it is answered as before, with `idempotency-replayed`, and not done again. A refused request may \
             be tried again with its key.",
        ))
        .schema(Some(key))
        .build();
    operation.parameters.get_or_insert_default().push(parameter);
    let answers = &mut operation.responses.responses;
    let under_way = "`REQUEST_UNDER_WAY`: the same request is being answered at this moment.";
    let conflict = match answers.get("409") {
        Some(RefOr::T(taken)) => format!("{}; or {under_way}", taken.description),
        _ => under_way.to_owned(),
    };
    let mut conflict = refusal(&conflict);
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
    conflict.headers.insert(RETRY_AFTER.to_string(), retry_after(seconds));
    answers.insert("409".to_owned(), conflict.into());
    let reused = "`IDEMPOTENCY_KEY_REUSED`: the `Idempotency-Key` was that of a request with another body.";
    answers.insert("422".to_owned(), refusal(reused).into());
    for (_, answer) in answers.iter_mut().filter(|(status, _)| status.starts_with('2')) {
        if let RefOr::T(answer) = answer {
            answer.headers.insert(REPLAYED.to_string(), header(REPLAYED_MEANS));
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, post, patch, put, delete, .. } = item;
    let named = [
        (Method::GET, get),
        (Method::POST, post),
        (Method::PATCH, patch),
        (Method::PUT, put),
        (Method::DELETE, delete),
    ];
    named.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
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
    if operation.security.as_ref().is_some_and(|schemes| !schemes.is_empty()) {
        refusals.push(("401", "`UNAUTHENTICATED`: no token, or one that is forged or expired, or its owner is gone."));
        refusals.push(("403", "`FORBIDDEN`: not with this token. `ACCOUNT_BANNED`: the token's owner is banned."));
    }
    if parameters.iter().any(|parameter| parameter.parameter_in == ParameterIn::Path) {
        refusals.push(("404", "`NOT_FOUND`: there is no such user."));
    }
    if has_body {
        refusals.push(("415", "`UNSUPPORTED_MEDIA_TYPE`: the body is not declared as `application/json`, or is in another charset or compressed."));
    }
    refusals
}

fn refusal(description: &str) -> Response {
    let schema = Ref::from_schema_name(ErrorBody::name());
    ResponseBuilder::new().description(description).content("application/json", Content::new(Some(schema))).build()
}

const REQUEST_ID_MEANS: &str = "Names this request in the logs, and so do the logs of the events that follow from it.";

const CHALLENGE_MEANS: &str = "`Bearer`; with `error=\"invalid_token\"` if there was an access token that is no good.";

const REPLAYED_MEANS: &str =
    "`true` if this is the answer of before, to a request that was sent again with its `Idempotency-Key`.";

fn header(meaning: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    HeaderBuilder::new().schema(text).description(Some(meaning)).build()
}

fn retry_after(seconds: impl Into<RefOr<Schema>>) -> Header {
    HeaderBuilder::new().schema(seconds).description(Some("Seconds until it is worth trying again")).build()
}

/// What is served, as text.
struct Rendered {
    openapi: String,
    asyncapi: String,
    types: String,
    page: String,
}

impl Rendered {
    fn of(document: &OpenApi) -> Self {
        let (document, contract) = (json!(document), Contract::new());
        Self {
            page: page::render(&document, &contract),
            openapi: document.to_string(),
            asyncapi: contract.asyncapi().to_string(),
            types: contract.typescript(),
        }
    }
}

/// The routes that serve the document and the contract of the events. They are not part of it. Nothing is rendered before
/// somebody asks for it: most of the function's starts are for a request of something else.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(document: OpenApi) -> Router<S> {
    let rendered = Arc::new(LazyLock::new(move || Rendered::of(&document)));
    let [openapi, asyncapi, types, page] = std::array::from_fn(|_| Arc::clone(&rendered));
    Router::new()
        .route("/openapi.json", get(async move || (cached("application/json"), openapi.openapi.clone())))
        .route("/asyncapi.json", get(async move || (cached("application/json"), asyncapi.asyncapi.clone())))
        .route("/events.ts", get(async move || (cached("text/plain; charset=utf-8"), types.types.clone())))
        .route(
            "/docs",
            get(async move || {
                let policy = [(CONTENT_SECURITY_POLICY, PAGE_POLICY)];
                (cached("text/html; charset=utf-8"), policy, page.page.clone())
            }),
        )
        .route("/docs.css", get(async || (cached("text/css; charset=utf-8"), include_str!("page.css"))))
}

fn cached(kind: &'static str) -> [(HeaderName, &'static str); 2] {
    [(CONTENT_TYPE, kind), (CACHE_CONTROL, CACHE)]
}
