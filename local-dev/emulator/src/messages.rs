//! Amazon SES and SNS, as far as messages to people go: spoken to over their real protocols, delivered to the terminal
//! and to `GET /_dev/messages`.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::event;

/// Messages kept; older ones are forgotten.
const CAPACITY: usize = 1000;

/// One message, as it would have reached somebody.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SentMessage {
    id: Uuid,
    at: String,
    /// `email` or `sms`.
    channel: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    text: String,
}

/// What was sent, newest last.
#[derive(Clone, Default)]
struct Messages(Arc<Mutex<VecDeque<SentMessage>>>);

impl Messages {
    fn take(&self, message: SentMessage) {
        self.keep(message.clone());
        let SentMessage { channel, to, text, .. } = message;
        tracing::info!(channel, to, "{}", text.trim_end());
    }

    fn keep(&self, message: SentMessage) {
        let mut messages = self.sent();
        if messages.len() == CAPACITY {
            messages.pop_front();
        }
        messages.push_back(message);
    }

    fn all(&self) -> Vec<SentMessage> {
        self.sent().iter().cloned().collect()
    }

    fn sent(&self) -> MutexGuard<'_, VecDeque<SentMessage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SES version 2 under `/v2/email`, SNS's query protocol at the root, and what arrived.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/v2/email/outbound-emails", post(send_email))
        .route("/", post(query))
        .route("/_dev/messages", get(async |State(messages): State<Messages>| Json(messages.all())))
        .with_state(Messages::default())
}

/// `SendEmail`, of simple messages.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail {
    from_email_address: Option<String>,
    destination: Destination,
    content: EmailContent,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Destination {
    #[serde(default)]
    to_addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EmailContent {
    simple: Simple,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    subject: Text,
    body: Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    text: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Text {
    data: String,
}

/// The error shape of REST/JSON services: its type in a header, words in the body.
fn bad_request(problem: &str) -> Response {
    let mut response = (StatusCode::BAD_REQUEST, Json(json!({ "message": problem }))).into_response();
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static("BadRequestException"));
    response
}

/// Clients send JSON without always saying so.
async fn send_email(State(messages): State<Messages>, body: String) -> Response {
    let email: SendEmail = match serde_json::from_str(&body) {
        Ok(email) => email,
        Err(error) => return bad_request(&error.to_string()),
    };
    let Some(from) = email.from_email_address else { return bad_request("FromEmailAddress is missing") };
    if email.destination.to_addresses.is_empty() {
        return bad_request("Destination has no addresses");
    }
    // SES wants domains in Punycode, and sends to no other local part.
    if !email.destination.to_addresses.iter().all(|to| to.is_ascii()) {
        return bad_request("An address has characters that are not ASCII");
    }
    let id = Uuid::new_v4();
    let Simple { subject, body } = email.content.simple;
    messages.take(SentMessage {
        id,
        at: event::iso_millis(Timestamp::now()),
        channel: "email",
        from: Some(from),
        to: email.destination.to_addresses.join(", "),
        subject: Some(subject.data),
        text: body.text.data,
    });
    Json::<Value>(json!({ "MessageId": id })).into_response()
}

/// Services of the query protocol share one path; of SNS, `Publish` to a phone number is known here.
async fn query(State(messages): State<Messages>, body: Bytes) -> Response {
    let form: HashMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
    if form.get("Action").map(String::as_str) != Some("Publish") {
        return refused("InvalidAction", "this emulator knows the action Publish only");
    }
    let Some(to) = form.get("PhoneNumber") else {
        return refused("InvalidParameter", "Invalid parameter: PhoneNumber is missing");
    };
    let digits = to.strip_prefix('+').unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return refused("InvalidParameter", "Invalid parameter: PhoneNumber is not in E.164 format");
    }
    let Some(text) = form.get("Message").filter(|text| !text.is_empty()) else {
        return refused("InvalidParameter", "Invalid parameter: Empty message");
    };
    let id = Uuid::new_v4();
    let at = event::iso_millis(Timestamp::now());
    messages.take(SentMessage {
        id,
        at,
        channel: "sms",
        from: None,
        to: to.clone(),
        subject: None,
        text: text.clone(),
    });
    let answer = format!(
        "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>{id}</MessageId>\
         </PublishResult><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></PublishResponse>",
        Uuid::new_v4()
    );
    xml(StatusCode::OK, answer)
}

/// `problem` is text of ours and needs no escaping.
fn refused(code: &'static str, problem: &'static str) -> Response {
    let answer = format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{problem}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
        Uuid::new_v4()
    );
    xml(StatusCode::BAD_REQUEST, answer)
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "text/xml")], body).into_response()
}
