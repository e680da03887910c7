//! The gateway in front of a function that answers everything the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use axum::{extract::Request, http::request::Parts};
use serde_json::{Value, json};

use super::*;
use crate::{
    event_source::Wakeup,
    functions::{Code, handler},
    server::Peer,
    template::{RouteSelection, Template},
    throttle::Throttle,
};

/// The events the function was sent, in order.
type Sent = Arc<Mutex<Vec<Value>>>;

const FUNCTION: &str = "
Resources:
  F: { Type: AWS::Serverless::Function, Properties: { CodeUri: ../functions/f } }
";

/// A gateway with these routes, all to one function that answers with the body `hello`.
fn gateway(routes: &[&str], answering: &[&str], selection: RouteSelection) -> (Gateway, Sent) {
    with(json!({"statusCode": 200, "body": "hello"}), StageThrottle::default(), routes, answering, selection)
}

/// A gateway with these routes, all to one function that gives this answer, and with this throttle.
fn with(
    answer: Value,
    throttle: StageThrottle,
    routes: &[&str],
    answering: &[&str],
    selection: RouteSelection,
) -> (Gateway, Sent) {
    let sent = Sent::default();
    let kept = Arc::clone(&sent);
    let invoke = handler(move |event, _| {
        kept.lock().unwrap().push(event);
        let answer = answer.clone();
        async { Ok(answer) }
    });
    let (template, faults) = (Template::parse(FUNCTION).unwrap(), Arc::<Faults>::default());
    let (code, environments) = (Code::of([("f", invoke)]), HashMap::new());
    let functions =
        Functions::start(template.functions(), &code, &environments, Wakeup::default(), Arc::clone(&faults));
    let api = WebSocketApi {
        logical_id: "WebSocketApi".to_owned(),
        stage: "dev".to_owned(),
        selection,
        routes: routes.iter().map(|key| ((*key).to_owned(), "F".to_owned())).collect::<BTreeMap<_, _>>(),
        answering: answering.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>(),
    };
    (Gateway::new(api, functions.unwrap(), faults, Limits::default(), throttle, usize::MAX), sent)
}

fn handshake() -> UpgradeRequest {
    let (parts, ()): (Parts, ()) = Request::get("/dev").body(()).unwrap().into_parts();
    UpgradeRequest::new(&parts, &Peer::example())
}

/// A wire without a client.
struct Nowhere;

impl Wire for Nowhere {
    fn send(&self, _frame: &str) -> Result<(), BufferFull> {
        Ok(())
    }

    fn close(&self) {}
}

async fn opened(gateway: &Gateway) -> String {
    let accepted = gateway.connect(handshake()).await.ok().unwrap();
    let id = accepted.id().to_owned();
    gateway.open(accepted, Arc::new(Nowhere));
    id
}

#[tokio::test]
async fn until_a_connection_is_open_it_is_gone_for_every_call() {
    let (gateway, _) = gateway(&["$connect"], &[], RouteSelection::Default);
    let accepted = gateway.connect(handshake()).await.ok().unwrap();
    let id = accepted.id().to_owned();
    assert_eq!(gateway.post(&id, "0{}"), Err(NotSent::Gone));
    assert_eq!(gateway.reachable(&id).err(), Some(NotSent::Gone));
    assert_eq!(gateway.delete(&id), Err(NotSent::Gone));
    gateway.open(accepted, Arc::new(Nowhere));
    assert_eq!(gateway.post(&id, "0{}"), Ok(()));
}

#[tokio::test]
async fn the_fault_gone_hides_young_connections_from_every_call() {
    let (gateway, _) = gateway(&[], &[], RouteSelection::Default);
    let id = opened(&gateway).await;
    gateway.0.faults.set(["gone=1000s".parse().unwrap()]);
    assert_eq!(gateway.post(&id, "2"), Err(NotSent::Gone));
    assert_eq!(gateway.reachable(&id).err(), Some(NotSent::Gone));
    assert_eq!(gateway.delete(&id), Err(NotSent::Gone));
    gateway.0.faults.set([]);
    assert_eq!(gateway.delete(&id), Ok(()));
}

