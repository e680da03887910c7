//! The events of a WebSocket API, with the fields API Gateway sends.

use std::{collections::BTreeMap, net::IpAddr};

use aws_lambda_events::event::apigw::{
    ApiGatewayRequestIdentity, ApiGatewayWebsocketProxyRequest, ApiGatewayWebsocketProxyRequestContext,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{New, OpenConnection};
use crate::{event, server::Peer, template::WebSocketApi};

/// The HTTP request that wants to become a socket, as `$connect` is told of it.
pub struct UpgradeRequest {
    headers: HeaderMap,
    uri: Uri,
    /// What later events repeat.
    pub(super) client: Client,
}

/// What is kept of a handshake for as long as its connection is open. Its texts are copies: headers and URI share the 8 KB
/// into which the head of the request was read.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    source_ip: IpAddr,
    domain_name: Box<str>,
    user_agent: Option<Box<str>>,
    /// What the request called this service.
    host: Option<Box<str>>,
}

impl Client {
    /// The `User-Agent`, if the client sent one.
    pub(super) fn user_agent(&self) -> Option<String> {
        self.user_agent.as_deref().map(str::to_owned)
    }

    /// The client's address.
    pub(super) fn source_ip(&self) -> IpAddr {
        self.source_ip
    }
}

impl UpgradeRequest {
    /// The request as `$connect` is told of it, made of an HTTP request that wants to become a socket.
    #[must_use]
    pub fn new(parts: &Parts, peer: &Peer) -> Self {
        let mut headers = parts.headers.clone();
        // Not among the headers Lambda sees.
        headers.remove(header::CONNECTION);
        headers.remove(header::UPGRADE);
        let added = [
            ("x-amzn-trace-id", trace_id()),
            ("x-forwarded-for", peer.address.ip().to_string()),
            ("x-forwarded-port", peer.local.port().to_string()),
            ("x-forwarded-proto", "http".to_owned()),
        ];
        for (name, value) in added {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let text = |name| parts.headers.get(name).map(|value| event::shown(value).into_boxed_str());
        let client = Client {
            source_ip: peer.address.ip(),
            domain_name: peer.domain_name().into(),
            user_agent: text(header::USER_AGENT),
            host: text(header::HOST),
        };
        Self { headers, uri: parts.uri.clone(), client }
    }

    /// The request of a session that begins with polling as that of a WebSocket: functions see no difference.
    #[must_use]
    pub fn into_websocket(mut self) -> Self {
        let query = self.uri.query().unwrap_or_default().replace("transport=polling", "transport=websocket");
        if let Ok(uri) = format!("{}?{query}", self.uri.path()).parse() {
            self.uri = uri;
        }
        self
    }
}

/// `Root=1-65a1b2c3-0123456789abcdef01234567`: the seconds of now, and something random.
fn trace_id() -> String {
    let random = Uuid::new_v4().simple().to_string();
    format!("Root=1-{:08x}-{}", Timestamp::now().as_second(), &random[..24])
}

/// How a connection ended, as `$disconnect` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// WebSocket close code; 1005 when the client gave none, 1006 when there was no close frame.
    pub code: u16,
    /// Text for people.
    pub reason: String,
}

impl Close {
    /// A close by the management API. The reason is that of a normal close; AWS documents none.
    pub(super) const BY_SERVER: Self = Self { code: 1000, reason: String::new() };

    /// A close by a limit of time, or because everything ends.
    pub(crate) fn going_away() -> Self {
        Self { code: 1001, reason: "Going away".to_owned() }
    }

    /// A close by a client that gave no status, or whose status is not known.
    #[must_use]
    pub fn without_status() -> Self {
        Self { code: 1005, reason: "Client-side close frame status not set".to_owned() }
    }
}

