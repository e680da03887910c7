//! Carrying a delivery out: rooms are read, calls are made, until nothing is left or the time is over.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use futures::{
    StreamExt as _,
    stream::{self, FuturesUnordered, Stream},
};
use shared::{
    Error,
    connections::RoomPage,
    gateway::{GatewayAnswer, GatewayError, MAX_FRAME, Payload},
};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    Broadcast, CALL_TIMEOUT, LAST_CALLS,
    batch::Batch,
    delivery::{Answer, Checkpoint, Command, Counts, Delivery, Ticket},
};

/// Calls under way when the time is over are waited for so long: those to the gateway have ended by then. A database that
/// hangs takes longer, and must not keep the function from saying how far it came.
const LAST_ANSWERS: Duration = CALL_TIMEOUT;

/// Saving where the next attempt goes on ends so long before the function does.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// Partitions read at the same time. A page of a partition takes some megabytes while it is being read.
const READERS: usize = 8;

/// A page of a room that was read: index of the room, index of the partition, and its members, or `None` at the end.
/// All pages of a room may be in memory at once; a member takes forty bytes.
type Page = (usize, usize, Option<Result<RoomPage, Error>>);

/// The payloads of a batch's frames, by the frames' addresses: one frame is posted to many.
#[derive(Default)]
struct Payloads(Mutex<HashMap<usize, (Arc<str>, Payload)>>);

impl Payloads {
    fn of(&self, frame: &Arc<str>) -> Payload {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The entry keeps the frame, so no other frame can get its address.
        let entry = known.entry(frame.as_ptr().addr());
        entry.or_insert_with(|| (Arc::clone(frame), Payload::new(&**frame))).1.clone()
    }
}

/// What became of a batch.
pub(crate) struct Delivered {
    /// The first record that has to come again.
    pub(crate) undelivered: Option<usize>,
    pub(crate) counts: Counts,
}

impl Broadcast {
    /// Delivers, as much as can be done until then, and remembers where the next attempt goes on.
    pub(crate) async fn deliver(&self, mut batch: Batch, until: SystemTime) -> Delivered {
        let logs = self.log(&mut batch).await;
        let partitions: Vec<Vec<String>> =
            batch.rooms.iter().map(|events| events.room.partitions(self.shards).collect()).collect();
        let counts: Vec<_> = partitions.iter().map(Vec::len).collect();
        let mut delivery =
            Delivery::new(batch, &counts, Arc::clone(&self.health), Instant::now().into_std(), epoch_milliseconds());
        logs.unwritten.iter().for_each(|room| delivery.unreadable(*room));
        let mut pages = std::pin::pin!(self.read(&partitions, &logs.unwritten));
        let payloads = Payloads::default();
        let mut calls = FuturesUnordered::new();
        let mut forgetting = FuturesUnordered::new();
        let left = until.duration_since(SystemTime::now()).unwrap_or_default();
        let stops_at = Instant::now() + left;
        let mut stop = std::pin::pin!(sleep_until(stops_at));
        let mut last_answers = std::pin::pin!(sleep_until(stops_at + LAST_ANSWERS));
        let mut is_stopped = false;
        loop {
            while let Some(command) = delivery.next(Instant::now().into_std()) {
                match command {
                    Command::Forget { connection } => forgetting.push(self.forget(connection)),
                    call => calls.push(self.call(call, &payloads)),
                }
            }
            if delivery.is_done() && forgetting.is_empty() {
                break;
            }
            let wakes_at = delivery.wakes_at().map(Instant::from_std);
            tokio::select! {
                // In this order, so that those who are on one page of a room hear before the next one is read. A database
                // within the process answers at once, and would otherwise be read to the end of the room first.
                biased;
                () = &mut last_answers => break,
                () = &mut stop, if !is_stopped => {
                    is_stopped = true;
                    delivery.stop();
                }
                Some((ticket, answer)) = calls.next() => delivery.answered(ticket, answer, Instant::now().into_std()),
                Some(()) = forgetting.next() => {}
                Some((room, partition, page)) = pages.next(), if !is_stopped => match page {
                    Some(Ok(page)) => delivery.read(room, partition, page.members, page.checkpoints),
                    Some(Err(error)) => {
                        error.log();
                        delivery.unreadable(room);
                    }
                    None => delivery.read_to_its_end(room),
                },
                () = sleep_until(wakes_at.unwrap_or_else(Instant::now)), if wakes_at.is_some() => {}
            }
        }
        let remember = async {
            self.save(&delivery, &partitions).await;
            if delivery.undelivered().is_none() {
                self.note_told(logs).await;
            }
        };
        if timeout_at(stops_at + LAST_CALLS - LAST_MOMENT, remember).await.is_err() {
            tracing::error!("had no time to save how far a delivery came");
        }
        Delivered { undelivered: delivery.undelivered(), counts: delivery.counts() }
    }

