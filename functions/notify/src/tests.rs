//! Refusals of the message services: which are final, and what the log says about them.

use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use shared::{
    passwords::PasswordHash,
    users::{User, UserStore},
    verification::CodeStore,
};
use uuid::Uuid;

use super::*;

/// DynamoDB, which remembers the row it is given, and SES and SNS, which refuse everything in the same way.
#[derive(Clone)]
struct Services {
    refusal: (StatusCode, &'static str),
    row: Arc<Mutex<Value>>,
    messages: Arc<Mutex<usize>>,
}

async fn root(State(services): State<Services>, headers: HeaderMap, body: String) -> Response {
    if headers.contains_key("x-amz-target") {
        *services.row.lock().unwrap() = serde_json::from_str::<Value>(&body).unwrap()["Item"].clone();
        return Json(json!({})).into_response();
    }
    *services.messages.lock().unwrap() += 1;
    let (status, code) = services.refusal;
    (
        status,
        format!("<ErrorResponse><Error><Code>{code}</Code><Message>+4917 is refused</Message></Error></ErrorResponse>"),
    )
        .into_response()
}

async fn email(State(services): State<Services>) -> Response {
    *services.messages.lock().unwrap() += 1;
    let (status, code) = services.refusal;
    (status, [("x-amzn-errortype", code)], r#"{"message":"sara@example.com is refused"}"#).into_response()
}

impl Services {
    /// Starts them, and returns the environment of who uses them.
    async fn start(refusal: (StatusCode, &'static str)) -> (Self, Environment) {
        let services = Self { refusal, row: Arc::default(), messages: Arc::default() };
        let router = Router::new().route("/", post(root)).route("/v2/email/outbound-emails", post(email));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = router.with_state(services.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let env = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &endpoint),
            ("AWS_ENDPOINT_URL_SESV2", &endpoint),
            ("AWS_ENDPOINT_URL_SNS", &endpoint),
            ("CODE_SECRET", "0123456789abcdef0123456789abcdef"),
            ("SENDER_EMAIL", "no-reply@example.com"),
            ("USERS_TABLE", "users"),
        ];
        (services, env.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect())
    }

    fn messages(&self) -> usize {
        *self.messages.lock().unwrap()
    }

    /// What the stream says of the row that was written.
    fn event(&self) -> LambdaEvent<Event> {
        let record = json!({
            "eventID": "event-1", "eventName": "INSERT", "awsRegion": "eu-central-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1739125407.0, "Keys": {}, "NewImage": *self.row.lock().unwrap(),
                "SequenceNumber": "1", "SizeBytes": 1, "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        });
        let event = serde_json::from_value(json!({ "Records": [record] })).unwrap();
        LambdaEvent::new(event, lambda_runtime::Context::default())
    }
}

async fn write_code(env: &Environment, channel: Channel) {
    let users = UserStore::new(&Clients::from_env(env).unwrap(), env).unwrap();
    let user = User {
        id: Uuid::new_v4(),
        full_name: "Sara Ahmadi Rad".into(),
        country_code: "IR".into(),
        country_name: "Iran".into(),
        phone: "+491700000000".into(),
        is_banned: false,
        banned_at: None,
        ban_reason: None,
        phone_verified: false,
        email: "sara@example.com".into(),
        email_verified: false,
        photo_url: None,
        created_at: "2025-02-09T18:23:27.396Z".into(),
        password_hash: PasswordHash("x".into()),
        session_generation: 0,
        request_id: None,
    };
    let codes = CodeStore::beside(&users, env).unwrap();
    request::as_part_of("request-1".into(), codes.send(&user, channel)).await.unwrap();
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// This is one test, because a subscriber of one thread does not always hear what another thread was the first to log.
#[tokio::test]
async fn a_message_refused_for_good_is_done_with_in_one_line_without_the_address_and_others_are_tried_again() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    for (channel, status, code, is_final) in [
        (Channel::Email, 400, "BadRequestException", true),
        (Channel::Email, 400, "MessageRejected", true),
        (Channel::Email, 403, "AccessDeniedException", false),
        (Channel::Email, 400, "SendingPausedException", false),
        (Channel::Email, 429, "TooManyRequestsException", false),
        (Channel::Phone, 400, "InvalidParameter", true),
        (Channel::Phone, 400, "ParameterValueInvalid", true),
        (Channel::Phone, 403, "AuthorizationError", false),
        (Channel::Phone, 400, "Throttling", false),
    ] {
        let (services, env) = Services::start((StatusCode::from_u16(status).unwrap(), code)).await;
        let notify = Notify::from_env(&env).unwrap();
        write_code(&env, channel).await;
        lines.0.lock().unwrap().clear();
        for _ in 0..2 {
            let answer = notify.handle(services.event()).await.unwrap();
            assert_eq!(answer.batch_item_failures.is_empty(), is_final, "{code}");
        }
        assert_eq!(services.messages() == 1, is_final, "{code}: {}", services.messages());

        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let level = if is_final { "WARN" } else { "ERROR" };
        assert_eq!(log.lines().count(), if is_final { 1 } else { 2 }, "{log}");
        for line in log.lines() {
            assert!([level, "event-1", "request-1", code].iter().all(|part| line.contains(part)), "{line}");
            assert!(!line.contains('@') && !line.contains("+49"), "{line}");
        }
    }
}