/// `$connect`.
pub(super) fn connect(api: &WebSocketApi, new: &New, handshake: &UpgradeRequest) -> Value {
    let New { id, connected_at, client, .. } = new;
    let mut event = ApiGatewayWebsocketProxyRequest::default();
    event.multi_value_query_string_parameters = event::query(&handshake.uri).into();
    event.request_context = context(api, "$connect", "CONNECT", id, client, *connected_at);
    let mut json = with_headers(finish(&event), &handshake.headers);
    event::set_query(&mut json, &handshake.uri, |values| values.last().cloned().unwrap_or_default());
    json
}

/// A message on a route. It carries neither headers nor query: whatever is needed later is kept at `$connect`.
pub(super) fn message(api: &WebSocketApi, route: &str, id: &str, connection: &OpenConnection, body: &str) -> Value {
    let mut event = ApiGatewayWebsocketProxyRequest::default();
    event.request_context = context(api, route, "MESSAGE", id, &connection.client, connection.connected_at);
    event.request_context.message_id = Some(event::request_id());
    event.body = Some(body.to_owned());
    finish(&event)
}

/// `$disconnect`.
pub(super) fn disconnect(
    api: &WebSocketApi,
    id: &str,
    client: &Client,
    connected_at: Timestamp,
    close: &Close,
) -> Value {
    let mut event = ApiGatewayWebsocketProxyRequest::default();
    let mut headers = HeaderMap::new();
    for name in ["x-api-key", "x-forwarded-for", "x-restapi"] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(""));
    }
    if let Some(host) = client.host.as_deref().and_then(|host| HeaderValue::from_str(host).ok()) {
        headers.insert(header::HOST, host);
    }
    event.request_context = context(api, "$disconnect", "DISCONNECT", id, client, connected_at);
    event.request_context.disconnect_status_code = Some(close.code.into());
    event.request_context.disconnect_reason = Some(close.reason.clone());
    with_headers(finish(&event), &headers)
}

/// The frame API Gateway pushes when a function fails. No Engine.IO frame begins with `{`.
pub(super) fn error_frame(message: &str, connection_id: &str) -> String {
    json!({ "message": message, "connectionId": connection_id, "requestId": event::request_id() }).to_string()
}

fn context(
    api: &WebSocketApi,
    route: &str,
    kind: &str,
    connection_id: &str,
    client: &Client,
    connected_at: Timestamp,
) -> ApiGatewayWebsocketProxyRequestContext {
    let now = Timestamp::now();
    let request_id = event::request_id();
    let mut identity = ApiGatewayRequestIdentity::default();
    identity.source_ip = Some(client.source_ip.to_string());
    identity.user_agent = client.user_agent();
    let mut context = ApiGatewayWebsocketProxyRequestContext::default();
    context.route_key = Some(route.to_owned());
    context.event_type = Some(kind.to_owned());
    context.extended_request_id = Some(request_id.clone());
    context.request_id = Some(request_id);
    context.request_time = Some(event::request_time(&now.to_zoned(TimeZone::UTC)));
    context.request_time_epoch = now.as_millisecond();
    context.connected_at = connected_at.as_millisecond();
    context.message_direction = Some("IN".to_owned());
    context.stage = Some(api.stage.clone());
    context.identity = identity;
    context.domain_name = Some(client.domain_name.to_string());
    context.connection_id = Some(connection_id.to_owned());
    context.apiid = Some(event::API_ID.to_owned());
    context
}

/// Sets `headers`, the last value of each, and `multiValueHeaders`. The typed structs only have those in ASCII.
fn with_headers(mut event: Value, headers: &HeaderMap) -> Value {
    let all = |name| headers.get_all(name).iter().map(event::shown).collect::<Vec<_>>();
    let many: BTreeMap<_, _> = headers.keys().map(|name| (cased(name.as_str()), all(name))).collect();
    let last: BTreeMap<_, _> = many.iter().map(|(name, values)| (name, values.last())).collect();
    event["headers"] = json!(last);
    event["multiValueHeaders"] = json!(many);
    event
}

