//! Recoveries at bad moments: while something is committed, told, or killed.

use std::{collections::BTreeMap, time::Duration};

use futures::future::{join, join_all};
use local_dev::{Fault, Often};
use serde_json::{Value, json};
use tests::{
    Cloud,
    recovering::{Recovering, registered, registered_at_once, rename},
    user::{id, path},
};
use tokio::time::sleep;

/// Whatever comes first of a commit and a CONNECT: it is heard as an event, or told before the answer. And if both happen,
/// in whatever order, the client ends with the newest state.
#[tokio::test]
async fn what_is_committed_at_any_moment_around_a_connect_is_heard_and_the_newest_is_heard_last() {
    let cloud = Cloud::start().await;
    let (admin, user) = (cloud.admin().await, registered(&cloud).await);
    let mut client = Recovering::first(&cloud, json!({})).await;
    let (mut replayed, mut live) = (0, 0);
    let rounds: u64 = if cloud.has_shared_database() { 40 } else { 300 };
    for round in 0..rounds {
        let head_start = Duration::from_millis(round / 2 % 20);
        let (connect_waits, change_waits) =
            if round % 2 == 0 { (head_start, Duration::ZERO) } else { (Duration::ZERO, head_start) };
        let Recovering { socket, pid, mut offset, .. } = client;
        drop(socket);
        let back = async {
            sleep(connect_waits).await;
            Recovering::back(&cloud, &pid, &mut offset, json!({})).await
        };
        let (older, newest) = (format!("Older Of {round}"), format!("Newest Of {round}"));
        let change = async {
            sleep(change_waits).await;
            rename(&admin, &user, &older).await;
            rename(&admin, &user, &newest).await
        };
        let ((back, before, recovered), newest) = join(back, change).await;
        assert!(recovered, "{round}");
        client = back;
        // What comes after both is heard last, so what is heard before it is all there is.
        let seal = rename(&admin, &user, &format!("Seal Of {round}")).await;
        let mut states: Vec<_> = before.into_iter().map(|(_, state, _)| state).collect();
        let is_told = states.contains(&newest);
        (replayed, live) = (replayed + u32::from(is_told), live + u32::from(!is_told));
        loop {
            let (_, state, _) = client.hear().await;
            if state == seal {
                break;
            }
            states.push(state);
        }
        assert_eq!(states.last(), Some(&newest), "{round}: {states:?}");
    }
    println!("{replayed} were told before the answer, {live} were heard as events");
    assert!(replayed > 0 && live > 0);
    cloud.stop().await;
}

/// While a client is told of two hundred users, one of them goes on changing.
#[tokio::test]
async fn a_user_who_changes_while_others_are_told_of_ends_in_the_newest_state() {
    let cloud = Cloud::for_crowds().await;
    let admin = cloud.admin().await;
    let client = Recovering::first(&cloud, json!({})).await;
    let Recovering { socket, pid, offset, .. } = client;
    drop(socket);
    let users = registered_at_once(&cloud, 200).await;
    for round in 0..20 {
        let user = &users[round * 9 % users.len()];
        let changes = async {
            let mut newest = Value::Null;
            for change in 0..12 {
                newest = rename(&admin, user, &format!("Change Number {round} {change}")).await;
            }
            newest
        };
        // Each time from the beginning.
        let ((mut client, before, recovered), newest) =
            join(Recovering::back(&cloud, &pid, &mut offset.clone(), json!({})), changes).await;
        let seal = rename(&admin, user, &format!("Seal Of {round}")).await;
        let mut states: Vec<_> =
            before.into_iter().map(|(_, state, _)| state).filter(|state| id(state) == id(user)).collect();
        loop {
            let (_, state, _) = client.hear().await;
            if state == seal {
                break;
            }
            if id(&state) == id(user) {
                states.push(state);
            }
        }
        assert_eq!(states.last(), Some(&newest), "{round}: {states:?}");
        assert!(recovered, "{round}");
    }
    cloud.stop().await;
}

/// Functions that fail, are killed in the middle of their work or come late cost a client time and duplicates, and never a state.
#[tokio::test]
async fn with_every_function_killed_at_every_step_the_client_ends_with_what_rest_says() {
    let cloud = Cloud::for_crowds().await;
    let admin = cloud.admin().await;
    let users = registered_at_once(&cloud, 30).await;
    let mut table: BTreeMap<_, _> = users.iter().map(|user| (id(user).to_owned(), user.clone())).collect();
    let mut client = Recovering::first(&cloud, json!({})).await;
    for round in 0..30_u64 {
        let millis = Duration::from_millis(2 + round * 3);
        let faults = match round % 5 {
            0 => vec![Fault::Timeout("broadcast".into(), millis)],
            4 => vec![Fault::Timeout("message".into(), millis)],
            1 => vec![Fault::Fail("broadcast".into(), Often::Percent(50))],
            2 => vec![Fault::Duplicate(Often::Percent(50)), Fault::Reorder(Often::Percent(50))],
            _ => vec![Fault::Throttle(Often::Percent(50))],
        };
        cloud.running().faults().set(faults);
        let Recovering { socket, pid, mut offset, .. } = client;
        drop(socket);
        let change = async |n: usize| rename(&admin, &users[n], &format!("Name {n} Of {round}")).await;
        join_all((0..10).map(|n| change((n + usize::try_from(round).unwrap() * 7) % 30))).await;
        // A message that is killed ends its connection, and the client comes back.
        let back = async {
            sleep(Duration::from_millis(round * 7 % 60)).await;
            cloud.running().faults().set([]);
        };
        let ((again, before, recovered), ()) = join(Recovering::back(&cloud, &pid, &mut offset, json!({})), back).await;
        assert!(recovered, "{round}");
        client = again;
        table.extend(before.into_iter().map(|(_, user, _)| (id(&user).to_owned(), user)));
        // Each user's last change is heard, or was told.
        let newest = join_all(users.iter().map(async |user| admin.get(&path(user)).await)).await;
        let newest: BTreeMap<_, _> =
            newest.into_iter().map(|user| user.expect(200)).map(|user| (id(&user).to_owned(), user)).collect();
        while table != newest {
            let (_, user, _) = client.hear().await;
            table.insert(id(&user).to_owned(), user);
        }
    }
    // And nothing older comes behind it.
    let last = join_all(users.iter().map(|user| rename(&admin, user, "The Last Name"))).await;
    while last.iter().any(|user| table[id(user)] != *user) {
        let (_, user, _) = client.hear().await;
        table.insert(id(&user).to_owned(), user);
    }
    let (_client, before, recovered) = client.again(&cloud, json!({})).await;
    table.extend(before.into_iter().map(|(_, user, _)| (id(&user).to_owned(), user)));
    assert!(recovered);
    for (id, user) in table {
        assert_eq!(admin.get(&format!("/users/{id}")).await.expect(200), user);
    }
    cloud.stop().await;
}
