//! Connection state recovery: who was away is told what changed meanwhile, and nobody else hears anything new.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use shared::{
    auth::Role,
    recovery::{Pid, Pids},
};
use tests::{
    Cloud, Edge, Socket, TOKEN_SECRET, on_every_edge,
    recovering::{Heard, Recovering, Witness, connect, registered, registered_at_once, rename, with},
    signing_environment, tokens, until,
    user::{id, path, path_to},
};

/// Name and payload of each event, in order.
fn told(heard: &[Heard]) -> Vec<(&str, &Value)> {
    heard.iter().map(|(name, payload, _)| (name.as_str(), payload)).collect()
}

#[tokio::test]
async fn who_was_away_is_told_the_newest_state_of_each_user_once_and_keeps_its_id() {
    let cloud = Cloud::start().await;
    let admin = cloud.admin().await;
    let (one, gone) = (registered(&cloud).await, registered(&cloud).await);
    let mut witness = Witness::of(&cloud).await;
    let mut client = Recovering::first(&cloud, json!({})).await;
    let before = rename(&admin, &one, "Heard Before Leaving").await;
    assert_eq!(told(&[client.hear().await]), [("users.updated", &before)]);
    witness.hears(&cloud, &before).await;
    let (sid, pid) = (client.sid.clone(), client.pid.clone());

    drop(client.socket);
    rename(&admin, &one, "First Of Two").await;
    let last = rename(&admin, &one, "Second Of Two").await;
    witness.hears(&cloud, &last).await;
    let new = cloud.rest().register().await;
    let new = rename(&admin, &new, "New And Renamed").await;
    witness.hears(&cloud, &new).await;
    admin.delete(&path(&gone)).await.expect(200);
    let gone = json!({"id": id(&gone)});
    witness.hears(&cloud, &gone).await;

    let (client, heard, recovered) = Recovering::back(&cloud, &pid, &mut client.offset, json!({})).await;
    assert!(recovered);
    assert_eq!((&client.sid, &client.pid), (&sid, &pid));
    assert_eq!(told(&heard), [("users.updated", &last), ("users.created", &new), ("users.deleted", &gone)]);

    // Twice in a row: what was told is not told again, and what comes then is.
    let (mut client, heard, recovered) = client.again(&cloud, json!({})).await;
    assert!(recovered && heard.is_empty(), "{heard:?}");
    let live = rename(&admin, &one, "Heard Live Again").await;
    assert_eq!(told(&[client.hear().await]), [("users.updated", &live)]);
    witness.hears(&cloud, &live).await;
    let (client, heard, recovered) = client.again(&cloud, json!({})).await;
    assert!(recovered && heard.is_empty(), "{heard:?}");
    assert_eq!(client.sid, sid);
    cloud.stop().await;
}

#[tokio::test]
async fn who_heard_nothing_yet_is_recovered_from_when_its_pid_was_issued() {
    let cloud = Cloud::start().await;
    let (admin, user) = (cloud.admin().await, registered(&cloud).await);
    let client = Recovering::first(&cloud, json!({})).await;
    let (client, heard, recovered) = client.again(&cloud, json!({})).await;
    assert!(recovered && heard.is_empty(), "{heard:?}");
    let Recovering { socket, pid, mut offset, .. } = client;
    assert_eq!(offset, None);
    drop(socket);
    let mut witness = Witness::of(&cloud).await;
    let changed = rename(&admin, &user, "Changed While Away").await;
    witness.hears(&cloud, &changed).await;
    let (_client, heard, recovered) = Recovering::back(&cloud, &pid, &mut offset, json!({})).await;
    assert_eq!((told(&heard), recovered), (vec![("users.updated", &changed)], true));
    cloud.stop().await;
}

fn pids() -> Pids {
    Pids::from_env(&signing_environment(TOKEN_SECRET)).unwrap()
}

/// A genuine `pid` with something changed.
fn changed(pid: &str, change: impl FnOnce(&mut Pid)) -> String {
    let mut pid = pids().read(pid).unwrap();
    change(&mut pid);
    pids().sign(&pid).unwrap()
}

