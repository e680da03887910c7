//! Telling rooms their events: who is told what next, and what an answer means. Without I/O and without a clock of its
//! own: [`Delivery::next`] says what to do, [`Delivery::answered`] is told what came of it.
//!
//! Every member has its own queue. All queues of a room share the room's list of steps, so a queue is no more than a
//! position in it, and it is kept only for members that have a call under way or wait for their next attempt; for all
//! others the position follows from the pass. A pass hands one step to every member before the next step is handed to
//! anybody: so the last member of a large room hears the first of many events as early as if it were the only one.

mod answers;
mod evidence;
mod kick;
mod outcome;
mod pace;
mod room;
#[cfg(test)]
mod simulation;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use shared::{
    connections::{DeliveryCheckpoint, Member, NAMESPACE},
    protocol::{Packet, PacketData},
};

pub use self::answers::{RETRY_PAUSE, RETRY_PAUSE_GROWTH};
pub(crate) use self::outcome::Checkpoint;
use self::{
    evidence::Evidence,
    kick::Kick,
    pace::Pace,
    room::{Cause, Room, Stage},
};
use crate::batch::Batch;

/// Posts under way at the same time, at the most. A call to API Gateway takes some milliseconds, nearly all of it
/// waiting; each one also needs a connection with TLS of its own when the function starts cold.
pub const CONCURRENCY: usize = 128;

/// Members that are looked up in the table at the same time, at the most. At this limit no further member is told
/// anything: it may have to be looked up first.
const MOST_LOOKS: usize = CONCURRENCY;

/// Most members that wait for another attempt. At this limit no further member is told anything until one of them has
/// been told or closed. It bounds memory and the size of a checkpoint.
const MOST_FAILING: usize = 1024;

/// A post may be the fault of its socket when it takes longer than this, and twenty times as long as others.
const HANGS_AFTER: Duration = Duration::from_millis(200);

/// If this function is woken so much later than its timer said, it had no processor: answers may have come that it
/// could not read, and sockets on the same machine may have been kept from reading. No socket is blamed for that.
const LATE: Duration = Duration::from_millis(30);

/// A post that seems to hang is waited for so much longer before it counts as hanging: on a busy machine its answer may
/// have come and not been read.
const LAST_LOOK: Duration = Duration::from_millis(20);

/// A post that has no answer after this time, or twice the time that posts take, has failed, and is made again; usually
/// the slowest healthy one takes a tenth of it.
const FAILS_AFTER: Duration = Duration::from_secs(1);

/// How often a post that hangs is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Names a call that is under way.
pub(crate) type Ticket = u64;

/// A member: index of its room, index in the room's audience.
type Key = (usize, u32);

/// What is to be done next.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Send a frame to a connection.
    Post { ticket: Ticket, connection: String, frame: Arc<str>, request_id: Option<Arc<str>> },
    /// Close a connection.
    Close { ticket: Ticket, connection: String },
    /// Look a connection up in the table: [`Answer::Gone`] if it is not there, [`Answer::Expired`] if its token has ended.
    Look { ticket: Ticket, connection: String },
    /// Remove what is stored of a connection. Nobody waits for the answer.
    Forget { connection: String },
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(PartialOrd, Ord))]
pub(crate) enum Answer {
    /// The call was done; of a look, that the connection is there.
    Accepted,
    /// The gateway does not know the connection.
    Gone,
    /// No connection will ever take this frame.
    TooLarge,
    /// The call was refused, or has no answer.
    Refused,
    /// The token of the connection has ended, which only a look finds out.
    Expired,
}

/// What is known of the gateway. It outlives a delivery, since the next one meets the same gateway.
#[derive(Debug)]
pub(crate) struct Health {
    evidence: Evidence,
    pace: Pace,
}

impl Health {
    pub(crate) fn new(now: Instant) -> Self {
        Self { evidence: Evidence::default(), pace: Pace::new(now) }
    }
}

/// What happened besides what was told, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Sockets that were closed because they did not take what others took.
    pub(crate) closed: u32,
    /// Posts that were refused or had no answer.
    pub(crate) refused: u32,
    /// Events that are larger than the gateway takes.
    pub(crate) too_large: u32,
}

