//! Lambda's Invoke API: the greeting of new connections, and functions that people invoke.

use std::time::{Duration, Instant};

use futures::future::join_all;
use local_dev::{Fault, Often};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tests::{Cloud, Edge, Socket, until};
use tokio::time::timeout;

/// How long it takes until a new connection has its open packet.
async fn opened_within(cloud: &Cloud) -> Duration {
    let started = Instant::now();
    Socket::open(cloud, Edge::Gateway, None).await.unwrap();
    started.elapsed()
}

#[tokio::test]
async fn connections_that_never_open_delay_no_other_by_more_than_100_ms() {
    const DEAD: usize = 20;
    let cloud = Cloud::for_crowds().await;
    let (mut alone, mut beside) = (Duration::MAX, Duration::MAX);
    // A busy machine may be slow once, but waiting for the dead would be slow every time.
    for round in 1..=3 {
        alone = alone.min(opened_within(&cloud).await);
        // They go while `$connect` is being asked, and their rows stay: they are greeted in vain for seconds.
        cloud
            .running()
            .faults()
            .set([Fault::DropDisconnect, Fault::Slow("connect".into(), Duration::from_millis(400))]);
        let dial = || timeout(Duration::from_millis(50), Socket::dial(&cloud, Edge::Gateway, None));
        assert!(join_all((0..DEAD).map(|_| dial())).await.iter().all(Result::is_err));
        until(async || cloud.connection_ids().await.len() >= round * DEAD).await;
        cloud.running().faults().set([Fault::DropDisconnect]);
        beside = beside.min(opened_within(&cloud).await);
        cloud.running().faults().set([]);
    }
    assert!(beside < alone + Duration::from_millis(100), "{beside:?}, alone {alone:?}");
    cloud.stop().await;
}

/// Connects as clients do: one that is not greeted for some time, or is turned away, makes a new connection.
async fn connected_in_the_end(cloud: &Cloud, limit: Duration) -> Socket {
    loop {
        let Ok(Ok(mut socket)) = timeout(limit, Socket::open(cloud, Edge::Gateway, None)).await else { continue };
        socket.send_connect(None).await;
        let answer = socket.frame().await;
        assert!(answer.as_deref().is_some_and(|frame| frame.starts_with("40/users,")), "{answer:?}");
        return socket;
    }
}

#[tokio::test]
async fn with_a_handshake_function_that_fails_everybody_connects_in_the_end() {
    let cloud = Cloud::start().await;
    cloud.running().faults().set([Fault::Fail("handshake".into(), Often::Next(10))]);
    let mut sockets = join_all((0..20).map(|_| connected_in_the_end(&cloud, Duration::from_secs(2)))).await;
    let user = cloud.rest().register().await;
    for event in join_all(sockets.iter_mut().map(Socket::event)).await {
        assert_eq!(event, ("users.created".into(), user.clone()));
    }
    // None of the ten is tried again; each is kept with its reason.
    let letters = cloud.running().dead_letters();
    assert_eq!(letters.len(), 10);
    for letter in letters {
        assert!(letter["requestPayload"]["connectionId"].as_str().unwrap().ends_with('='), "{letter}");
        assert_eq!(letter["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(letter["responsePayload"]["errorMessage"], "failed on purpose (--fault)");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_function_can_be_invoked_as_on_aws_by_everyone_who_reaches_local_dev() {
    let cloud = Cloud::start().await;
    let event = include_str!("../../fixtures/events/api.json");
    let invoke = async |name: &str, kind: &str| {
        let url = format!("{}/2015-03-31/functions/{name}/invocations", cloud.url());
        Client::new().post(url).header("x-amz-invocation-type", kind).body(event).send().await.unwrap()
    };
    let arn = "arn:aws:lambda:eu-central-1:000000000000:function:ApiFunction";
    for name in ["ApiFunction", arn] {
        let answer = invoke(name, "RequestResponse").await;
        assert_eq!((answer.status(), answer.headers().contains_key("x-amz-function-error")), (StatusCode::OK, false));
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["statusCode"], 401, "{answer}");
        assert_eq!(invoke(name, "Event").await.status(), StatusCode::ACCEPTED);
        assert_eq!(invoke(name, "DryRun").await.status(), StatusCode::NO_CONTENT);
    }
    // It takes no event of another kind, which is its own error and not one of Lambda's.
    let answer = invoke("HandshakeFunction", "RequestResponse").await;
    assert_eq!(
        (answer.status(), &answer.headers()["x-amz-function-error"]),
        (StatusCode::OK, &"Unhandled".parse().unwrap())
    );
    assert!(answer.json::<Value>().await.unwrap()["errorMessage"].is_string());
    let answer = invoke("NoFunction", "Event").await;
    let error = answer.headers()["x-amzn-errortype"].clone();
    assert_eq!((answer.status(), error.to_str().unwrap()), (StatusCode::NOT_FOUND, "ResourceNotFoundException"));
    let message = json!("Function not found: arn:aws:lambda:eu-central-1:000000000000:function:NoFunction");
    assert_eq!(answer.json::<Value>().await.unwrap()["Message"], message);
    cloud.stop().await;
}
