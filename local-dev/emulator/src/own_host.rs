//! Requests are for this machine, by any of its own names, or they are refused.
//!
//! A page on the internet whose name is made to resolve to 127.0.0.1 (DNS rebinding) is of one origin with whatever
//! listens there, and no rule of CORS stops it. What gives it away is the `Host` its browser sends. So this stands in front
//! of every port that is opened.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request, State},
    http::{
        HeaderMap, StatusCode, Uri,
        header::{HOST, ORIGIN},
        uri::Authority,
    },
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{http_api::discard, server::Peer};

/// Puts the check in front of all routes of a port. `also` are further names this machine is reached by.
pub(crate) fn only(router: Router, also: &[String]) -> Router {
    let also: Arc<[String]> = also.iter().map(|name| name.to_lowercase()).collect();
    router.layer(from_fn_with_state(also, check))
}

/// For what stands for services of AWS: no program that calls them sends an `Origin`, and a web page cannot but send one
/// with a `POST`. Nobody signs requests here, so a page needed nothing else to invoke a function.
pub(crate) fn no_page(router: Router) -> Router {
    router.layer(from_fn(async |request: Request, next: Next| {
        if !request.headers().contains_key(ORIGIN) {
            return next.run(request).await;
        }
        let (parts, body) = request.into_parts();
        discard(&parts.headers, body).await;
        let message = "Forbidden: this is for programs, and a request with an Origin is one of a web page";
        (StatusCode::FORBIDDEN, Json(json!({ "message": message }))).into_response()
    }))
}

async fn check(
    State(also): State<Arc<[String]>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let host = host(request.uri(), request.headers());
    if host.as_deref().is_some_and(|host| is_own(host, peer.local.ip(), &also)) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    discard(&parts.headers, body).await;
    let message = format!(
        "Forbidden: the Host of this request, {}, is not this machine; call it localhost, or name it with --allowed-hosts",
        host.as_deref().unwrap_or("which is missing")
    );
    (StatusCode::FORBIDDEN, Json(json!({ "message": message }))).into_response()
}

/// Whom a request is for, without the port.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let named = |authority: &Authority| authority.host().to_lowercase();
    let header = || headers.get(HOST)?.to_str().ok()?.parse().ok().as_ref().map(named);
    // A request in absolute form has it in both places.
    uri.authority().map(named).or_else(header)
}

/// Loopback names, the address the connection came in by, and what was said to be ours as well.
fn is_own(host: &str, local: IpAddr, also: &[String]) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    address.is_some_and(|address| address.to_canonical().is_loopback())
        || host == "localhost"
        || host.ends_with(".localhost")
        || address.is_some_and(|address| address == local.to_canonical())
        || also.iter().any(|name| name == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_ours_by_loopback_name_by_the_address_it_reached_or_by_being_named() {
        let (local, also) = ("192.0.2.5".parse().unwrap(), ["host.docker.internal".to_owned()]);
        for own in
            ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "app.localhost", "192.0.2.5", "host.docker.internal"]
        {
            assert!(is_own(own, local, &also), "{own}");
        }
        for foreign in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.6", "0.0.0.0", ""]
        {
            assert!(!is_own(foreign, local, &also), "{foreign}");
        }
    }

    #[test]
    fn the_host_is_taken_from_where_http_has_it() {
        let host = |uri: &'static str, header: Option<&'static str>| {
            let headers = header.map(|value| (HOST, value.parse().unwrap())).into_iter().collect();
            host(&Uri::from_static(uri), &headers)
        };
        assert_eq!(host("/", Some("LocalHost:3000")).as_deref(), Some("localhost"));
        assert_eq!(host("/", Some("[::1]:3000")).as_deref(), Some("[::1]"));
        assert_eq!(host("http://evil.example/", Some("localhost")).as_deref(), Some("evil.example"));
        assert_eq!(host("/", None), None);
    }
}
