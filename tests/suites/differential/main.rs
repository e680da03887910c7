//! The same sessions against the gateway edge and against a plain socketioxide server. The Node server is the
//! authority: each step says what Node does, and each edge does the same or is listed as differing, with its reason.
//!
//! Four differences hold for every session and are normalised. Ids are numbered, and the intervals of the open packet
//! are nobody's business here. Node and socketioxide close without a status (1005), API Gateway with 1000, and clients
//! treat all codes alike. And socketioxide says `1` before it closes, which clients ignore on a WebSocket, and pings
//! for the first time when the interval begins, not when it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod malformed;
mod player;
mod reference;
mod sessions;
mod table;

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use tests::{Cloud, Edge, Rest, Socket, until, user::path};

use self::{
    player::Player,
    reference::Reference,
    table::{Do, Reaction, RecordedSession, Step},
};

/// Both servers, and the user that is renamed on the gateway; socketioxide repeats the event.
struct World {
    cloud: Cloud,
    reference: Reference,
    admin: Rest,
    user: Value,
    bystander: Socket,
    renames: u32,
}

impl World {
    async fn start() -> Self {
        let cloud = Cloud::start().await;
        let admin = cloud.admin().await;
        let user = cloud.rest().register().await;
        let bystander = Socket::connected(&cloud, Edge::Gateway, None).await;
        Self { cloud, admin, user, bystander, renames: 0, reference: Reference::start(Duration::from_secs(45)).await }
    }

    /// Posts `users.updated` on an edge, and returns when the sockets there have been told.
    async fn rename(&mut self, edge: Edge) {
        if edge == Edge::SocketIo {
            return self.reference.emit("users.updated", &self.user).await;
        }
        self.renames += 1;
        let name = format!("Sara Ahmadi {}", self.renames);
        self.user = self.admin.patch(&path(&self.user), json!({ "fullName": name })).await.expect(200)["user"].take();
        while self.bystander.event().await.1 != self.user {}
    }

    async fn open(&self, edge: Edge) -> Player {
        match edge {
            Edge::Gateway => Player::open(&self.cloud, edge).await,
            Edge::SocketIo => Player::open(&self.reference, edge).await,
        }
    }

    /// Plays a session on both edges; says where one does not do what the table says.
    async fn play(&mut self, session: &RecordedSession) -> Vec<String> {
        let mut wrong = Vec::new();
        // The gateway first: its renames are what socketioxide repeats.
        for edge in [Edge::Gateway, Edge::SocketIo] {
            let mut player = self.open(edge).await;
            for (number, step) in session.steps.iter().enumerate() {
                let expected = step.on(edge);
                let seen = self.take(step, expected, &mut player, edge).await;
                if seen != *expected {
                    let (name, what) = (session.name, step.what);
                    let place = format!("{name}, step {number}, {what:?} on {edge:?}");
                    wrong.push(format!("{place}: {seen:?} instead of {expected:?}"));
                }
                if seen.ends() {
                    break;
                }
            }
        }
        wrong
    }

    async fn take(&mut self, step: &Step, expected: &Reaction, player: &mut Player, edge: Edge) -> Reaction {
        match step.what {
            Do::Send(frames) => player.send(frames).await,
            Do::SendLong(length) => player.send_long(length).await,
            Do::Rename => self.rename(edge).await,
        }
        player.reaction(expected, &self.user).await
    }
}

async fn every_session_is_as_the_table_says(sessions: Vec<RecordedSession>) {
    let mut world = World::start().await;
    let mut wrong = Vec::new();
    for session in sessions {
        wrong.extend(world.play(&session).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.cloud.stop().await;
}

#[tokio::test]
async fn sessions_are_those_of_the_node_server_up_to_the_table() {
    every_session_is_as_the_table_says(sessions::all()).await;
}

#[tokio::test]
async fn malformed_frames_are_taken_as_by_the_node_server_up_to_the_table() {
    every_session_is_as_the_table_says(malformed::all()).await;
}

#[tokio::test]
async fn the_open_packets_are_equal_up_to_the_id_and_the_intervals() {
    let world = World::start().await;
    let (ours, theirs) = (world.open(Edge::Gateway).await, world.open(Edge::SocketIo).await);
    assert_eq!(ours.opened, r#"{"sid":"<sid>","upgrades":[],"pingInterval":0,"pingTimeout":0,"maxPayload":131072}"#);
    assert_eq!(ours.opened, theirs.opened);
    world.cloud.stop().await;
}

/// Node: closes 45 s after the open packet. The gateway's functions have no timer per connection: the heartbeat of the
/// next minute does it.
#[tokio::test]
async fn who_joins_no_namespace_in_45_seconds_is_closed_by_both() {
    let cloud = Cloud::start().await;
    let mut ours = Player::open(&cloud, Edge::Gateway).await;
    // A heartbeat reads with eventual consistency, so the first one may not see a connection this young.
    let sweep = async || {
        cloud.running().tick(Timestamp::now() + 50.seconds()).await.unwrap();
        cloud.connection_ids().await.is_empty()
    };
    until(sweep).await;
    assert_eq!(ours.reaction(&Reaction::Closed, &Value::Null).await, Reaction::Closed);
    let reference = Reference::start(Duration::from_millis(200)).await;
    let mut theirs = Player::open(&reference, Edge::SocketIo).await;
    assert_eq!(theirs.reaction(&Reaction::Closed, &Value::Null).await, Reaction::Closed);
    cloud.stop().await;
}

/// Node: closes, because the event is read before the CONNECT has been answered. API Gateway hands messages over at the
/// same time and in no order, so the event may just as well come after the join; then it is an event like any other.
#[tokio::test]
async fn an_event_in_the_same_instant_as_connect_is_closed_or_counts_as_sent_after_it() {
    let world = World::start().await;
    for edge in Edge::ALL {
        for _ in 0..10 {
            let mut player = world.open(edge).await;
            player.send(&["40/users,", r#"42/users,["early"]"#]).await;
            let joined = Reaction::Answers(&[r#"40/users,{"sid":"<1>"}"#]);
            let seen = player.reaction(&joined, &Value::Null).await;
            // The answer may already be on its way when the event closes the connection.
            let answered_and_closed = matches!(&seen, Reaction::Surprise(frames)
                if frames.len() == 2 && frames[0].starts_with("40/users,") && frames[1].starts_with("closed"));
            assert!(seen == joined || seen.ends() || answered_and_closed, "{edge:?}: {seen:?}");
        }
    }
    world.cloud.stop().await;
}