/// The event without the fields that WebSocket events do not have: the struct is shared with REST APIs.
fn finish(event: &ApiGatewayWebsocketProxyRequest) -> Value {
    let mut json = event::to_json(event);
    if let Some(map) = json.as_object_mut() {
        map.remove("httpMethod");
        map.remove("path");
        map.remove("resource");
    }
    json
}

/// A header's name as API Gateway passes it on: in the letters it came with. HTTP here knows lower case only, so that is
/// guessed as `Sec-WebSocket-Key`, which is how browsers and `ws` write names; two of AWS's own are always small.
fn cased(name: &str) -> String {
    if ["x-api-key", "x-restapi"].contains(&name) {
        return name.to_owned();
    }
    let word = |word: &str| match word {
        "websocket" => "WebSocket".to_owned(),
        word => word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect(),
    };
    name.split('-').map(word).collect::<Vec<String>>().join("-")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::http::Request;
    use serde_json::json;

    use super::*;

    fn api() -> WebSocketApi {
        WebSocketApi {
            logical_id: "WebSocketApi".into(),
            stage: "dev".into(),
            selection: crate::template::RouteSelection::Default,
            routes: BTreeMap::new(),
            answering: BTreeSet::new(),
        }
    }

    fn handshake() -> UpgradeRequest {
        let request = Request::get("/dev?EIO=4&transport=websocket&x=1&x=2")
            .header("host", "evil.example:3000")
            .header("origin", "https://app.example.com")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-extensions", "permessage-deflate; client_max_window_bits")
            .header("sec-websocket-key", "x3JJHMbDL1EzLkh9GBhXDw==")
            .header("sec-websocket-version", "13")
            .header("user-agent", "Mozilla/5.0");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        UpgradeRequest::new(&parts, &Peer::example())
    }

    fn new(handshake: &UpgradeRequest) -> New {
        let connected_at = Timestamp::from_millisecond(1_739_125_407_396).unwrap();
        let unfinished = super::super::Unfinished::new(&tokio::sync::watch::Sender::new(0));
        New { id: "QQFxqeZfIAMCKRA=".into(), connected_at, client: handshake.client.clone(), unfinished }
    }

    /// The keys of a captured event, which may differ in values and in nothing else.
    #[track_caller]
    fn has_the_fields_of(event: &Value, captured: &Value, at: &str) {
        let keys = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<BTreeSet<_>>());
        assert_eq!(keys(event), keys(captured), "{at}");
        for (key, value) in captured.as_object().into_iter().flatten() {
            assert_eq!(event[key].is_string(), value.is_string(), "{at}.{key}: {}", event[key]);
            if ["requestContext", "identity", "headers", "multiValueHeaders"].contains(&key.as_str()) {
                has_the_fields_of(&event[key], value, key);
            }
        }
    }

    /// The headers of a captured `$connect`.
    fn headers(value: impl Fn(&str) -> Value) -> Value {
        let names = [
            "Host",
            "Origin",
            "Sec-WebSocket-Extensions",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
            "User-Agent",
            "X-Amzn-Trace-Id",
            "X-Forwarded-For",
            "X-Forwarded-Port",
            "X-Forwarded-Proto",
        ];
        names.into_iter().map(|name| (name.to_owned(), value(""))).collect::<serde_json::Map<_, _>>().into()
    }

    fn captured_context(extra: &[&str]) -> Value {
        let mut context = json!({
            "routeKey": "", "eventType": "", "extendedRequestId": "", "requestTime": "09/Feb/2025:18:23:27 +0000",
            "messageDirection": "IN", "stage": "prod", "connectedAt": 1, "requestTimeEpoch": 1,
            "identity": {"userAgent": "Mozilla/5.0", "sourceIp": "203.0.113.7"}, "requestId": "", "domainName": "",
            "connectionId": "", "apiId": "",
        });
        for key in extra {
            context[*key] = if *key == "disconnectStatusCode" { json!(1005) } else { json!("") };
        }
        context
    }

    #[test]
    fn events_have_the_fields_of_api_gateway() {
        let handshake = handshake();
        let new = new(&handshake);
        let event = connect(&api(), &new, &handshake);
        let captured = json!({
            "headers": headers(|value| json!(value)), "multiValueHeaders": headers(|value| json!([value])),
            "queryStringParameters": {"EIO": "4", "transport": "websocket", "x": "2"},
            "multiValueQueryStringParameters": {}, "requestContext": captured_context(&[]), "isBase64Encoded": false,
        });
        has_the_fields_of(&event, &captured, "$connect");
        assert_eq!(event["headers"]["Origin"], "https://app.example.com");
        assert_eq!(event["headers"]["X-Forwarded-Port"], "3000");
        assert_eq!(event["multiValueHeaders"]["Origin"], json!(["https://app.example.com"]));
        assert_eq!(event["queryStringParameters"], json!({"EIO": "4", "transport": "websocket", "x": "2"}));
        assert_eq!(event["multiValueQueryStringParameters"]["x"], json!(["1", "2"]));
        assert_eq!(event["requestContext"]["connectedAt"], 1_739_125_407_396_i64);
        assert_eq!(event["requestContext"]["domainName"], "localhost:3000", "its own name, whatever Host says");

        let message = message_of(&new, "40/users,");
        let captured =
            json!({"requestContext": captured_context(&["messageId"]), "body": "", "isBase64Encoded": false});
        has_the_fields_of(&message, &captured, "MESSAGE");

        let close = Close::without_status();
        let disconnect = disconnect(&api(), &new.id, &new.client, new.connected_at, &close);
        let context = captured_context(&["disconnectStatusCode", "disconnectReason"]);
        let headers = json!({"Host": "", "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""});
        let many = json!({"Host": [""], "x-api-key": [""], "X-Forwarded-For": [""], "x-restapi": [""]});
        let captured =
            json!({"headers": headers, "multiValueHeaders": many, "requestContext": context, "isBase64Encoded": false});
        has_the_fields_of(&disconnect, &captured, "$disconnect");
    }

    #[test]
    fn a_header_in_whatever_bytes_is_in_the_event_as_text() {
        let request = Request::get("/dev")
            .header("origin", HeaderValue::from_bytes(b"http://a\xff").unwrap())
            .header("user-agent", HeaderValue::from_bytes("Zoë".as_bytes()).unwrap())
            .header("cookie", "a=1")
            .header("cookie", HeaderValue::from_bytes(b"b=\xfe").unwrap());
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let handshake = UpgradeRequest::new(&parts, &Peer::example());
        let event = connect(&api(), &new(&handshake), &handshake);
        assert_eq!(event["headers"]["Origin"], "http://a\u{fffd}");
        assert_eq!(event["headers"]["User-Agent"], "Zoë");
        assert_eq!(event["headers"]["Cookie"], "b=\u{fffd}");
        assert_eq!(event["multiValueHeaders"]["Cookie"], json!(["a=1", "b=\u{fffd}"]));
        assert_eq!(event["requestContext"]["identity"]["userAgent"], "Zoë");
    }

    fn message_of(new: &New, body: &str) -> Value {
        struct Nowhere;
        impl super::super::Wire for Nowhere {
            fn send(&self, _frame: &str) -> Result<(), super::super::BufferFull> {
                Ok(())
            }
            fn close(&self) {}
        }
        let connection = OpenConnection {
            client: new.client.clone(),
            connected_at: new.connected_at,
            last_active_at: new.connected_at.into(),
            turns: std::sync::Arc::new(tokio::sync::Semaphore::new(1)),
            wire: std::sync::Arc::new(Nowhere),
            _unfinished: super::super::Unfinished::new(&tokio::sync::watch::Sender::new(0)),
        };
        message(&api(), "$default", &new.id, &connection, body)
    }
}