/// A call that is under way.
#[derive(Debug, Clone, Copy)]
struct Call {
    key: Key,
    /// What the member was due when the call was made: index of a step.
    step: usize,
    began: Instant,
    /// Whether the call is a post, and not a close or a look.
    is_post: bool,
    is_look: bool,
    /// See [`evidence`].
    is_control: bool,
}

/// What came of closing sockets that may be dead without others to compare them with.
#[derive(Debug, Clone, Copy)]
enum UndecidedCloses {
    /// No close was tried.
    NotTried,
    /// The gateway refused the last close at this time: so it is at fault, and it is some time before it is asked
    /// again.
    Refused(Instant),
    /// A close is being tried. Others wait for what comes of it.
    UnderWay,
    /// Closes have been accepted since this time: so the gateway works, and sockets that refuse after that may be
    /// closed, too.
    Accepted(Instant),
}

/// Something to be looked at, at its time.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// The pause of a member is over, if it is still this pause.
    Retry(Key, u32),
    /// A call that may hang; and whether it was found to hang before.
    Check(Ticket, bool),
}

/// A delivery under way.
#[derive(Debug)]
pub(crate) struct Delivery {
    rooms: Vec<Room>,
    health: Arc<Mutex<Health>>,
    started: Instant,
    /// When a post was accepted last; before the first one, when this delivery began.
    accepted_at: Instant,
    /// Epoch milliseconds at `started`.
    epoch: i64,
    calls: HashMap<Ticket, Call>,
    /// Posts that were given up and may be accepted all the same.
    given_up: HashMap<Ticket, Call>,
    last_ticket: Ticket,
    posts: usize,
    looks: usize,
    /// Members that wait for another attempt.
    failing: usize,
    alarms: BinaryHeap<Reverse<(Instant, Alarm)>>,
    /// Members whose next call does not have to wait for the pace of posts: closes, and what goes before them in a
    /// kick.
    urgent: VecDeque<Key>,
    /// Members whose next post may be made.
    ready: VecDeque<Key>,
    forget: VecDeque<String>,
    goodbye: Arc<str>,
    stopping: bool,
    undecided_closes: UndecidedCloses,
    /// The end of the last time in which this function had no processor.
    starved: Option<Instant>,
    counts: Counts,
}

impl Delivery {
    /// A delivery of this batch that begins now. `epoch`: the time of now, milliseconds.
    pub(crate) fn new(
        batch: Batch,
        partitions: &[usize],
        health: Arc<Mutex<Health>>,
        now: Instant,
        epoch: i64,
    ) -> Self {
        let rooms = batch.rooms.into_iter().zip(partitions);
        Self {
            rooms: rooms.map(|(events, partitions)| Room::new(events.steps, *partitions)).collect(),
            health,
            started: now,
            accepted_at: now,
            epoch,
            calls: HashMap::new(),
            given_up: HashMap::new(),
            undecided_closes: UndecidedCloses::NotTried,
            last_ticket: 0,
            posts: 0,
            looks: 0,
            failing: 0,
            alarms: BinaryHeap::new(),
            urgent: VecDeque::new(),
            ready: VecDeque::new(),
            forget: VecDeque::new(),
            goodbye: Packet::new(NAMESPACE, PacketData::Disconnect).to_frame().into(),
            stopping: false,
            starved: None,
            counts: Counts::default(),
        }
    }

