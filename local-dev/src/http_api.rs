//! API Gateway's HTTP API: a request becomes a payload-2.0 event, the function's answer becomes a response.

use std::sync::Arc;

use aws_lambda_events::event::apigw::{
    ApiGatewayV2httpRequest, ApiGatewayV2httpRequestContext, ApiGatewayV2httpRequestContextHttpDescription,
    ApiGatewayV2httpResponse,
};
use axum::{
    Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use tower_http::cors::CorsLayer;

use crate::{
    event,
    functions::{FunctionError, Functions},
    server::Peer,
    template::{Cors, Function, Route},
};

/// Largest request body of an HTTP API.
const MAX_BODY: usize = 10 * 1024 * 1024;

struct HttpApi {
    functions: Functions,
    /// Declared routes and the functions they lead to.
    routes: Vec<(Route, String)>,
}

/// Everything no other route takes.
pub(crate) fn router(functions: Functions, declared: &[Function], cors: Option<&Cors>) -> Router {
    let routes = declared.iter().flat_map(|f| f.routes.iter().map(|route| (route.clone(), f.logical_id.clone())));
    let api = HttpApi { functions, routes: routes.collect() };
    let router = Router::new().fallback(handle).with_state(Arc::new(api));
    match cors {
        Some(cors) => router.layer(cors_layer(cors)),
        None => router,
    }
}

/// API Gateway answers preflights itself and adds the headers to what functions answer.
pub(crate) fn cors_layer(cors: &Cors) -> CorsLayer {
    fn list<T: std::str::FromStr>(values: &[String]) -> Vec<T> {
        values.iter().filter_map(|value| value.parse().ok()).collect()
    }
    let layer = CorsLayer::new()
        .allow_origin(list::<HeaderValue>(&cors.allow_origins))
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
    let Some((route_key, function)) = api.route(&parts.method, parts.uri.path()) else {
        return message(StatusCode::NOT_FOUND, "Not Found");
    };
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let mut event = event::to_json(&request_event(&parts, &body, &route_key, &peer));
    event::set_query(&mut event, &parts.uri, |values| values.join(","));
    match api.functions.invoke::<ApiGatewayV2httpResponse>(function, event).await {
        Ok(answer) => response(answer),
        Err(FunctionError::TimedOut { .. }) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        Err(FunctionError::Failed { .. }) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}

impl HttpApi {
    /// A full match goes before a greedy one, and that before `$default`.
    fn route(&self, method: &Method, path: &str) -> Option<(String, &str)> {
        let ranked = self.routes.iter().filter_map(|(route, function)| {
            let method_matches = route.method == "ANY" || route.method == method.as_str();
            rank(&route.path, path).filter(|_| method_matches).map(|rank| (rank, route, function))
        });
        let (_, route, function) = ranked.min_by_key(|(rank, ..)| *rank)?;
        let key =
            if route.path == "$default" { route.path.clone() } else { format!("{} {}", route.method, route.path) };
        Some((key, function))
    }
}

/// 0 for a full match, 1 for one with a greedy variable, 2 for `$default`.
fn rank(pattern: &str, path: &str) -> Option<u8> {
    if pattern == "$default" {
        return Some(2);
    }
    let (mut patterns, mut segments) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), segments.next()) {
            (None, None) => return Some(0),
            (Some(greedy), Some(_)) if greedy.starts_with('{') && greedy.ends_with("+}") => return Some(1),
            (Some(variable), Some(segment)) if variable.starts_with('{') && !segment.is_empty() => {}
            (Some(pattern), Some(segment)) if pattern == segment => {}
            _ => return None,
        }
    }
}

fn request_event(parts: &Parts, body: &Bytes, route_key: &str, peer: &Peer) -> ApiGatewayV2httpRequest {
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
    context.domain_name = text(&parts.headers, &header::HOST);
    context.domain_prefix = context.domain_name.as_deref().and_then(|name| name.split('.').next()).map(str::to_owned);
    context.http = http;
    context.request_id = Some(event::request_id());
    context.route_key = Some(route_key.to_owned());
    context.stage = Some("$default".to_owned());
    context.time = Some(event::request_time(&now.to_zoned(TimeZone::UTC)));
    context.time_epoch = now.as_millisecond();

    let mut event = ApiGatewayV2httpRequest::default();
    event.version = Some("2.0".to_owned());
    event.route_key = Some(route_key.to_owned());
    event.raw_path = Some(parts.uri.path().to_owned());
    event.raw_query_string = Some(parts.uri.query().unwrap_or_default().to_owned());
    event.cookies = text(&parts.headers, &header::COOKIE).map(|c| c.split("; ").map(str::to_owned).collect());
    event.headers = joined(&parts.headers);
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
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Payload 2.0 has one value per header: repeated ones are joined with commas, and cookies are elsewhere.
fn joined(headers: &HeaderMap) -> HeaderMap {
    let mut joined = HeaderMap::new();
    for name in headers.keys().filter(|name| **name != header::COOKIE) {
        let values: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(value) = HeaderValue::from_bytes(&values.join(&b","[..])) {
            joined.insert(name.clone(), value);
        }
    }
    joined
}

fn response(answer: ApiGatewayV2httpResponse) -> Response {
    let status = u16::try_from(answer.status_code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let Some(status) = status else { return message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error") };
    let body = answer.body.map(|body| body.as_ref().to_vec()).unwrap_or_default();
    let body = if answer.is_base64_encoded { BASE64_STANDARD.decode(&body).unwrap_or(body) } else { body };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = answer.headers;
    response.headers_mut().extend(answer.multi_value_headers);
    for cookie in answer.cookies {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}

fn message(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_match_goes_before_a_greedy_one_and_that_before_default() {
        assert_eq!(rank("/api/v1/health", "/api/v1/health"), Some(0));
        assert_eq!(rank("/users/{id}", "/users/5"), Some(0));
        assert_eq!(rank("/{proxy+}", "/api/v1/health"), Some(1));
        assert_eq!(rank("$default", "/anything"), Some(2));
        for (pattern, path) in [("/users/{id}", "/users/"), ("/users/{id}", "/users/5/ban"), ("/users", "/user")] {
            assert_eq!(rank(pattern, path), None, "{pattern} {path}");
        }
    }
}
