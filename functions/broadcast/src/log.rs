//! The log of a room, for those who are away: written before its members are read, and noted when all of them were told.

use shared::{
    connections::{LogEntry, LoggedEvent, Room},
    recovery::Offset,
};

use crate::{
    Broadcast,
    batch::{Batch, RoomEvents},
};

/// What became of the logs of a batch.
#[derive(Default)]
pub(crate) struct Logs {
    written: Vec<(Room, LogEntry)>,
    /// Rooms whose log could not be written, by their index: nobody is told there, as who is away would never hear of it.
    pub(crate) unwritten: Vec<usize>,
}

impl Broadcast {
    /// Writes what rooms are about to be told, and gives each event that is in a log its message with the offset there.
    pub(crate) async fn log(&self, batch: &mut Batch) -> Logs {
        let mut logs = Logs::default();
        for (index, room) in batch.rooms.iter_mut().enumerate() {
            let events: Vec<_> = events(room).collect();
            if events.is_empty() {
                continue;
            }
            let entry = LogEntry::new(events);
            if let Err(error) = self.connections.log(&room.room, &entry).await {
                error.log();
                logs.unwritten.push(index);
                continue;
            }
            give_offsets(room, &entry);
            logs.written.push((room.room.clone(), entry));
        }
        logs
    }

    /// Notes that everyone was told. Without that who comes back is told some events once more.
    pub(crate) async fn note_told(&self, logs: Logs) {
        for (room, mut entry) in logs.written {
            entry.told();
            if let Err(error) = self.connections.log(&room, &entry).await {
                error.log();
            }
        }
    }
}

fn events(room: &RoomEvents) -> impl Iterator<Item = LoggedEvent> {
    room.steps.iter().filter_map(|step| step.emission.logged)
}

fn give_offsets(room: &mut RoomEvents, entry: &LogEntry) {
    let logged = room.steps.iter_mut().filter(|step| step.emission.logged.is_some());
    for (place, step) in logged.enumerate() {
        step.frame_with_offset = Some(step.emission.frame_with(&Offset::of_event(entry, place)));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::{Duration, SystemTime},
    };

    use aws_lambda_events::event::dynamodb::Event;
    use axum::{
        Router,
        http::{HeaderMap, Method, StatusCode, Uri},
    };
    use serde_json::{Value, json};
    use tokio::net::TcpListener;

    use super::*;

    /// A registration and a ban of the same user.
    fn batch() -> Batch {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/events/broadcast.json")).unwrap();
        let mut ban = event["Records"][0].clone();
        ban["eventName"] = json!("MODIFY");
        ban["dynamodb"]["OldImage"] = ban["dynamodb"]["NewImage"].clone();
        ban["dynamodb"]["NewImage"]["isBanned"] = json!({"BOOL": true});
        event["Records"].as_array_mut().unwrap().push(ban);
        let event: Event = serde_json::from_value(event).unwrap();
        Batch::read(&event.records)
    }

    #[test]
    fn the_feed_has_a_log_and_a_ban_of_ones_own_is_in_none() {
        let mut batch = batch();
        let [own, feed] = batch.rooms.as_mut_slice() else { panic!("{batch:?}") };
        assert_eq!(events(own).count(), 0);
        let logged: Vec<_> = events(feed).map(|event| event.is_new).collect();
        assert_eq!(logged, [true, false]);
    }

    #[test]
    fn who_asked_for_recovery_is_told_the_offset_as_last_argument_and_others_what_they_were_always_told() {
        let mut batch = batch();
        let before: Vec<_> = batch.rooms[1].steps.iter().map(|step| step.emission.frame.to_string()).collect();
        let entry = LogEntry::new(events(&batch.rooms[1]).collect());
        give_offsets(&mut batch.rooms[1], &entry);
        for (place, (step, before)) in batch.rooms[1].steps.iter().zip(before).enumerate() {
            assert_eq!(**step.frame(false), *before);
            let arguments =
                |frame: &str| -> Vec<Value> { serde_json::from_str(frame.strip_prefix("42/users,").unwrap()).unwrap() };
            let mut expected = arguments(&before);
            expected.push(json!(format!("{}-{}.{place}", entry.at, entry.name)));
            assert_eq!(arguments(step.frame(true)), expected);
        }
        assert_eq!(batch.rooms[0].steps[0].frame(true), batch.rooms[0].steps[0].frame(false), "account.banned");
    }

    /// A database that lets rooms be read, each with one member, and takes no writes.
    async fn database() -> String {
        let answer = async |headers: HeaderMap, body: String| {
            let operation = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
            let member = if body.contains("user:") { "own=" } else { "feed=" };
            let (status, answer) = match operation.as_str() {
                "Query" => (StatusCode::OK, json!({"Items": [{"pk": {"S": "ROOM#"}, "sk": {"S": member}}]})),
                "PutItem" => (StatusCode::BAD_REQUEST, json!({"__type": "ResourceNotFoundException"})),
                _ => (StatusCode::OK, json!({})),
            };
            (status, answer.to_string())
        };
        serve(Router::new().fallback(answer)).await
    }

    async fn serve(router: Router) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_written_keeps_its_room_for_the_next_attempt_and_no_ban_waits_for_it() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&calls);
        let gateway = async move |method: Method, uri: Uri| {
            note.lock().unwrap().push(format!("{method} {}", uri.path()));
        };
        let env = [
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "a".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "b".to_owned()),
            ("CONNECTIONS_TABLE", "connections".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", database().await),
            ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", serve(Router::new().fallback(gateway)).await),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        let until = SystemTime::now() + Duration::from_secs(20);
        let delivered = Broadcast::from_env(&env).unwrap().deliver(batch(), until).await;
        assert_eq!(delivered.undelivered, Some(0));
        let calls = calls.lock().unwrap().clone();
        assert!(calls.iter().all(|call| call.ends_with("/@connections/own%3D")), "{calls:?}");
        assert!(calls.iter().any(|call| call.starts_with("DELETE")), "{calls:?}");
    }
}