#[tokio::test]
async fn the_body_of_an_answer_goes_nowhere_unless_its_route_has_a_response() {
    for (answering, frame) in [(&["$default"][..], Some("hello")), (&[], None)] {
        let (gateway, _) = gateway(&["$default"], answering, RouteSelection::Default);
        let id = opened(&gateway).await;
        assert_eq!(gateway.message(&id, "2".to_owned()).await.unwrap().as_deref(), frame, "{answering:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_is_an_empty_frame_with_that_fault_and_only_on_a_two_way_route() {
    for (answering, with_fault) in [(&["$default"][..], Some("")), (&[], None)] {
        let answer = json!({"statusCode": 200});
        let (gateway, _) = with(answer, StageThrottle::default(), &["$default"], answering, RouteSelection::Default);
        let id = opened(&gateway).await;
        assert_eq!(gateway.message(&id, "3".to_owned()).await.unwrap(), None, "{answering:?}");
        gateway.0.faults.set([crate::Fault::EmptyAnswers]);
        assert_eq!(gateway.message(&id, "3".to_owned()).await.unwrap().as_deref(), with_fault, "{answering:?}");
    }
}

#[tokio::test]
async fn what_is_above_the_throttle_is_answered_with_an_error_frame_and_at_the_door_with_429() {
    let default = Some(Throttle { rate: 0.001, burst: 2.0 });
    let throttle = StageThrottle { default, ..StageThrottle::default() };
    let answer = json!({"statusCode": 200});
    let (gateway, sent) = with(answer, throttle, &["$connect", "$default"], &[], RouteSelection::Default);
    let (id, other) = (opened(&gateway).await, opened(&gateway).await);
    assert_eq!(gateway.connect(handshake()).await.err(), Some(StatusCode::TOO_MANY_REQUESTS));
    // The throttle counts the messages of all connections together.
    assert_eq!(gateway.message(&id, "3".to_owned()).await.unwrap(), None);
    assert_eq!(gateway.message(&other, "3".to_owned()).await.unwrap(), None);
    let frame: Value = serde_json::from_str(&gateway.message(&id, "3".to_owned()).await.unwrap().unwrap()).unwrap();
    assert_eq!((&frame["message"], &frame["connectionId"]), (&json!("Too Many Requests"), &json!(id)));
    assert_eq!(sent.lock().unwrap().len(), 4, "two handshakes and two messages");
}

#[tokio::test]
async fn a_connection_waits_while_as_many_of_its_messages_as_may_be_are_being_handled() {
    let (gateway, _) = gateway(&["$default"], &["$default"], RouteSelection::Default);
    let (busy, other) = (opened(&gateway).await, opened(&gateway).await);
    let mut turns = Vec::new();
    for _ in 0..MESSAGES_AT_ONCE {
        turns.push(gateway.turn(&busy).await.ok().unwrap());
    }
    let mut waiting = std::pin::pin!(gateway.message(&busy, "2".to_owned()));
    assert!(futures::poll!(&mut waiting).is_pending());
    assert_eq!(gateway.message(&other, "2".to_owned()).await.unwrap().as_deref(), Some("hello"));
    turns.pop();
    assert_eq!(waiting.await.unwrap().as_deref(), Some("hello"));
    // A message that waits when the connection is closed waits no longer.
    turns.push(gateway.turn(&busy).await.ok().unwrap());
    let mut waiting = std::pin::pin!(gateway.message(&busy, "2".to_owned()));
    assert!(futures::poll!(&mut waiting).is_pending());
    gateway.delete(&busy).unwrap();
    assert_eq!(waiting.await, Err(NotSent::Gone));
}

#[tokio::test]
async fn a_message_goes_to_the_route_it_names_and_is_told_so() {
    let selection = RouteSelection::Body("/action".to_owned());
    let (gateway, sent) = gateway(&["$default", "hello"], &["hello"], selection);
    let id = opened(&gateway).await;
    for (body, route, answer) in [(r#"{"action":"hello"}"#, "hello", Some("hello")), ("2", "$default", None)] {
        assert_eq!(gateway.message(&id, body.to_owned()).await.unwrap().as_deref(), answer);
        assert_eq!(sent.lock().unwrap().last().unwrap()["requestContext"]["routeKey"], route);
    }
}

#[tokio::test]
async fn a_message_without_a_route_is_forbidden() {
    let (gateway, _) = gateway(&[], &[], RouteSelection::Default);
    let id = opened(&gateway).await;
    let frame = gateway.message(&id, "2".to_owned()).await.unwrap().unwrap();
    assert!(frame.contains("Forbidden"), "{frame}");
}

#[tokio::test]
async fn the_end_waits_until_every_disconnect_was_answered_and_lets_nobody_in() {
    let (gateway, sent) = gateway(&["$disconnect"], &[], RouteSelection::Default);
    let (one, other) = (opened(&gateway).await, opened(&gateway).await);
    gateway.delete(&one).unwrap();
    gateway.disconnect(&other, Close::without_status());
    gateway.stop(Duration::from_secs(60)).await;
    let codes = |sent: &Sent| {
        let code = |event: &Value| event["requestContext"]["disconnectStatusCode"].as_u64().unwrap();
        let mut codes: Vec<_> = sent.lock().unwrap().iter().map(code).collect();
        codes.sort_unstable();
        codes
    };
    assert_eq!(codes(&sent), [1000, 1005]);
    assert_eq!(gateway.connect(handshake()).await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
}
