//! What delivery withstands: failing, slow and duplicated invocations, a gateway that throttles.

use local_dev::{Fault, Often};
use serde_json::{Value, json};
use tests::{Cloud, Edge, Socket, until};

fn path(user: &Value) -> String {
    format!("/users/{}", user["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_batch_that_fails_twice_is_delivered_in_order_all_the_same() {
    for edge in Edge::ALL {
        let cloud = Cloud::start().await;
        let admin = cloud.admin().await;
        let mut feed = Socket::connected(&cloud, edge, None).await;
        let user = cloud.rest().register().await;
        assert_eq!(feed.event().await.0, "users.created", "{edge:?}");
        cloud.running().faults().set([Fault::Fail("broadcast".into(), Often::Next(2))]);
        for n in 0..10 {
            admin.patch(&path(&user), json!({"fullName": format!("Sara Ahmadi {n}")})).await.expect(200);
        }
        for n in 0..10 {
            assert_eq!(feed.event().await.1["fullName"], format!("Sara Ahmadi {n}"), "{edge:?}");
        }
        assert_eq!(cloud.running().dead_letters(), Vec::<Value>::new());
        cloud.stop().await;
    }
}

#[tokio::test]
async fn what_cannot_be_delivered_is_parked_and_the_rest_goes_on() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let mut feed = Socket::connected(&cloud, Edge::Gateway, None).await;
    let user = cloud.rest().register().await;
    assert_eq!(feed.event().await.0, "users.created");
    // The template allows five retries.
    cloud.running().faults().set([Fault::Fail("broadcast".into(), Often::Next(6))]);
    admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi Lost"})).await.expect(200);
    until(async || cloud.running().dead_letters().len() == 1).await;
    let letter = cloud.running().dead_letters().remove(0);
    assert_eq!(letter["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(letter["requestContext"]["approximateInvokeCount"], 6);
    assert!(!letter.to_string().contains("Lost"), "no item data");
    admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi Next"})).await.expect(200);
    assert_eq!(feed.event().await.1["fullName"], "Sara Ahmadi Next");
    cloud.stop().await;
}

#[tokio::test]
async fn a_throttling_gateway_delays_but_loses_nothing() {
    for edge in Edge::ALL {
        let cloud = Cloud::start().await;
        let admin = cloud.admin().await;
        let mut sockets = Vec::new();
        for _ in 0..4 {
            sockets.push(Socket::connected(&cloud, edge, None).await);
        }
        let user = cloud.rest().register().await;
        for socket in &mut sockets {
            assert_eq!(socket.event().await.0, "users.created", "{edge:?}");
        }
        cloud.running().faults().set([Fault::Throttle(Often::Percent(25))]);
        for n in 0..10 {
            admin.patch(&path(&user), json!({"fullName": format!("Sara Ahmadi {n}")})).await.expect(200);
        }
        for socket in &mut sockets {
            for n in 0..10 {
                assert_eq!(socket.event().await.1["fullName"], format!("Sara Ahmadi {n}"), "{edge:?}");
            }
        }
        cloud.stop().await;
    }
}

#[tokio::test]
async fn a_gateway_that_takes_nothing_for_a_while_is_tried_again_without_doubling() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(Socket::connected(&cloud, Edge::Gateway, None).await);
    }
    let user = cloud.rest().register().await;
    for socket in &mut sockets {
        assert_eq!(socket.event().await.0, "users.created");
    }
    // One invocation has three rounds of four attempts for each socket, so the event source has to come again.
    cloud.running().faults().set([Fault::Throttle(Often::Next(10 * 3 * 4 + 10))]);
    for n in 0..3 {
        admin.patch(&path(&user), json!({"fullName": format!("Sara Ahmadi {n}")})).await.expect(200);
    }
    for socket in &mut sockets {
        for n in 0..3 {
            assert_eq!(socket.event().await.1["fullName"], format!("Sara Ahmadi {n}"));
        }
    }
    let marker = admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi Nik"})).await.expect(200);
    for socket in &mut sockets {
        assert_eq!(socket.event().await.1, marker["user"]);
    }
    cloud.stop().await;
}

#[tokio::test]
async fn duplicated_and_overtaking_batches_end_with_the_last_state() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let mut socket = Socket::connected(&cloud, Edge::Gateway, None).await;
    let user = cloud.rest().register().await;
    cloud.running().faults().set([Fault::Duplicate(Often::Percent(50)), Fault::Reorder(Often::Percent(50))]);
    for n in 0..20 {
        admin.patch(&path(&user), json!({"fullName": format!("Sara Ahmadi {n}")})).await.expect(200);
    }
    cloud.running().faults().set([]);
    let last = admin.patch(&path(&user), json!({"fullName": "Sara Ahmadi 20"})).await.expect(200);
    // At least once: every state is heard, and a repeated one is one that was heard already. The last one comes last.
    let (mut newest, mut heard) = (-1, Value::Null);
    while heard != last["user"] {
        (_, heard) = socket.event().await;
        let name = heard["fullName"].as_str().unwrap();
        let n: i32 = name.rsplit(' ').next().unwrap().parse().unwrap_or(-1);
        assert!(n <= newest + 1, "{n} came before {}", newest + 1);
        newest = newest.max(n);
    }
    let marker = cloud.rest().register().await;
    assert_eq!(socket.event().await.1, marker, "nothing stale comes after it");
    cloud.stop().await;
}

#[tokio::test]
async fn a_panicking_or_failing_message_function_costs_only_its_own_connection() {
    let cloud = Cloud::start().await;
    let mut bystander = Socket::connected(&cloud, Edge::SocketIo, None).await;
    cloud.running().faults().set([Fault::Fail("message".into(), Often::Next(1))]);
    let mut unlucky = Socket::connecting(&cloud, Edge::SocketIo, None).await;
    assert_eq!(unlucky.close_code().await / 10, 100, "closed, so that the client comes back");
    let user = cloud.rest().register().await;
    assert_eq!(bystander.event().await.1, user);
    cloud.stop().await;
}

#[tokio::test]
async fn a_poisoned_record_is_parked_and_everybody_else_is_told() {
    let cloud = Cloud::start().await;
    let mut feed = Socket::connected(&cloud, Edge::Gateway, None).await;
    cloud.poison("sara@example.com is no user").await;
    for _ in 0..3 {
        let user = cloud.rest().register().await;
        assert_eq!(feed.event().await, ("users.created".to_owned(), user));
    }
    until(async || cloud.running().dead_letters().len() == 1).await;
    let letter = cloud.running().dead_letters().remove(0);
    assert!(!letter.to_string().contains("sara@example.com"), "no item data: {letter}");
    cloud.stop().await;
}
