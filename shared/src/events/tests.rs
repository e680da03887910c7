//! Which changes make which events.

use aws_lambda_events::event::dynamodb::EventRecord;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{passwords::PasswordHash, protocol::PacketData, users::User};

fn user() -> User {
    User {
        id: "0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10".parse().unwrap(),
        full_name: "Sara Ahmadi Rad".into(),
        country_code: "IR".into(),
        country_name: "Iran".into(),
        phone: "+989121234567".into(),
        is_banned: false,
        banned_at: None,
        ban_reason: None,
        phone_verified: false,
        email: "sara@example.com".into(),
        email_verified: false,
        photo_url: None,
        created_at: "2025-02-09T18:23:27.396Z".into(),
        password_hash: PasswordHash("$argon2id$secret".into()),
        session_generation: 0,
        request_id: None,
    }
}

fn banned() -> User {
    User {
        is_banned: true,
        banned_at: Some("2025-02-10T08:00:00.000Z".into()),
        ban_reason: Some("fraud".into()),
        session_generation: 1,
        ..user()
    }
}

/// Room, event name, argument, who is kicked.
fn emitted(change: &Change) -> Vec<(Room, String, Value, Option<u32>)> {
    let read = |emission: Emission| {
        let packet = Packet::decode(emission.frame.strip_prefix('4').unwrap()).unwrap();
        let PacketData::Event { id: None, args } = packet.data else { panic!("not an event") };
        let [name, argument] = args.as_slice() else { panic!("not exactly one argument") };
        (emission.room, name.as_str().unwrap().to_owned(), argument.clone(), emission.kick_before)
    };
    from_change(change).map(read).collect()
}

#[test]
fn a_registration_is_told_to_the_feed_with_exactly_the_public_keys() {
    let events = emitted(&Change::Created(user()));
    let payload = json!({
        "id": "0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10", "fullName": "Sara Ahmadi Rad", "countryCode": "IR", "countryName": "Iran",
        "phone": "+989121234567", "isBanned": false, "bannedAt": null, "phoneVerified": false, "email": "sara@example.com",
        "emailVerified": false, "photoUrl": null, "createdAt": "2025-02-09T18:23:27.396Z",
    });
    assert_eq!(events, [(Room::feed(), "users.created".into(), payload, None)]);
}

#[test]
fn a_change_of_a_public_field_is_told_to_the_feed() {
    let after = User { full_name: "Sara Ahmadi Nik".into(), ..user() };
    let events = emitted(&Change::Updated { before: user(), after });
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0].1[..], &events[0].2["fullName"]), ("users.updated", &json!("Sara Ahmadi Nik")));
}

#[test]
fn a_change_of_a_private_field_is_told_to_nobody() {
    let after = User { password_hash: PasswordHash("$argon2id$other".into()), ..user() };
    assert_eq!(emitted(&Change::Updated { before: user(), after }), []);
    assert_eq!(emitted(&Change::Updated { before: user(), after: user() }), []);
}

#[test]
fn that_another_request_touched_the_row_is_told_to_nobody() {
    let after = User { request_id: Some("JKJaXmPLvHcESHA=".into()), ..user() };
    assert_eq!(emitted(&Change::Updated { before: user(), after }), []);
}

#[test]
fn a_ban_is_told_to_the_feed_and_kicks_the_user() {
    let events = emitted(&Change::Updated { before: user(), after: banned() });
    assert_eq!(events.iter().map(|e| &e.1[..]).collect::<Vec<_>>(), ["users.updated", "account.banned"]);
    let payload = json!({"kind": "banned", "message": MESSAGE_TEXT, "at": "2025-02-10T08:00:00.000Z"});
    assert_eq!(events[1], (Room::user(user().id), "account.banned".into(), payload, Some(1)));
}

const MESSAGE_TEXT: &str = "Your account has been disabled by an administrator.";

#[test]
fn lifting_a_ban_kicks_nobody() {
    let events = emitted(&Change::Updated { before: banned(), after: user() });
    assert_eq!(events.iter().map(|e| &e.1[..]).collect::<Vec<_>>(), ["users.updated"]);
}

#[test]
fn a_delete_is_told_to_the_feed_and_kicks_the_user() {
    let at = Timestamp::from_second(1_739_125_431).unwrap();
    let events = emitted(&Change::Deleted { user: user(), at });
    assert_eq!(events[0], (Room::feed(), "users.deleted".into(), json!({"id": user().id}), None));
    let payload = json!({"kind": "deleted", "message": MESSAGE_TEXT, "at": "2025-02-09T18:23:51.000Z"});
    assert_eq!(events[1], (Room::user(user().id), "account.banned".into(), payload, Some(u32::MAX)));
}

