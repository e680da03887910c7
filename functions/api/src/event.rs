//! What API Gateway says a request is, made into one for the router, and the router's answer as API Gateway wants it
//! (payload format 2.0).
//!
//! Method and path are those of the event. No header has a part in them: `Host` and `X-Forwarded-Proto` are anybody's to
//! send.

use std::{collections::HashMap, fmt::Write as _};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header::SET_COOKIE},
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

/// One request as API Gateway describes it. A field that is absent or null is as if it were empty: an event is never a
/// reason to fail.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiRequest {
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    headers: Option<HashMap<String, Option<String>>>,
    request_context: Option<Context>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Context {
    http: Option<Http>,
    request_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Http {
    method: Option<String>,
    source_ip: Option<String>,
}

/// What only the gateway knows of a request.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    /// The gateway's name for the request; without one, Lambda's for the invocation.
    pub(crate) request_id: String,
    /// Where the request comes from.
    pub(crate) source_ip: Option<String>,
}

/// One answer as API Gateway reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiAnswer {
    status_code: u16,
    headers: HashMap<String, String>,
    cookies: Vec<String>,
    body: String,
    is_base64_encoded: bool,
}

impl ApiRequest {
    /// The request for the router. A path that is none leads nowhere, like any other that no route has.
    pub(crate) fn into_request(self, invocation: &str) -> Request {
        let context = self.request_context.unwrap_or_default();
        let http = context.http.unwrap_or_default();
        let body = self.body.unwrap_or_default();
        let body = match self.is_base64_encoded.unwrap_or_default() {
            // What is no base64, no gateway sends.
            true => BASE64_STANDARD.decode(&body).unwrap_or_default(),
            false => body.into_bytes(),
        };
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = Method::from_bytes(http.method.unwrap_or_default().as_bytes()).unwrap_or_default();
        *request.uri_mut() = uri(&self.raw_path.unwrap_or_default(), &self.raw_query_string.unwrap_or_default());
        *request.headers_mut() = headers(self.headers.unwrap_or_default());
        let request_id = context.request_id.unwrap_or_else(|| invocation.to_owned());
        request.extensions_mut().insert(Gateway { request_id, source_ip: http.source_ip });
        request
    }
}

/// The path with what cannot stand in one escaped, so that it stays one path: `?` and `#` would end it.
fn uri(path: &str, query: &str) -> Uri {
    let mut target = String::with_capacity(path.len() + query.len() + 2);
    if !path.starts_with('/') {
        target.push('/');
    }
    escape(path, b"\"#<>?\\^`{|}", &mut target);
    if !query.is_empty() {
        target.push('?');
        escape(query, b"\"#<>", &mut target);
    }
    target.parse().unwrap_or_else(|_| Uri::from_static("/"))
}

fn escape(text: &str, what: &[u8], into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !what.contains(&byte) {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// The headers of the event that HTTP allows. Text that is not ASCII becomes its bytes, which the route judges.
fn headers(declared: HashMap<String, Option<String>>) -> HeaderMap {
    let header = |(name, value): (String, Option<String>)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value?.as_bytes()).ok()?))
    };
    declared.into_iter().filter_map(header).collect()
}

impl ApiAnswer {
    /// The router's answer, whose body is in memory.
    pub(crate) async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let cookies = parts.headers.get_all(SET_COOKIE).iter().map(text).collect();
        let names = parts.headers.keys().filter(|name| **name != SET_COOKIE);
        let joined = |name: &HeaderName| parts.headers.get_all(name).iter().map(text).collect::<Vec<_>>().join(", ");
        let headers = names.map(|name| (name.to_string(), joined(name))).collect();
        let (body, is_base64_encoded) = match String::from_utf8(body.into()) {
            Ok(text) => (text, false),
            Err(bytes) => (BASE64_STANDARD.encode(bytes.as_bytes()), true),
        };
        Self { status_code: parts.status.as_u16(), headers, cookies, body, is_base64_encoded }
    }
}

#[cfg(test)]
mod tests {
    use lambda_runtime::{Context as Invocation, LambdaEvent};
    use proptest::{collection::hash_map, prelude::*};
    use serde_json::{Value, json};
    use shared::{config::Environment, lambda::Function as _};

    use super::*;
    use crate::Api;

