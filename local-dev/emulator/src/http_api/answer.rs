//! What a function answers, as API Gateway reads it, and the response it becomes.

use aws_lambda_events::event::apigw::ApiGatewayV2httpResponse;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::Value;

/// An answer of payload format 2.0.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Answer {
    /// An answer with a `statusCode`, and so with all that may stand beside it.
    Full(Box<ApiGatewayV2httpResponse>, StatusCode),
    /// Any other JSON is the body of a 200.
    Body(String),
}

/// Why an answer is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error(transparent)]
    Malformed(#[from] serde_json::Error),
    #[error("statusCode {0} is no status of HTTP")]
    Status(i64),
}

impl TryFrom<Value> for Answer {
    type Error = NoAnswer;

    fn try_from(mut answer: Value) -> Result<Self, NoAnswer> {
        match answer.as_object_mut() {
            Some(map) if map.get("statusCode").is_some_and(|status| !status.is_null()) => {
                // The struct wants what AWS does not.
                if map.get("cookies").is_none_or(Value::is_null) {
                    map.insert("cookies".to_owned(), Value::Array(Vec::new()));
                }
            }
            _ => return Ok(Self::Body(answer.as_str().map_or_else(|| answer.to_string(), str::to_owned))),
        }
        let full: ApiGatewayV2httpResponse = serde_json::from_value(answer)?;
        let status = u16::try_from(full.status_code).ok().and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(NoAnswer::Status(full.status_code))?;
        Ok(Self::Full(full.into(), status))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Full(answer, status) => full(*answer, status),
            Self::Body(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        }
    }
}

fn full(answer: ApiGatewayV2httpResponse, status: StatusCode) -> Response {
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

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::json;

    use super::*;

    async fn answered(answer: Value) -> (u16, String, String) {
        let response = serde_json::from_value::<Answer>(answer).unwrap().into_response();
        let (parts, body) = response.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        let body = String::from_utf8(to_bytes(body, 1000).await.unwrap().to_vec()).unwrap();
        (parts.status.as_u16(), kind.unwrap_or_default(), body)
    }

    #[tokio::test]
    async fn cookies_and_everything_but_the_status_may_be_left_out() {
        assert_eq!(answered(json!({"statusCode": 204})).await, (204, String::new(), String::new()));
        let nulls = json!({"statusCode": 201, "headers": null, "cookies": null, "body": "x", "isBase64Encoded": null});
        assert_eq!(answered(nulls).await, (201, String::new(), "x".to_owned()));
    }

    #[tokio::test]
    async fn json_without_a_status_is_the_body_of_a_200() {
        let json_of = |body: &str| (200, "application/json".to_owned(), body.to_owned());
        assert_eq!(answered(json!({"ok": true, "body": 1})).await, json_of(r#"{"ok":true,"body":1}"#));
        assert_eq!(answered(json!("Hello from Lambda!")).await, json_of("Hello from Lambda!"));
        assert_eq!(answered(json!([1, 2])).await, json_of("[1,2]"));
    }

    #[tokio::test]
    async fn cookies_become_headers_and_base64_becomes_bytes() {
        let answer = json!({"statusCode": 200, "cookies": ["a=1", "b=2"], "body": "aGk=", "isBase64Encoded": true});
        let response = serde_json::from_value::<Answer>(answer.clone()).unwrap().into_response();
        let cookies: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(answered(answer).await.2, "hi");
    }

    #[test]
    fn a_status_that_is_none_is_refused() {
        for wrong in [json!({"statusCode": 99}), json!({"statusCode": 70_000}), json!({"statusCode": "soon"})] {
            assert!(serde_json::from_value::<Answer>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