#[test]
fn an_event_is_in_the_log_if_and_only_if_the_contract_says_that_it_has_an_offset() {
    let at = Timestamp::from_second(1_739_125_431).unwrap();
    let changes = [
        Change::Created(user()),
        Change::Updated { before: user(), after: banned() },
        Change::Deleted { user: user(), at },
    ];
    let mut seen = std::collections::BTreeSet::new();
    for emission in changes.iter().flat_map(from_change) {
        let event = EVENTS.iter().find(|event| event.name == emission.name).unwrap();
        assert_eq!(emission.logged.is_some(), event.has_offset, "{}", event.name);
        assert!(emission.logged.is_none_or(|logged| logged.user == user().id));
        seen.insert(emission.name);
    }
    assert_eq!(seen.len(), EVENTS.len(), "{seen:?}");
}

#[test]
fn what_a_user_has_become_is_said_as_by_the_event_itself() {
    let of = |change: &Change| from_change(change).next().unwrap();
    let at = Timestamp::from_second(1_739_125_431).unwrap();
    assert_eq!(newest(user().id, Some(&user()), true), of(&Change::Created(user())));
    assert_eq!(newest(user().id, Some(&banned()), false), of(&Change::Updated { before: user(), after: banned() }));
    assert_eq!(newest(user().id, None, true), of(&Change::Deleted { user: user(), at }));
}

#[test]
fn no_event_carries_a_hash_or_a_reason() {
    for change in [
        Change::Created(banned()),
        Change::Updated { before: user(), after: banned() },
        Change::Deleted { user: banned(), at: Timestamp::UNIX_EPOCH },
    ] {
        for emission in from_change(&change) {
            assert!(!emission.frame.contains("argon2") && !emission.frame.contains("fraud"), "{}", emission.frame);
        }
    }
}

fn record(name: &str, images: &Value) -> EventRecord {
    let mut change = json!({
        "ApproximateCreationDateTime": 1_739_125_431, "Keys": {"pk": {"S": "USER#x"}, "sk": {"S": "PROFILE"}},
        "SequenceNumber": "111000000000000000001234567", "SizeBytes": 59, "StreamViewType": "NEW_AND_OLD_IMAGES",
    });
    change.as_object_mut().unwrap().extend(images.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "eventID": "c4ca4238a0b923820dcc509a6f75849b", "eventName": name, "eventVersion": "1.1", "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1", "dynamodb": change,
        "eventSourceARN": "arn:aws:dynamodb:eu-central-1:123456789012:table/users/stream/2025-02-09T18:00:00.000",
    }))
    .unwrap()
}

fn image() -> Value {
    json!({
        "pk": {"S": "USER#0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10"}, "sk": {"S": "PROFILE"}, "list": {"S": "USERS"},
        "id": {"S": "0b9de1c5-2b7c-4c3e-9a64-6f1d2f8f7a10"}, "fullName": {"S": "Sara Ahmadi Rad"}, "countryCode": {"S": "IR"},
        "countryName": {"S": "Iran"}, "phone": {"S": "+989121234567"}, "isBanned": {"BOOL": false}, "phoneVerified": {"BOOL": false},
        "email": {"S": "sara@example.com"}, "emailVerified": {"BOOL": false}, "createdAt": {"S": "2025-02-09T18:23:27.396Z"},
        "passwordHash": {"S": "$argon2id$secret"},
    })
}

#[test]
fn records_of_the_stream_are_read() {
    let created = Change::try_from(&record("INSERT", &json!({"NewImage": image()}))).unwrap();
    assert_eq!(created, Change::Created(user()));
    let deleted = Change::try_from(&record("REMOVE", &json!({"OldImage": image()}))).unwrap();
    assert_eq!(deleted, Change::Deleted { user: user(), at: Timestamp::from_second(1_739_125_431).unwrap() });
}

#[test]
fn what_is_wrong_with_a_record_is_said_without_quoting_it() {
    let mut stranger = image();
    stranger["isBanned"] = json!({"S": "sara@example.com"});
    let poisoned = Change::try_from(&record("INSERT", &json!({ "NewImage": stranger }))).unwrap_err();
    assert!(!format!("{poisoned} {poisoned:?}").contains("sara"), "{poisoned:?}");
}

#[test]
fn a_record_names_the_request_that_made_it() {
    let named = |id: &str| {
        let mut image = image();
        image["requestId"] = json!({ "S": id });
        image
    };
    let updated = record("MODIFY", &json!({"OldImage": named("first="), "NewImage": named("second=")}));
    assert_eq!(crate::request::of_record(&updated), Some("second="));
    let deleted = record("REMOVE", &json!({"OldImage": named("first=")}));
    assert_eq!(crate::request::of_record(&deleted), Some("first="));
    assert_eq!(crate::request::of_record(&record("INSERT", &json!({"NewImage": image()}))), None);
}

#[test]
fn a_record_that_is_no_user_is_poisoned_not_fatal() {
    assert!(matches!(Change::try_from(&record("INSERT", &json!({}))), Err(PoisonedRecord::MissingImage(_))));
    assert!(matches!(
        Change::try_from(&record("MODIFY", &json!({"NewImage": image()}))),
        Err(PoisonedRecord::MissingImage(_))
    ));
    let stranger = json!({"NewImage": {"pk": {"S": "USER#1"}, "sk": {"S": "PROFILE"}}});
    assert!(matches!(Change::try_from(&record("INSERT", &stranger)), Err(PoisonedRecord::NotAUser)));
}