#[tokio::test]
async fn after_quiet_hours_all_is_told_and_after_more_than_a_day_the_list_is_to_be_loaded() {
    let cloud = Cloud::start().await;
    let (admin, user) = (cloud.admin().await, registered(&cloud).await);
    let client = Recovering::first(&cloud, json!({})).await;
    let mut witness = Witness::of(&cloud).await;
    let changed_user = rename(&admin, &user, "Changed In The Last Hour").await;
    witness.hears(&cloud, &changed_user).await;
    cloud.begin_logs((Timestamp::now() - (30 * 24).hours()).as_millisecond()).await;
    let back = async |hours: i64, offset: Option<String>| {
        let old = changed(&client.pid, |pid| pid.issued_at -= hours * 3_600_000);
        Recovering::back(&cloud, &old, &mut { offset }, json!({})).await
    };
    let hours_ago = |hours: i64| Some((Timestamp::now().as_millisecond() - hours * 3_600_000).to_string());
    for (hours, offset) in [(1, None), (23, None), (23, hours_ago(1)), (240, hours_ago(1)), (240, hours_ago(23))] {
        let (again, heard, recovered) = back(hours, offset.clone()).await;
        // That user was registered within the hour as well.
        assert_eq!((told(&heard), recovered), (vec![("users.created", &changed_user)], true), "{hours} {offset:?}");
        assert_eq!(again.sid, client.sid);
    }
    for (hours, offset) in [(25, None), (240, None), (240, hours_ago(25))] {
        let (again, heard, recovered) = back(hours, offset.clone()).await;
        assert!(heard.is_empty() && !recovered, "{hours} {offset:?}: {heard:?}");
        assert_ne!(again.sid, client.sid);
    }
    cloud.stop().await;
}

/// What waits for so long may have waited behind changes that were given up and that no log has.
#[tokio::test]
async fn who_was_away_while_changes_waited_for_minutes_loads_the_list_once() {
    let cloud = Cloud::start().await;
    registered(&cloud).await;
    let client = Recovering::first(&cloud, json!({})).await;
    let broadcast = async |minutes: i64| {
        let event = include_str!("../../fixtures/events/broadcast.json");
        let mut event: Value = serde_json::from_str(event).unwrap();
        event["Records"][0]["dynamodb"]["ApproximateCreationDateTime"] =
            json!((Timestamp::now() - minutes.minutes()).as_second());
        let answer = cloud.running().invoke("BroadcastFunction", event).await.unwrap();
        assert_eq!(answer, json!({"batchItemFailures": []}));
        until(async || cloud.has_settled().await).await;
    };
    let Recovering { socket, pid, mut offset, .. } = client;
    drop(socket);
    broadcast(2).await;
    let (client, heard, recovered) = Recovering::back(&cloud, &pid, &mut offset, json!({})).await;
    assert!(recovered && heard.len() == 1, "{heard:?}");
    let Recovering { socket, pid, mut offset, .. } = client;
    drop(socket);
    broadcast(6).await;
    let (client, heard, recovered) = Recovering::back(&cloud, &pid, &mut offset, json!({})).await;
    assert!(!recovered && heard.is_empty(), "{heard:?}");
    let (_client, heard, recovered) = client.again(&cloud, json!({})).await;
    assert!(recovered && heard.is_empty(), "{heard:?}");
    cloud.stop().await;
}

