//! The bill is of what happens: the model's numbers are those of a real connection.

use jiff::{Timestamp, ToSpan as _};
use local_dev::Spent;
use planner::{CYCLE, Cycle, RECOVERY, RENEWAL, Recovery};
use shared::auth::Role;
use tests::{
    Cloud, Edge, Socket, TOKEN_SECRET,
    recovering::{Recovering, Witness, registered_at_once, rename},
    tokens, until,
    user::id,
};

/// The functions that work for a connection.
const OF_A_CONNECTION: [&str; 5] =
    ["ConnectFunction", "HandshakeFunction", "MessageFunction", "DisconnectFunction", "HeartbeatFunction"];

fn spent(cloud: &Cloud) -> Spent {
    let all = cloud.running().spent();
    let of = |function: &&str| all.get(*function).copied().unwrap_or_default();
    OF_A_CONNECTION.iter().map(of).fold(Spent::default(), |sum, spent| sum + spent)
}

/// Eight minutes of the heartbeat from then on: every connection's turn comes once.
#[tokio::test]
async fn a_connection_from_its_connect_until_its_token_ends_uses_what_the_bill_says() {
    let cloud = Cloud::start().await;
    let user = cloud.rest().register().await;
    let token = cloud.rest().login(&user).await;
    let before = spent(&cloud);
    let mut socket = Socket::dial(&cloud, Edge::Gateway, None).await.unwrap();
    let open = socket.raw_frame().await.unwrap();
    assert!(open.starts_with('0'), "{open}");
    socket.send_connect(Some(serde_json::json!({"token": token.token()}))).await;
    let (sent, mut heard) = (1.0, 1.0);
    let answer = socket.raw_frame().await.unwrap();
    assert!(answer.starts_with("40/users,"), "{answer}");
    heard += 1.0;
    cloud.beat_for_a_round(Timestamp::now() + 16.minutes()).await;
    while socket.raw_frame().await.is_ok() {
        heard += 1.0;
    }
    until(async || cloud.connection_ids().await.is_empty() && cloud.room_members().await.is_empty()).await;
    // `disconnect` comes last, and may still be at it.
    until(async || cloud.running().spent().get("DisconnectFunction").is_some_and(|spent| spent.invocations == 1.0))
        .await;
    let mut used = spent(&cloud) - before;
    until(async || {
        let earlier = std::mem::replace(&mut used, spent(&cloud) - before);
        earlier == used
    })
    .await;
    // A round comes whoever is there.
    let nobody = spent(&cloud);
    cloud.beat_for_a_round(Timestamp::now() + 32.minutes()).await;
    let used = used - (spent(&cloud) - nobody);
    let seen = Cycle { frames: sent + heard, invocations: used.invocations, writes: used.writes, reads: used.reads };
    assert_eq!(seen, CYCLE, "{used:?}");
    cloud.stop().await;
}

#[tokio::test]
async fn a_token_that_is_renewed_uses_what_the_bill_says() {
    let cloud = Cloud::start().await;
    let user = cloud.rest().register().await;
    // One that ends earlier: what ends at the same second has nothing to be written.
    let (sub, issued) = (id(&user), Timestamp::now() - 5.minutes());
    let token = tokens(TOKEN_SECRET).issue_at(sub, Role::User, issued).unwrap();
    let mut socket = Socket::connected(&cloud, Edge::Gateway, Some(&token)).await;
    let fresh = cloud.rest().login(&user).await;
    let before = spent(&cloud);
    let renewal = serde_json::json!(["auth.renew", { "token": fresh.token() }]);
    socket.send(&format!("42/users,7{renewal}")).await;
    let answer = socket.raw_frame().await.unwrap();
    assert!(answer.starts_with("43/users,7"), "{answer}");
    let used = spent(&cloud) - before;
    let seen = Cycle { frames: 2.0, invocations: used.invocations, writes: used.writes, reads: used.reads };
    assert_eq!(seen, RENEWAL, "{used:?}");
    cloud.stop().await;
}

/// What broadcast does for a change is compared with what it did before there was a log: one query of the room, and the
/// posts.
#[tokio::test]
async fn the_log_of_a_change_and_a_recovery_use_what_the_bill_says() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let users = registered_at_once(&cloud, 3).await;
    let of = |function: &str| cloud.running().spent().get(function).copied().unwrap_or_default();
    let mut witness = Witness::of(&cloud).await;
    let first = Recovering::first(&cloud, serde_json::json!({})).await;
    let Recovering { socket, pid, mut offset, .. } = first;
    drop(socket);
    until(async || cloud.connection_ids().await.len() == 1).await;

    let before = of("BroadcastFunction");
    for (n, user) in users.iter().enumerate() {
        let changed = rename(&admin, user, &format!("Changed As Number {n}")).await;
        witness.hears(&cloud, &changed).await;
    }
    let used = of("BroadcastFunction") - before;
    let changes = 3.0;
    assert_eq!((used.posts, used.queries, used.reads), (changes, changes, 0.0), "{used:?}");

    let before = of("MessageFunction");
    let (_plain, nobody) = (Socket::connected(&cloud, Edge::Gateway, None).await, of("MessageFunction"));
    let plain = nobody - before;
    let (_back, heard, recovered) = Recovering::back(&cloud, &pid, &mut offset, serde_json::json!({})).await;
    assert!(recovered && heard.len() == users.len(), "{heard:?}");
    let recovery = of("MessageFunction") - nobody - plain;
    let missed = 3.0;
    let seen = Recovery {
        writes: used.writes / changes,
        queries: recovery.queries,
        reads: recovery.reads / missed,
        frames: recovery.posts / missed,
    };
    assert_eq!(seen, RECOVERY, "{recovery:?}");
    assert_eq!((recovery.writes, recovery.invocations), (0.0, 0.0), "{recovery:?}");
    cloud.stop().await;
}