    /// The function with a database that is not there, which a request without a token and a body never needs.
    fn api() -> Api {
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$SB8g8rjmNaANxSoDm6OERA$ZFxws/gxFWRj39Hxeh37IXtCPvetFDnXVP5yjnhne48";
        let secret = "0123456789abcdef0123456789abcdef";
        let variables = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9"),
            ("USERS_TABLE", "users"),
            ("REGISTRATIONS_PER_HOUR", "0"),
            ("CODE_SECRET", secret),
            ("TOKEN_SECRET", secret),
            ("ADMIN_EMAIL", "admin@example.com"),
            ("ADMIN_PASSWORD_HASH", hash),
        ];
        Api::from_env(&Environment::from_iter(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))))
            .unwrap()
    }

    async fn answer(api: &Api, event: Value) -> Value {
        let event = serde_json::from_value(event).expect("every event of a gateway is read");
        let answer = api.handle(LambdaEvent::new(event, Invocation::default())).await.expect("never fails");
        serde_json::to_value(answer).unwrap()
    }

    fn event(method: &str, path: &str, headers: &Value) -> Value {
        json!({
            "rawPath": path, "rawQueryString": "", "headers": headers,
            "requestContext": { "requestId": "JKJaXmPLvHcESHA=", "http": { "method": method, "path": path } },
        })
    }

    #[tokio::test]
    async fn headers_have_no_part_in_what_is_asked_for() {
        let api = api();
        for headers in [
            json!({}),
            json!({ "x-forwarded-proto": "https://x/api/openapi.json?" }),
            json!({ "x-forwarded-proto": "" }),
            json!({ "host": "a b" }),
            json!({ "host": "x:99999" }),
            json!({ "host": "x/api/openapi.json?" }),
            json!({ "host": "é", "accept": "\u{fffd}\u{0}", "": "x", "a b": "c" }),
        ] {
            let health = answer(&api, event("GET", "/api/v1/health", &headers)).await;
            assert_eq!(health["statusCode"], 200, "{headers}");
            assert!(health["body"].as_str().unwrap().contains("uptime"), "{headers}: {health}");
        }
    }

    #[tokio::test]
    async fn what_is_null_is_as_if_it_were_absent() {
        let api = api();
        let whole = json!({
            "version": "2.0", "rawPath": "/api/v1/health", "rawQueryString": null, "headers": null, "body": null,
            "isBase64Encoded": null, "requestContext": { "requestId": null, "http": { "method": "GET", "sourceIp": null } },
        });
        assert_eq!(answer(&api, whole).await["statusCode"], 200);
        for nothing in [
            json!({}),
            json!({ "rawPath": null, "requestContext": null }),
            json!({ "requestContext": { "http": null } }),
        ] {
            assert_eq!(answer(&api, nothing.clone()).await["statusCode"], 404, "{nothing}");
        }
    }

    #[tokio::test]
    async fn a_path_is_what_it_says_letter_by_letter() {
        let api = api();
        for path in [
            "/api/v1/users/../health",
            "/api/v1/./health",
            "/api/v1\\health",
            "/api\\v1\\health",
            "/api/v1/health#x",
            "/api/v1/health?x",
            "/api/v1/health%3Fx",
            "/api/v1/health/",
            "//api/v1/health",
            "/api/v1/health ",
            "/api/v1/he%61lth",
            "/x:/api/v1/health",
            "",
            "*",
        ] {
            assert_eq!(answer(&api, event("GET", path, &json!({}))).await["statusCode"], 404, "{path}");
        }
        assert_eq!(answer(&api, event("GET", "/api/v1/health", &json!({}))).await["statusCode"], 200);
    }

    #[tokio::test]
    async fn an_event_of_nothing_is_a_request_for_nothing() {
        assert_eq!(answer(&api(), json!({})).await["statusCode"], 404);
    }

    #[tokio::test]
    async fn a_key_without_a_good_token_needs_no_database_where_a_token_is_asked_for() {
        let api = api();
        let path = "/api/v1/users/0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10/ban";
        for authorization in [None, Some("Bearer forged"), Some("Basic YTpi")] {
            let mut headers = json!({ "idempotency-key": "k" });
            if let Some(authorization) = authorization {
                headers["authorization"] = authorization.into();
            }
            assert_eq!(answer(&api, event("POST", path, &headers)).await["statusCode"], 401, "{authorization:?}");
        }
    }

    /// Paths that mean something, or nearly.
    fn paths() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            prop::sample::select(vec![
                "api",
                "v1",
                "users",
                "health",
                "auth",
                "user",
                "login",
                "register",
                "..",
                ".",
                "",
                "%2e%2e",
                "%ff",
                "{id}",
                "0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10",
                "ban",
                "docs",
                "openapi.json",
            ])
            .prop_map(str::to_owned),
            any::<String>(),
        ];
        let joined = prop::collection::vec(part, 0..7).prop_map(|parts| format!("/{}", parts.join("/")));
        // Each ends before it needs the database, which a registration with an `Idempotency-Key` does not.
        let routes = prop::sample::select(vec![
            "/api/v1/health",
            "/api/openapi.json",
            "/api/docs",
            "/api/v1/auth/me",
            "/api/v1/auth/user/login",
            "/api/v1/auth/user/refresh",
            "/api/v1/auth/admin/logout",
            "/api/v1/users",
            "/api/v1/users/0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10",
            "/api/v1/users/0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10/ban",
            "/api/v1/users/0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10/email/verify/confirm",
        ]);
        prop_oneof![2 => routes.prop_map(str::to_owned), 1 => joined, 1 => any::<String>()]
    }

    fn headers_of_any_kind() -> impl Strategy<Value = HashMap<String, String>> {
        let names = prop::sample::select(vec![
            "host",
            "x-forwarded-proto",
            "x-forwarded-for",
            "x-forwarded-port",
            "authorization",
            "content-type",
            "content-length",
            "content-encoding",
            "idempotency-key",
            "origin",
            "forwarded",
            "accept",
            "cookie",
            "expect",
        ]);
        let names = prop_oneof![names.prop_map(str::to_owned), any::<String>()];
        hash_map(names, prop_oneof![any::<String>(), "Bearer [ -~]{0,20}", "https?://[ -~]{0,20}"], 0..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_header_and_no_path_makes_a_5xx(
            method in prop_oneof!["GET|POST|PATCH|DELETE|PUT|HEAD|OPTIONS", any::<String>()], path in paths(),
            query in any::<String>(), headers in headers_of_any_kind(),
        ) {
            let mut event = event(&method, &path, &json!(headers));
            event["rawQueryString"] = query.into();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let status = runtime.block_on(async { answer(&api(), event).await["statusCode"].as_u64().unwrap() });
            prop_assert!(status < 500, "{}", status);
        }
    }
}