    /// All partitions of all rooms but these, some at a time; each ends with `None`.
    fn read(&self, partitions: &[Vec<String>], except: &[usize]) -> impl Stream<Item = Page> + use<> {
        let rooms = partitions.iter().enumerate().filter(|(room, _)| !except.contains(room));
        let all =
            rooms.flat_map(|(room, partitions)| partitions.iter().enumerate().map(move |(i, name)| (room, i, name)));
        let all: Vec<_> = all
            .map(|(room, partition, name)| {
                let pages = self.connections.room_pages(name).map(Some).chain(stream::iter([None]));
                pages.map(move |page| (room, partition, page)).boxed()
            })
            .collect();
        stream::iter(all).flatten_unordered(READERS)
    }

    async fn call(&self, command: Command, payloads: &Payloads) -> (Ticket, Answer) {
        match command {
            Command::Post { ticket, connection, frame, request_id } => {
                if frame.len() > MAX_FRAME {
                    return (ticket, Answer::TooLarge);
                }
                let answer = answer(&connection, self.gateway.post(&connection, &payloads.of(&frame)).await);
                if answer == Answer::Accepted {
                    tracing::debug!(request_id = request_id.as_deref(), connection, "posted a frame");
                }
                (ticket, answer)
            }
            Command::Close { ticket, connection } => {
                (ticket, answer(&connection, self.gateway.close(&connection).await))
            }
            Command::Look { ticket, connection } => match self.connections.get(&connection).await {
                Ok(None) => (ticket, Answer::Gone),
                Ok(Some(connection)) if connection.has_expired(epoch_milliseconds() / 1000) => {
                    (ticket, Answer::Expired)
                }
                Ok(Some(_)) => (ticket, Answer::Accepted),
                Err(error) => {
                    error.log();
                    (ticket, Answer::Refused)
                }
            },
            // Carried out apart from these.
            Command::Forget { .. } => (Ticket::default(), Answer::Accepted),
        }
    }

    /// Rows that cannot be removed now are found again by the next post or by the heartbeat.
    async fn forget(&self, connection: String) {
        if let Err(error) = self.connections.forget(&connection).await {
            error.log();
        }
    }

    /// Saves the checkpoints. Without its checkpoint an attempt tells again what was told, which at least once allows.
    async fn save(&self, delivery: &Delivery, partitions: &[Vec<String>]) {
        for (room, partition, checkpoint) in delivery.checkpoints() {
            let partition = &partitions[room][partition];
            let saved = match &checkpoint {
                Checkpoint::Save(checkpoint) => self.connections.save_checkpoint(partition, checkpoint).await,
                Checkpoint::Delete(id) => self.connections.delete_checkpoint(partition, id).await,
            };
            if let Err(error) = saved {
                error.log();
            }
        }
    }
}

fn answer(connection: &str, outcome: Result<GatewayAnswer, GatewayError>) -> Answer {
    match outcome {
        Ok(GatewayAnswer::Accepted) => Answer::Accepted,
        Ok(GatewayAnswer::Gone) => Answer::Gone,
        Err(error) if error.is_too_large() => Answer::TooLarge,
        Err(error) => {
            tracing::debug!(connection, %error, "the gateway refused a call");
            Answer::Refused
        }
    }
}

fn epoch_milliseconds() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_prepared_once_for_all_who_are_told() {
        let (payloads, frame): (_, Arc<str>) = (Payloads::default(), "42/users,[\"a\"]".into());
        for _ in 0..1000 {
            payloads.of(&Arc::clone(&frame));
        }
        payloads.of(&"42/users,[\"b\"]".into());
        assert_eq!(payloads.0.lock().unwrap().len(), 2);
    }
}
