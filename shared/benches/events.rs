//! What an event and a socket cost apart from the posts: encoding a frame, making events of records, and joining.
//!
//! ```sh
//! cargo bench -p shared --bench events
//! ```
//!
//! A join goes to a database that answers every request at once from a thread of its own; the transaction is built, signed
//! and sent by the AWS SDK as on Lambda, over HTTP without TLS.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::{hint::black_box, net::TcpListener, thread};

use aws_lambda_events::event::dynamodb::Event;
use axum::{Router, http::header::CONTENT_TYPE};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use shared::{
    aws::Clients,
    config::Environment,
    connections::{ConnectionStore, Joined, Member, NAMESPACE, Room, Socket},
    events::{Change, from_change},
    gateway::Payload,
    protocol::Packet,
};
use tokio::runtime::Runtime;

/// A whole event of Lambda with records of the users table.
const RECORDS: &str = include_str!("../../tests/fixtures/events/broadcast.json");

fn frame(criterion: &mut Criterion) {
    let user: Value = json!({
        "id": "0199a0b2-7c3d-7e4f-8a1b-2c3d4e5f6a7b", "fullName": "Sara Ahmadi Rad", "countryCode": "IR",
        "countryName": "Iran", "phone": "+989121234567", "isBanned": false, "bannedAt": null, "phoneVerified": true,
        "email": "sara@example.com", "emailVerified": false, "photoUrl": null, "createdAt": "2026-01-02T03:04:05.678Z",
    });
    criterion.bench_function("frame of an event", |bencher| {
        bencher.iter_batched(
            || user.clone(),
            |user| Payload::new(Packet::event(NAMESPACE, "users.updated", black_box(user)).to_frame()),
            criterion::BatchSize::SmallInput,
        );
    });
}

fn plan(criterion: &mut Criterion) {
    let event: Event = serde_json::from_str(RECORDS).unwrap();
    let mut group = criterion.benchmark_group("plan");
    group.throughput(criterion::Throughput::Elements(event.records.len() as u64));
    group.bench_function("the records of a batch", |bencher| {
        bencher.iter(|| {
            let changes = event.records.iter().filter_map(|record| Change::try_from(black_box(record)).ok());
            changes.map(|change| from_change(&change).count()).sum::<usize>()
        });
    });
}

fn join(criterion: &mut Criterion) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let variables = [
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "bench".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "bench".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{}", listener.local_addr().unwrap())),
        ("CONNECTIONS_TABLE", "connections".to_owned()),
    ];
    thread::spawn(move || {
        let answer = || async { ([(CONTENT_TYPE, "application/x-amz-json-1.0")], "{}") };
        Runtime::new().unwrap().block_on(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
        });
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let env: Environment = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let store = ConnectionStore::new(&Clients::from_env(&env).unwrap(), &env).unwrap();
    let id = "QQFxqeZfIAMCKRA=";
    let socket = Socket {
        sid: "AZmgsnw9fk-KGyw9Tl9qew".to_owned(),
        subject: None,
        role: None,
        token_expires_at: None,
        rooms: vec![Room::feed().to_string()],
    };
    let member = Member {
        connection_id: id.to_owned(),
        generation: None,
        token_expires_at: None,
        connected_at: Some(0),
        recovers: false,
    };
    criterion.bench_function("join", |bencher| {
        bencher.iter(|| {
            let joined = runtime.block_on(store.join(&member, NAMESPACE, &socket, None)).unwrap();
            assert_eq!(joined, Joined::Yes);
        });
    });
}

criterion_group!(benches, frame, plan, join);
criterion_main!(benches);
