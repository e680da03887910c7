//! What a handshake must be like to go on. The gateway passes the status of a refusal to the client.

use aws_lambda_events::event::apigw::ApiGatewayWebsocketProxyRequest;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL},
};
use shared::origins::Origins;

/// Why a handshake is refused. The Node server refuses the last three alike, with 400
/// (<https://github.com/socketio/socket.io/blob/main/packages/engine.io/lib/server.ts>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// A browser's page that is not on the list.
    #[error("a foreign origin")]
    Origin,
    /// A client of another Engine.IO than 4 would not understand what follows.
    #[error("another Engine.IO than 4")]
    Protocol,
    /// The transport is not WebSocket, and there is no other here.
    #[error("another transport than websocket")]
    Transport,
    /// An upgrade of a polling session, which cannot exist here. A client that was let in would wait for the answer to a
    /// probe and never hear it.
    #[error("a session that does not exist")]
    Session,
}

impl Refusal {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Protocol | Self::Transport | Self::Session => StatusCode::BAD_REQUEST,
        }
    }
}

/// Why this handshake cannot go on, if it cannot.
pub(crate) fn refusal(origins: &Origins, event: &ApiGatewayWebsocketProxyRequest) -> Option<Refusal> {
    let asks = |key| event.query_string_parameters.first(key);
    if !origins.allow(event.headers.get(ORIGIN), event.request_context.domain_name.as_deref()) {
        Some(Refusal::Origin)
    } else if asks("EIO") != Some("4") {
        Some(Refusal::Protocol)
    } else if asks("transport") != Some("websocket") {
        Some(Refusal::Transport)
    } else {
        // Node takes an empty one for none.
        asks("sid").is_some_and(|sid| !sid.is_empty()).then_some(Refusal::Session)
    }
}

/// The subprotocol to answer with: the first one offered, as the Node server does. A client that offered some and gets
/// none back has to give up the connection.
pub(crate) fn protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let offered = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    let first = offered.split(',').map(str::trim).find(|protocol| !protocol.is_empty())?;
    HeaderValue::from_str(first).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::config::Environment;

    use super::*;

    /// The fixture of a whole event, with another query and these headers.
    fn event(query: Value, headers: &[(&'static str, &'static str)]) -> ApiGatewayWebsocketProxyRequest {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/events/connect.json")).unwrap();
        event["queryStringParameters"] = query;
        event["requestContext"]["domainName"] = json!("a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com");
        let mut event: ApiGatewayWebsocketProxyRequest = serde_json::from_value(event).unwrap();
        event.headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
        event
    }

    fn judge(query: Value, origin: Option<&'static str>) -> Option<Refusal> {
        let origins = Environment::from_iter([("ORIGINS".to_owned(), "http://localhost:4200".to_owned())]);
        let headers: Vec<_> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        refusal(&Origins::from_env(&origins).unwrap(), &event(query, &headers))
    }

    #[test]
    fn only_a_new_websocket_session_of_engine_io_4_goes_on() {
        assert_eq!(judge(json!({"EIO": "4", "transport": "websocket"}), None), None);
        assert_eq!(judge(json!({"EIO": "4", "transport": "websocket", "t": "x", "sid": ""}), None), None);
        for (query, refusal) in [
            (json!({}), Refusal::Protocol),
            (json!({"EIO": "3", "transport": "websocket"}), Refusal::Protocol),
            (json!({"EIO": "4"}), Refusal::Transport),
            (json!({"EIO": "4", "transport": "polling"}), Refusal::Transport),
            (json!({"EIO": "4", "transport": "webtransport"}), Refusal::Transport),
            (json!({"EIO": "4", "transport": "websocket", "sid": "lv_VI97HAXpY6yYWAAAC"}), Refusal::Session),
        ] {
            assert_eq!(judge(query.clone(), None), Some(refusal), "{query}");
            assert_eq!(refusal.status(), 400);
        }
    }

    #[test]
    fn a_foreign_page_is_refused_and_the_own_address_is_none() {
        let good = json!({"EIO": "4", "transport": "websocket"});
        for origin in ["http://localhost:4200", "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"] {
            assert_eq!(judge(good.clone(), Some(origin)), None, "{origin}");
        }
        assert_eq!(judge(good, Some("https://evil.example")), Some(Refusal::Origin));
        assert_eq!(Refusal::Origin.status(), 403);
    }

    #[test]
    fn the_first_subprotocol_offered_is_the_one_answered_with() {
        let protocol = |offered| protocol(&event(json!({}), &[("sec-websocket-protocol", offered)]).headers);
        assert_eq!(protocol("a").unwrap(), "a");
        assert_eq!(protocol(" graphql-ws , b").unwrap(), "graphql-ws");
        assert_eq!(protocol(""), None);
        assert_eq!(super::protocol(&HeaderMap::new()), None);
    }
}