/// Nobody gets to know more than a socket that joins for the first time, and nobody is refused for what the library says.
#[tokio::test]
async fn a_pid_that_is_not_the_bearers_own_and_an_offset_that_is_none_are_worth_nothing() {
    let cloud = Cloud::start().await;
    let (admin, user) = (cloud.admin().await, registered(&cloud).await);
    let (one, other) = (cloud.rest().register_and_login().await, cloud.rest().register_and_login().await);
    let feed = Recovering::first(&cloud, json!({"token": admin.token()})).await;
    let anonymous = Recovering::first(&cloud, json!({})).await;
    let own = Recovering::first(&cloud, json!({"token": one.token()})).await;
    let mut witness = Witness::of(&cloud).await;
    let newest = rename(&admin, &user, "Changed For The Feed").await;
    witness.hears(&cloud, &newest).await;

    let foreign = {
        let env = signing_environment("a secret of another deployment of it");
        let pid = pids().read(&feed.pid).unwrap();
        Pids::from_env(&env).unwrap().sign(&pid).unwrap()
    };
    let flipped = feed.pid.replacen('e', "f", 3);
    let of_pid = |pid: &str, change: fn(&mut Pid)| json!(changed(pid, change));
    let of_the_other = json!({"token": other.token()});
    let (of_admin, of_one, of_nobody) = (json!({"token": admin.token()}), json!({"token": one.token()}), json!({}));
    for (what, auth, pid) in [
        ("an administrator's with a user's token", &of_one, json!(feed.pid)),
        ("an administrator's with none", &of_nobody, json!(feed.pid)),
        ("an anonymous one with an administrator's token", &of_admin, json!(anonymous.pid)),
        ("a user's with another one's token", &of_the_other, json!(own.pid)),
        ("a user's with an administrator's token", &of_admin, json!(own.pid)),
        ("one of another deployment", &of_admin, json!(foreign)),
        ("a forged one", &of_admin, json!(flipped)),
        ("a truncated one", &of_admin, json!(feed.pid[..feed.pid.len() - 2])),
        ("an access token", &of_admin, json!(admin.token())),
        ("of another namespace", &of_admin, of_pid(&feed.pid, |pid| pid.namespace = "/orders".into())),
        ("of another room", &of_admin, of_pid(&feed.pid, |pid| pid.room = "ROOM#/users#user:x".into())),
        ("of another generation", &of_one, of_pid(&own.pid, |pid| pid.generation = Some(7))),
        ("no text", &of_admin, json!({"a": [1]})),
        ("empty", &of_admin, json!("")),
    ] {
        let auth = with(auth, json!({"recovery": true, "pid": pid, "offset": "0000000000000"}));
        let (_socket, heard, answer) = connect(&cloud, auth).await;
        let answer = answer.unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
        assert!(heard.is_empty(), "{what}: {heard:?}");
        assert_ne!(answer["pid"], pid, "{what}");
        for known in [&feed.sid, &anonymous.sid, &own.sid] {
            assert_ne!(answer["sid"], **known, "{what}");
        }
    }
    // With its own `pid` an offset of whatever kind tells no more than none at all, and no less.
    let future = (Timestamp::now().as_millisecond() + 3_600_000).to_string();
    for offset in [
        json!(null),
        json!("nonsense"),
        json!(""),
        json!("users.updated"),
        json!(future),
        json!("0000000000000"),
        json!(7),
        json!("9999999999999-ffffffff.9999"),
        json!("💥"),
        json!("x".repeat(20_000)),
        json!({"$gt": ""}),
    ] {
        let auth = with(&of_admin, json!({"recovery": true, "pid": feed.pid, "offset": offset}));
        let (_socket, heard, answer) = connect(&cloud, auth).await;
        assert_eq!(told(&heard), [("users.updated", &newest)], "{offset}");
        assert_eq!(answer.unwrap()["pid"], *feed.pid, "{offset}");
        // A user's room has no log, so the offset of an event of the feed tells nothing there.
        let auth = with(&of_one, json!({"recovery": true, "pid": own.pid, "offset": offset}));
        let (_socket, heard, answer) = connect(&cloud, auth).await;
        assert!(heard.is_empty(), "{offset}: {heard:?}");
        assert_eq!(answer.unwrap()["pid"], *own.pid, "{offset}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn a_pid_from_before_a_ban_lets_nobody_in_and_recovers_nothing_after_it() {
    let cloud = Cloud::start().await;
    let (admin, user) = (cloud.admin().await, registered(&cloud).await);
    let token = cloud.rest().login(&user).await;
    let own = json!({"token": token.token()});
    let mut client = Recovering::first(&cloud, own.clone()).await;
    admin.post(&path_to(&user, "/ban"), json!({"reason": "a test"})).await.expect(200);
    let (name, _, offset) = client.hear().await;
    assert_eq!((name.as_str(), offset), ("account.banned", None), "it is in no log");
    let with_pid = with(&own, json!({"recovery": true, "pid": client.pid}));
    let (_, heard, answer) = connect(&cloud, with_pid.clone()).await;
    assert!(heard.is_empty(), "{heard:?}");
    assert_eq!(answer.unwrap_err(), r#"44/users,{"message":"ACCOUNT_BANNED"}"#);

    admin.post(&path_to(&user, "/unban"), json!({})).await.expect(200);
    let (_socket, heard, answer) = connect(&cloud, with_pid.clone()).await;
    assert!(heard.is_empty(), "account.banned is never told later: {heard:?}");
    let answer = answer.unwrap();
    assert!(answer["pid"] != *client.pid && answer["sid"] != *client.sid, "another generation");

    admin.delete(&path(&user)).await.expect(200);
    let (_, heard, answer) = connect(&cloud, with_pid).await;
    assert!(heard.is_empty(), "{heard:?}");
    assert_eq!(answer.unwrap_err(), r#"44/users,{"message":"UNAUTHENTICATED"}"#);
    cloud.stop().await;
}

/// The JavaScript client gives listeners the arguments of an event, and Dart's gives them a list as soon as there are two.
#[tokio::test]
async fn without_recovery_frames_are_what_they_were_to_the_byte() {
    on_every_edge(async |cloud, edge| {
        let admin = cloud.admin().await;
        // What counts as not asked for, and the entrance that has no recovery.
        let mut plain = Vec::new();
        for auth in
            [json!({}), json!({"recovery": false}), json!({"recovery": "true"}), json!({"pid": "p", "offset": "o"})]
        {
            plain.push(Socket::connecting(cloud, edge, Some(auth)).await);
        }
        if edge == Edge::SocketIo {
            plain.push(Socket::connecting(cloud, edge, Some(json!({"recovery": true}))).await);
        }
        for socket in &mut plain {
            let answer = socket.frame().await.unwrap();
            let answer: Value = serde_json::from_str(answer.strip_prefix("40/users,").unwrap()).unwrap();
            assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["sid"], "{edge:?}");
        }
        // One who asked for it is there, too.
        let mut recovering = Recovering::first(cloud, json!({})).await;
        let user = cloud.rest().register().await;
        let renamed = rename(&admin, &user, "Sara Ahmadi Nik").await;
        admin.delete(&path(&user)).await.expect(200);
        let gone = json!({"id": id(&user)});
        for (name, payload) in [("users.created", &user), ("users.updated", &renamed), ("users.deleted", &gone)] {
            let expected = format!("42/users,{}", json!([name, payload]));
            for socket in &mut plain {
                assert_eq!(socket.frame().await.as_deref(), Some(&*expected), "{edge:?}");
            }
            let (heard, told, offset) = recovering.hear().await;
            assert_eq!((heard.as_str(), &told, offset.is_some()), (name, payload, true), "{edge:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn more_than_five_hundred_changed_users_are_not_told_and_five_hundred_are() {
    let cloud = Cloud::for_crowds().await;
    let mut client = Recovering::first(&cloud, json!({})).await;
    drop(client.socket);
    let mut users = BTreeMap::new();
    for _ in 0..20 {
        for user in registered_at_once(&cloud, 25).await {
            users.insert(id(&user).to_owned(), user);
        }
    }
    let (again, heard, recovered) = Recovering::back(&cloud, &client.pid, &mut client.offset.clone(), json!({})).await;
    assert!(recovered);
    let told: BTreeMap<_, _> = heard.iter().map(|(_, user, _)| (id(user).to_owned(), user.clone())).collect();
    assert_eq!((heard.len(), told), (500, users.clone()));
    assert!(heard.iter().all(|(name, ..)| name == "users.created"));
    drop(again.socket);
    registered_at_once(&cloud, 1).await;
    let (_client, heard, recovered) = Recovering::back(&cloud, &client.pid, &mut client.offset, json!({})).await;
    assert!(heard.is_empty() && !recovered, "{} were told", heard.len());
    cloud.stop().await;
}

/// A token renewed on the open connection keeps its choice, and so does one with which it comes back.
#[tokio::test]
async fn the_choice_outlives_a_renewal_of_the_token() {
    let cloud = Cloud::start().await;
    let (admin, user) = (cloud.admin().await, registered(&cloud).await);
    let token = tokens(TOKEN_SECRET).issue_at("admin", Role::Admin, Timestamp::now() - 5.minutes()).unwrap();
    let mut client = Recovering::first(&cloud, json!({"token": token})).await;
    client.socket.send(&format!("42/users,7{}", json!(["auth.renew", {"token": admin.token()}]))).await;
    let answer = client.socket.raw_frame().await.unwrap();
    assert!(answer.starts_with(r#"43/users,7[{"ok":true"#), "{answer}");
    let renamed = rename(&admin, &user, "Sara Ahmadi Nik").await;
    let (_, heard, offset) = client.hear().await;
    assert_eq!((&heard, offset.is_some()), (&renamed, true));
    until(async || cloud.has_settled().await).await;
    let (_client, heard, recovered) = client.again(&cloud, json!({"token": admin.token()})).await;
    assert!(recovered && heard.is_empty(), "{heard:?}");
    cloud.stop().await;
}
