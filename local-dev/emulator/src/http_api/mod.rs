//! API Gateway's HTTP API: a request becomes a payload-2.0 event, the function's answer becomes a response.

mod answer;
mod limits;
mod route;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_lambda_events::event::apigw::{
    ApiGatewayV2httpRequest, ApiGatewayV2httpRequestContext, ApiGatewayV2httpRequestContextHttpDescription,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{ConnectInfo, Request, State},
    handler::Handler as _,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use tokio::time::timeout;
use tower_http::cors::{AllowOrigin, CorsLayer};

pub(crate) use self::limits::discard;
use self::{answer::Answer, limits::Unread, route::Match};
use crate::{
    event,
    functions::{FunctionError, Functions},
    server::Peer,
    template::{Cors, Function, Route},
    throttle::{Buckets, StageThrottle},
};

/// How long API Gateway waits for a function; nobody can have it wait longer.
pub(crate) const INTEGRATION: Duration = Duration::from_secs(30);

struct HttpApi {
    functions: Functions,
    /// Declared routes and the functions they lead to.
    routes: Vec<(Route, String)>,
    /// How long a function is waited for.
    integration: Duration,
    throttle: Buckets,
}

/// Everything no other route takes.
pub(crate) fn router(
    functions: Functions,
    declared: &[Function],
    cors: Option<&Cors>,
    integration: Duration,
    throttle: StageThrottle,
) -> Router {
    let routes = declared.iter().flat_map(|f| f.routes.iter().map(|route| (route.clone(), f.logical_id.clone())));
    let api = Arc::new(HttpApi { functions, routes: routes.collect(), integration, throttle: Buckets::new(throttle) });
    let Some(cors) = cors else { return Router::new().fallback(handle).with_state(api) };
    let router = Router::new().fallback(handle.layer(cors_layer(cors)));
    router.layer(from_fn_with_state(Arc::clone(&api), route_first)).with_state(api)
}

/// A preflight is answered from the CORS configuration only where no route takes OPTIONS; what a route takes goes to its
/// function, as on AWS. What AWS adds to the function's answer then is not known, so that it gets no CORS header here.
async fn route_first(
    State(api): State<Arc<HttpApi>>,
    peer: ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let taken = request.method() == Method::OPTIONS
        && route::choose(&api.routes, request.method(), request.uri().path()).is_some();
    if taken { handle(State(api), peer, request).await } else { next.run(request).await }
}

/// A CORS configuration that browsers take for none.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP API's CorsConfiguration: {0} has `*` and AllowCredentials is true, which browsers refuse; list them")]
pub(crate) struct CorsError(&'static str);

/// Whether [`cors_layer`] can be made of it.
pub(crate) fn check_cors(cors: &Cors) -> Result<(), CorsError> {
    let lists = [
        ("AllowOrigins", &cors.allow_origins),
        ("AllowMethods", &cors.allow_methods),
        ("AllowHeaders", &cors.allow_headers),
        ("ExposeHeaders", &cors.expose_headers),
    ];
    let stars = |list: &Vec<String>| cors.allow_credentials && list.iter().any(|entry| entry == "*");
    lists.into_iter().find(|(_, list)| stars(list)).map_or(Ok(()), |(name, _)| Err(CorsError(name)))
}

/// API Gateway answers preflights itself and adds the headers to what functions answer.
pub(crate) fn cors_layer(cors: &Cors) -> CorsLayer {
    fn list<T: std::str::FromStr>(values: &[String]) -> Vec<T> {
        values.iter().filter_map(|value| value.parse().ok()).collect()
    }
    // In a list it would be one more origin, which no browser is at.
    let everybody = cors.allow_origins.iter().any(|origin| origin == "*");
    let origins =
        if everybody { AllowOrigin::any() } else { AllowOrigin::list(list::<HeaderValue>(&cors.allow_origins)) };
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods(list::<Method>(&cors.allow_methods))
        .allow_headers(list::<HeaderName>(&cors.allow_headers))
        .expose_headers(list::<HeaderName>(&cors.expose_headers))
        .allow_credentials(cors.allow_credentials);
    match cors.max_age {
        Some(seconds) => layer.max_age(std::time::Duration::from_secs(seconds)),
        None => layer,
    }
}

async fn handle(State(api): State<Arc<HttpApi>>, ConnectInfo(peer): ConnectInfo<Peer>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let route = match api.admitted(&parts) {
        Ok(route) => route,
        Err((status, refusal)) => {
            limits::discard(&parts.headers, body).await;
            return message(status, refusal);
        }
    };
    let body = match limits::body(body).await {
        Ok(body) => body,
        Err(Unread::TooLarge) => return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
        Err(Unread::Broken) => return message(StatusCode::BAD_REQUEST, "Bad Request"),
    };
    let function = route.function;
    let mut event = event::to_json(&request_event(&parts, &body, route, &peer));
    event::set_query(&mut event, &parts.uri, |values| values.join(","));
    event["headers"] = json!(headers(&parts.headers, &peer));
    match timeout(api.integration, api.functions.invoke::<Answer>(function, event)).await {
        Ok(Ok(answer)) => answer.into_response(),
        Ok(Err(FunctionError::Throttled { .. })) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        // Also when its own time-out was the reason.
        Ok(Err(_)) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        Err(_elapsed) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    }
}

impl HttpApi {
    /// The route of a request, or the status and message it is refused with before anybody reads its body.
    fn admitted(&self, parts: &Parts) -> Result<Match<'_>, (StatusCode, &'static str)> {
        if limits::head_is_too_large(parts) {
            return Err((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large"));
        }
        let route = route::choose(&self.routes, &parts.method, parts.uri.path());
        let route = route.ok_or((StatusCode::NOT_FOUND, "Not Found"))?;
        if self.throttle.take(&route.key) {
            Ok(route)
        } else {
            Err((StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"))
        }
    }
}

fn request_event(parts: &Parts, body: &Bytes, route: Match<'_>, peer: &Peer) -> ApiGatewayV2httpRequest {
    let now = Timestamp::now();
    let mut http = ApiGatewayV2httpRequestContextHttpDescription::default();
    http.method = parts.method.clone();
    http.path = Some(parts.uri.path().to_owned());
    http.protocol = Some("HTTP/1.1".to_owned());
    http.source_ip = Some(peer.address.ip().to_string());
    http.user_agent = text(&parts.headers, &header::USER_AGENT);

    let mut context = ApiGatewayV2httpRequestContext::default();
    context.account_id = Some(event::ACCOUNT.to_owned());
    context.apiid = Some(event::API_ID.to_owned());
    context.domain_name = Some(peer.domain_name());
    context.domain_prefix = context.domain_name.as_deref().and_then(|name| name.split('.').next()).map(str::to_owned);
    context.http = http;
    context.request_id = Some(event::request_id());
    context.route_key = Some(route.key.clone());
    context.stage = Some("$default".to_owned());
    context.time = Some(event::request_time(&now.to_zoned(TimeZone::UTC)));
    context.time_epoch = now.as_millisecond();

    let mut event = ApiGatewayV2httpRequest::default();
    event.version = Some("2.0".to_owned());
    event.route_key = Some(route.key);
    event.path_parameters = route.variables;
    event.raw_path = Some(parts.uri.path().to_owned());
    event.raw_query_string = Some(parts.uri.query().unwrap_or_default().to_owned());
    event.cookies = text(&parts.headers, &header::COOKIE).map(|c| c.split("; ").map(str::to_owned).collect());
    event.request_context = context;
    match std::str::from_utf8(body) {
        Ok("") => {}
        Ok(text) => event.body = Some(text.to_owned()),
        Err(_) => {
            event.body = Some(BASE64_STANDARD.encode(body));
            event.is_base64_encoded = true;
        }
    }
    event
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(event::shown)
}

/// Payload 2.0 has one value per header: repeated ones are joined with commas, and cookies are elsewhere. Where the
/// request comes from the gateway says itself, whatever a client claims.
fn headers(headers: &HeaderMap, peer: &Peer) -> BTreeMap<String, String> {
    let joined = |name: &HeaderName| headers.get_all(name).iter().map(event::shown).collect::<Vec<_>>().join(",");
    let sent = headers.keys().filter(|name| **name != header::COOKIE).map(|name| (name.to_string(), joined(name)));
    let port = text(headers, &header::HOST).and_then(|host| host.rsplit_once(':')?.1.parse::<u16>().ok()).unwrap_or(80);
    let own = [
        ("x-forwarded-for", peer.address.ip().to_string()),
        ("x-forwarded-port", port.to_string()),
        ("x-forwarded-proto", "http".to_owned()),
    ];
    sent.chain(own.map(|(name, value)| (name.to_owned(), value))).collect()
}

fn message(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

#[cfg(test)]
mod tests;