    /// Takes what was read of a partition of a room: members, and interrupted deliveries to it.
    pub(crate) fn read(
        &mut self,
        room: usize,
        partition: usize,
        members: Vec<Member>,
        checkpoints: Vec<DeliveryCheckpoint>,
    ) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.read(partition, members, checkpoints);
        }
    }

    /// Notes that all of a partition was read.
    pub(crate) fn read_to_its_end(&mut self, room: usize) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.unread = room.unread.saturating_sub(1);
        }
    }

    /// Notes that the room cannot be read now: what was not read is left for a retry.
    pub(crate) fn unreadable(&mut self, room: usize) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.is_unreadable = true;
        }
    }

    /// Makes no further calls; those under way are waited for.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether nothing is left that this delivery could do.
    pub(crate) fn is_done(&self) -> bool {
        let rooms = || self.rooms.iter().all(|room| room.queues.is_empty() && room.has_nothing_to_hand_out());
        self.forget.is_empty() && self.calls.is_empty() && (self.stopping || rooms())
    }

    /// When [`Delivery::next`] has something to do although no answer came.
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    /// What happened besides what was told.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// What to do now, if there is anything. To be called until there is not.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Command> {
        self.sound_alarms(now);
        if let Some(connection) = self.forget.pop_front() {
            return Some(Command::Forget { connection });
        }
        if self.stopping {
            return None;
        }
        while self.calls.len() < CONCURRENCY * 2
            && let Some(key) = self.urgent.pop_front()
        {
            if let Some(command) = self.begin(key, now) {
                return Some(command);
            }
        }
        if self.calls.len() < CONCURRENCY * 2
            && let Some(command) = self.hand_out(true, now)
        {
            return Some(command);
        }
        if self.posts >= self.health().pace.limit() {
            return None;
        }
        while let Some(key) = self.ready.pop_front() {
            if let Some(command) = self.begin(key, now) {
                return Some(command);
            }
        }
        if self.failing >= MOST_FAILING || self.looks >= MOST_LOOKS {
            return None;
        }
        self.hand_out(false, now)
    }

    /// Begins with the next member of a pass, in a room whose members are thrown out or in another one.
    fn hand_out(&mut self, is_kicked: bool, now: Instant) -> Option<Command> {
        let time = self.time(now);
        for room in 0..self.rooms.len() {
            if self.rooms[room].is_kicked != is_kicked {
                continue;
            }
            while let Some((member, queue)) = self.rooms[room].hand_out(time, now) {
                self.rooms[room].queues.insert(member, queue);
                if let Some(command) = self.begin((room, member), now) {
                    return Some(command);
                }
            }
        }
        None
    }

    /// The call a member is due.
    fn begin(&mut self, key: Key, now: Instant) -> Option<Command> {
        let ticket = self.last_ticket + 1;
        let goodbye = Arc::clone(&self.goodbye);
        if self.rooms.get(key.0)?.queues.get(&key.1)?.was_accepted {
            self.done(key, now);
            return None;
        }
        let room = self.rooms.get_mut(key.0)?;
        let connection = room.audience.id(key.1).to_owned();
        let queue = room.queues.get_mut(&key.1)?;
        let number = queue.step;
        let step = room.steps.get(number)?;
        let recovers = room.audience.details(key.1).is_some_and(|details| details.recovers);
        let (frame, request_id) = (Arc::clone(step.frame(recovers)), step.request_id.clone());
        let (is_post, is_control, check) = match &mut queue.stage {
            Stage::Post => (true, queue.attempts == 0 && queue.unopened == 0, Some(now + HANGS_AFTER)),
            Stage::Look | Stage::Close(_) => (false, false, None),
            Stage::Kick(kick) => {
                kick.begin(now);
                (kick.is_post(), false, kick.is_post().then(|| kick.looked_at(now)))
            }
        };
        let is_look = queue.stage == Stage::Look;
        let command = match &queue.stage {
            Stage::Post => Command::Post { ticket, connection, frame, request_id },
            Stage::Look => Command::Look { ticket, connection },
            Stage::Close(_) => Command::Close { ticket, connection },
            Stage::Kick(kick) => kick.command(ticket, connection, frame, goodbye, request_id),
        };
        self.last_ticket = ticket;
        self.calls.insert(ticket, Call { key, step: number, began: now, is_post, is_look, is_control });
        self.posts += usize::from(is_post);
        self.looks += usize::from(is_look);
        self.alarms.extend(check.map(|at| Reverse((at, Alarm::Check(ticket, false)))));
        Some(command)
    }

    fn sound_alarms(&mut self, now: Instant) {
        if self.alarms.peek().is_some_and(|Reverse((at, _))| now.saturating_duration_since(*at) > LATE) {
            self.starved = Some(now);
        }
        while let Some(Reverse((at, _))) = self.alarms.peek()
            && *at <= now
        {
            match self.alarms.pop() {
                Some(Reverse((_, Alarm::Retry(key, pause)))) => self.retry(key, pause),
                Some(Reverse((_, Alarm::Check(ticket, again)))) => self.check(ticket, again, now),
                None => {}
            }
        }
    }

    fn retry(&mut self, key: Key, pause: u32) {
        let queue = self.rooms.get(key.0).and_then(|room| room.queues.get(&key.1));
        match queue {
            Some(queue) if queue.pauses == pause && queue.stage == Stage::Post => self.ready.push_back(key),
            Some(queue) if queue.pauses == pause => self.urgent.push_back(key),
            _ => {}
        }
    }

    /// Looks at a post that is still under way: whether it hangs, and whose fault that is.
    fn check(&mut self, ticket: Ticket, hung_before: bool, now: Instant) {
        let Some(Call { key, began, .. }) = self.calls.get(&ticket) else { return };
        let (key, began) = (*key, *began);
        let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) else { return };
        if let Stage::Kick(kick) = &mut queue.stage {
            if now < kick.until && !Self::is_slow(&self.health, kick, now) {
                self.alarms.push(Reverse((kick.until, Alarm::Check(ticket, true))));
                return;
            }
            // The time for courtesy is over; what must happen is the close.
            kick.give_up();
            self.abandon(ticket, now);
            self.urgent.push_back(key);
            return;
        }
        let hanging = self.calls.values().filter(|call| call.is_post && call.began + HANGS_AFTER / 2 < now).count();
        // Where this function had no processor and could not have read the answer, the post has its time once more.
        let waited_since = self.starved.map_or(began, |starved| starved.max(began));
        let (usual, fails_after, only_this_one) = {
            let health = self.health();
            let latency = health.pace.latency().unwrap_or_default();
            let usual = HANGS_AFTER.max(latency * 20);
            (usual, FAILS_AFTER.max(latency * 2), health.evidence.others_are_accepted(began, hanging.saturating_sub(1)))
        };
        if now >= waited_since + fails_after {
            if let Some(call) = self.abandon(ticket, now) {
                self.counts.refused += 1;
                self.refused(&call, now);
            }
            return;
        }
        let again = if now < waited_since + usual {
            Some(((waited_since + usual).min(waited_since + fails_after), false))
        } else if !hung_before {
            Some((now + LAST_LOOK, true))
        } else if only_this_one {
            None
        } else {
            Some(((now + LOOK_AGAIN).min(waited_since + fails_after), true))
        };
        match again {
            Some((at, hangs)) => self.alarms.push(Reverse((at, Alarm::Check(ticket, hangs)))),
            None => {
                self.abandon(ticket, now);
                self.close(key, Cause::Hangs);
            }
        }
    }

    /// Whether a member that is thrown out does not take what others took in the same time.
    fn is_slow(health: &Mutex<Health>, kick: &Kick, now: Instant) -> bool {
        let health = health.lock().unwrap_or_else(PoisonError::into_inner);
        kick.is_slow_since(now).is_some_and(|since| health.evidence.others_are_accepted(since, 0))
    }

    /// Gives a call up, whose answer is not waited for any longer.
    fn abandon(&mut self, ticket: Ticket, now: Instant) -> Option<Call> {
        let call = self.calls.remove(&ticket)?;
        self.posts -= usize::from(call.is_post);
        if call.is_control {
            self.health().evidence.answered(now, false);
        }
        self.given_up.insert(ticket, call);
        Some(call)
    }

    /// The time in epoch milliseconds.
    fn time(&self, now: Instant) -> i64 {
        let passed = now.saturating_duration_since(self.started).as_millis();
        self.epoch + i64::try_from(passed).unwrap_or_default()
    }

    /// What is known of the gateway; it is still right enough where somebody panicked over it.
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
