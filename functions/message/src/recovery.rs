//! The answer of a CONNECT that asked for recovery, and what goes before it: what the client has missed, as it is now.
//!
//! The socket is in its room already. So whatever is not in the log yet will reach it as an event, and whatever is in the
//! log is told here; an event that does both at once may be heard twice.

use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use jiff::Timestamp;
use shared::{
    Error,
    connections::{LogEntry, Room},
    events::newest,
    gateway::MAX_FRAME,
    protocol::Packet,
    recovery::{Asked, MARGIN, Missed, Offset, Pid, Since},
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{Message, Reaction, Sender, packets::connect::Admitted};

/// Frames posted at a time. Which of them comes first is not known, so none of them says that the client has another one.
const AT_ONCE: usize = 16;

/// After so long no further frames are posted. The answer has to come within the function's time: who is closed instead comes
/// back with the same offset, and a gateway that is slow would make it so for ever.
const TELLING: Duration = Duration::from_secs(5);

/// How often the log is read again for users that changed while they were told of, who are fewer each time. One who changes
/// faster than that is for the list.
const ROUNDS: usize = 8;

/// What became of a recovery.
enum Replayed {
    /// The client has everything.
    Everything,
    /// The client has to load the list.
    Not,
    /// The client's connection takes no frames.
    Closed,
}

/// Tells a client that comes back what it has missed and answers with its `pid`, or answers with a new one.
pub(crate) async fn answer(
    app: &Message,
    from: &Sender,
    namespace: String,
    admitted: Admitted,
    asked: &Asked<'_>,
) -> Result<Reaction, Error> {
    let known = asked.pid.and_then(|token| Some((token, app.pids.read(token)?)));
    let new = Pid {
        sid: admitted.socket.sid,
        namespace,
        room: admitted.room.to_string(),
        subject: admitted.socket.subject,
        generation: admitted.generation,
        issued_at: now(),
    };
    if let Some((token, pid)) = known.filter(|(_, pid)| pid.is_of_the_same_as(&new)) {
        match replay(app, from, &admitted.room, pid.issued_at, asked.offset).await? {
            Replayed::Everything => {
                return Ok(Reaction::Answer(Packet::recoverable(new.namespace, &pid.sid, token)));
            }
            Replayed::Not => {}
            Replayed::Closed => return Ok(Reaction::Close),
        }
    }
    let pid = Pid { issued_at: now(), ..new };
    if admitted.room.has_log() {
        let from = Since::of_pid(pid.issued_at).from();
        app.log_begun.get_or_try_init(|| app.connections.begin_log(&admitted.room, from)).await?;
    }
    let token = app.pids.sign(&pid)?;
    Ok(Reaction::Answer(Packet::recoverable(pid.namespace, &pid.sid, &token)))
}

/// For each user that changed one event, the newest state; and then again for those of them that changed meanwhile: their
/// event may have come before the older state that was told here. Those who change later are heard later.
async fn replay(
    app: &Message,
    from: &Sender,
    room: &Room,
    issued_at: i64,
    offset: Option<&str>,
) -> Result<Replayed, Error> {
    let until = Instant::now() + TELLING;
    let read_at = now();
    let Some(since) = Since::new(issued_at, offset, read_at) else { return Ok(Replayed::Not) };
    if !room.has_log() {
        return Ok(Replayed::Everything);
    }
    let Some(entries) = app.connections.log_since(room, since.from()).await? else { return Ok(Replayed::Not) };
    let Ok(missed) = since.missed(&entries) else { return Ok(Replayed::Not) };
    let end = Offset::of_reading(&entries, read_at);
    match tell(app, from, &missed, since.offset(), &end, until).await? {
        Replayed::Everything => {}
        other => return Ok(other),
    }
    tracing::info!(connection_id = from.id, users = missed.len(), "told a socket what it had missed");
    let mut told: HashSet<_> = missed.iter().map(|missed| missed.user).collect();
    let mut seen: HashSet<_> = entries.into_iter().map(|entry| entry.name).collect();
    for _ in 0..ROUNDS {
        if told.is_empty() {
            return Ok(Replayed::Everything);
        }
        let from_then = since.from().max(read_at - MARGIN);
        let Some(entries) = app.connections.log_since(room, from_then).await? else { return Ok(Replayed::Not) };
        let entries = entries.into_iter().filter(|entry| seen.insert(entry.name.clone()));
        let changed = changed(entries, &told, &end);
        match tell(app, from, &changed, &end, &end, until).await? {
            Replayed::Everything => {}
            other => return Ok(other),
        }
        told = changed.into_iter().map(|missed| missed.user).collect();
    }
    tracing::info!(
        connection_id = from.id,
        users = told.len(),
        "users went on changing while a socket was told of them"
    );
    Ok(Replayed::Not)
}

/// Users that the client was told of and that changed again in these entries.
fn changed(entries: impl Iterator<Item = LogEntry>, told: &HashSet<Uuid>, offset: &Offset) -> Vec<Missed> {
    let users: HashSet<_> = entries.flat_map(|entry| entry.events).map(|event| event.user).collect();
    let again = users.intersection(told);
    again.map(|user| Missed { user: *user, is_new: false, offset: offset.clone() }).collect()
}

/// One event for each user. Whoever has heard them up to one of them has heard all that its offset says, `start` before
/// them and `end` after the last one. What is posted has been answered when this returns: nothing comes behind the answer.
async fn tell(
    app: &Message,
    from: &Sender,
    missed: &[Missed],
    start: &Offset,
    end: &Offset,
    until: Instant,
) -> Result<Replayed, Error> {
    let Some((last, others)) = missed.split_last() else { return Ok(Replayed::Everything) };
    app.flood.tells(&from.id, missed.len());
    let ids: Vec<_> = missed.iter().map(|missed| missed.user).collect();
    let users = app.users.all(&ids).await?;
    let one = async |Missed { user, is_new, .. }: &Missed, offset: &Offset| {
        let frame = newest(*user, users.get(user), *is_new).frame_with(offset);
        // As with an event that no connection takes: it is skipped, and delays nobody.
        frame.len() > MAX_FRAME || app.tell(from, &frame).await
    };
    let mut offset = start;
    for some in others.chunks(AT_ONCE) {
        if Instant::now() > until {
            tracing::info!(
                connection_id = from.id,
                users = missed.len(),
                "could not tell a socket in time what it had missed"
            );
            return Ok(Replayed::Not);
        }
        if join_all(some.iter().map(|missed| one(missed, offset))).await.contains(&false) {
            return Ok(Replayed::Closed);
        }
        offset = some.last().map_or(offset, |missed| &missed.offset);
    }
    Ok(if one(last, end).await { Replayed::Everything } else { Replayed::Closed })
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests;
