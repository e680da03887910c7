//! What the answer to a call means for its member.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use shared::connections::may_be_opening;

use super::{
    Alarm, Answer, Call, Delivery, Key, Ticket, UndecidedCloses,
    evidence::Refusals,
    kick::{self, Next},
    room::{Cause, Queue, Stage},
};

/// First and longest pause after a 410 of a connection that may not be open yet; it doubles.
const UNOPENED_PAUSE: (Duration, Duration) = (Duration::from_millis(15), Duration::from_millis(240));

/// First and longest pause after a refused post.
pub const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(8), Duration::from_secs(1));

/// The factor by which the pause grows each time.
pub const RETRY_PAUSE_GROWTH: f64 = 1.25;

/// First and longest pause after a close that failed; it doubles.
const CLOSE_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long a socket must have taken no post before it may be closed without other sockets to compare it with.
const UNDECIDED: Duration = Duration::from_secs(10);

/// How long after the gateway refused a close without comparison the next one is tried, of whichever socket. Many
/// sockets may be waiting for the end of an outage: if closes were tried all the time, a close would often be the first
/// call after it.
const UNDECIDED_AGAIN: Duration = Duration::from_secs(5);

/// Where nobody of a room has accepted an event, sockets are closed for refusing it only while at most this many fail: so
/// few may all be dead. If more fail, the gateway is taken to be at fault, and nobody is closed.
const FEW: usize = 9;

impl Delivery {
    /// Takes the answer of a call.
    pub(crate) fn answered(&mut self, ticket: Ticket, answer: Answer, now: Instant) {
        let Some(call) = self.calls.remove(&ticket) else { return self.answered_late(ticket, answer, now) };
        self.posts -= usize::from(call.is_post);
        self.looks -= usize::from(call.is_look);
        self.counts.refused += u32::from(call.is_post && answer == Answer::Refused);
        if call.is_control {
            let mut health = self.health();
            health.evidence.answered(now, answer != Answer::Refused);
            health.pace.answered(call.began, now, answer != Answer::Refused);
        }
        let Some(queue) = self.rooms.get(call.key.0).and_then(|room| room.queues.get(&call.key.1)) else { return };
        match queue.stage {
            Stage::Post => self.posted(&call, answer, now),
            Stage::Look => self.looked(call.key, answer, now),
            Stage::Close(cause) => self.closed(&call, answer, cause, now),
            Stage::Kick(_) => self.kicked(call.key, answer, now),
        }
    }

    /// Takes the answer of a post that was given up. If it was accepted, the member is done with its step as soon as
    /// its next attempt, if that is under way, is answered: otherwise it could hear the event again after the next one.
    fn answered_late(&mut self, ticket: Ticket, answer: Answer, now: Instant) {
        let Some(call) = self.given_up.remove(&ticket) else { return };
        if answer != Answer::Accepted || !call.is_post {
            return;
        }
        self.health().pace.answered_late(call.began, now);
        let Some(queue) = self.rooms.get_mut(call.key.0).and_then(|room| room.queues.get_mut(&call.key.1)) else {
            return;
        };
        if queue.step == call.step && matches!(queue.stage, Stage::Post) {
            queue.was_accepted = true;
        }
    }

    fn posted(&mut self, call: &Call, answer: Answer, now: Instant) {
        match answer {
            Answer::Accepted => {
                self.accepted_at = now;
                if let Some(accepted) = self.rooms.get_mut(call.key.0).and_then(|room| room.accepted.get_mut(call.step))
                {
                    *accepted = true;
                }
                let queue = self.rooms.get(call.key.0).and_then(|room| room.queues.get(&call.key.1));
                let refusals = queue.map_or_else(Refusals::default, |queue| queue.refusals);
                self.health().evidence.accepted(refusals);
                self.done(call.key, now);
            }
            Answer::TooLarge => {
                self.skip_step(call.key);
                self.done(call.key, now);
            }
            // A member has joined, so its connection was open, and a 410 means that it is gone. Only for a connection
            // of the last few seconds may it mean that the gateway does not know it yet.
            Answer::Gone if self.may_open(call.key, now) => self.wait_until_it_opens(call.key, now),
            Answer::Gone => self.close(call.key, Cause::Gone),
            Answer::Refused | Answer::Expired => self.refused(call, now),
        }
    }

    /// Stops telling this step to anybody.
    fn skip_step(&mut self, key: Key) {
        let Some(room) = self.rooms.get_mut(key.0) else { return };
        let Some(queue) = room.queues.get(&key.1) else { return };
        let (step, request_id) = (queue.step, room.steps[queue.step].request_id.clone());
        if !std::mem::replace(&mut room.too_large[step], true) {
            self.counts.too_large += 1;
            let event = room.steps[step].emission.name;
            tracing::error!(
                request_id = request_id.as_deref(),
                event,
                "an event is larger than API Gateway takes; it is told to nobody"
            );
        }
    }

    /// Notes that a member is done with its step: it is due the next one, or level with all others.
    pub(super) fn done(&mut self, key: Key, now: Instant) {
        let time = self.time(now);
        let Some(room) = self.rooms.get_mut(key.0) else { return };
        let Some(queue) = room.queues.remove(&key.1) else { return };
        self.failing -= usize::from(queue.since.is_some());
        let Some(step) = room.next_step(key.1, queue.step) else { return };
        let is_expired = room.audience.details(key.1).is_some_and(|details| details.is_expired(time));
        let stage = room.stage(step, is_expired, now);
        let waits = if stage == Stage::Post { &mut self.ready } else { &mut self.urgent };
        waits.push_front(key);
        // The alarm of an earlier pause may be still to come.
        room.queues.insert(key.1, Queue { pauses: queue.pauses, ..Queue::new(step, stage) });
    }

    pub(super) fn refused(&mut self, call: &Call, now: Instant) {
        let (key, began) = (call.key, call.began);
        let Some(room) = self.rooms.get_mut(key.0) else { return };
        let (members, some_accepted) = (room.audience.len(), room.accepted.get(call.step).is_some_and(|some| *some));
        let Some(queue) = room.queues.get_mut(&key.1) else { return };
        self.failing += usize::from(queue.since.is_none());
        let since = *queue.since.get_or_insert(began);
        queue.attempts += 1;
        let attempts = queue.attempts;
        let (score, refusals) = (queue.score, queue.refusals);
        let (score, refusals, is_its_fault, may_be_chance) = {
            let evidence = &mut self.health().evidence;
            let score = score + evidence.against(since, began);
            let refusals = evidence.refused(refusals);
            let may_be_chance = evidence.may_be_chance(refusals, members);
            let is_its_fault = !may_be_chance && evidence.is_enough(score, since, began, self.failing, members);
            (score, refusals, is_its_fault, may_be_chance && evidence.accepts())
        };
        if let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) {
            (queue.score, queue.refusals) = (score, refusals);
        }
        let is_undecided_for_long = now.saturating_duration_since(since) >= UNDECIDED && self.nobody_accepts(now);
        let may_be_dead = is_undecided_for_long && !may_be_chance && (self.failing <= FEW || some_accepted);
        if is_its_fault {
            self.close(key, Cause::Refuses);
        } else if may_be_dead && self.may_close_undecided(began) {
            self.close(key, Cause::TookNothing);
        } else {
            let grown = RETRY_PAUSE_GROWTH.powi(i32::try_from(attempts).unwrap_or(i32::MAX).saturating_sub(1).min(30));
            self.pause(key, RETRY_PAUSE.0.mul_f64(grown).min(RETRY_PAUSE.1), now);
        }
    }

    /// Whether nothing was accepted for a while.
    fn nobody_accepts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.accepted_at) >= UNDECIDED / 2
    }

    /// Whether a socket whose refused post began then may be closed without a comparison. One is closed at a time,
    /// until a close has shown that the gateway works: so the end of an outage hardly ever closes a socket that only
    /// had to wait for it.
    fn may_close_undecided(&mut self, began: Instant) -> bool {
        match self.undecided_closes {
            UndecidedCloses::NotTried => {
                self.undecided_closes = UndecidedCloses::UnderWay;
                true
            }
            UndecidedCloses::UnderWay => false,
            UndecidedCloses::Refused(at) if began < at + UNDECIDED_AGAIN => false,
            UndecidedCloses::Refused(_) => {
                self.undecided_closes = UndecidedCloses::UnderWay;
                true
            }
            UndecidedCloses::Accepted(at) => began >= at,
        }
    }

    /// Closes the socket: if it is alive, its client comes back by itself and loads the state it missed.
    pub(super) fn close(&mut self, key: Key, cause: Cause) {
        let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) else { return };
        queue.stage = Stage::Close(cause);
        queue.attempts = 0;
        self.urgent.push_back(key);
    }

    fn closed(&mut self, call: &Call, answer: Answer, cause: Cause, now: Instant) {
        let key = call.key;
        let is_closed = matches!(answer, Answer::Accepted | Answer::Gone);
        if !cause.insists() {
            // Sockets that take nothing have slowed the posts down; the answer to a close shows if the gateway works.
            self.health().pace.answered(call.began, now, is_closed);
        }
        if cause == Cause::TookNothing {
            self.undecided_closes = match (is_closed, self.undecided_closes) {
                (false, _) => UndecidedCloses::Refused(now),
                (true, UndecidedCloses::Accepted(since)) => UndecidedCloses::Accepted(since),
                (true, _) => UndecidedCloses::Accepted(now),
            };
        }
        if answer == Answer::Gone && self.may_open(key, now) {
            // The connection is not open yet. Without a close it would open later and hear nothing.
            return self.pause(key, UNOPENED_PAUSE.1, now);
        }
        if is_closed {
            if let Some(reason) = cause.reason() {
                self.counts.closed += 1;
                self.log_close(key, reason);
            }
            return self.end(key);
        }
        let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) else { return };
        if cause.insists() {
            queue.attempts += 1;
            let pause = CLOSE_PAUSE.0 * 2_u32.pow(queue.attempts.min(6));
            return self.pause(key, pause.min(CLOSE_PAUSE.1), now);
        }
        self.failing -= usize::from(queue.since.is_some());
        *queue = Queue { pauses: queue.pauses, ..Queue::new(queue.step, Stage::Post) };
        self.pause(key, RETRY_PAUSE.1, now);
    }

    fn log_close(&self, key: Key, reason: &'static str) {
        let Some(room) = self.rooms.get(key.0) else { return };
        let step = room.queues.get(&key.1).and_then(|queue| room.steps.get(queue.step));
        tracing::warn!(
            request_id = step.and_then(|step| step.request_id.as_deref()),
            connection = room.audience.id(key.1),
            reason,
            "closed a socket"
        );
    }

    fn kicked(&mut self, key: Key, answer: Answer, now: Instant) {
        let may_open = self.may_open(key, now);
        let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) else { return };
        let Stage::Kick(kick) = &mut queue.stage else { return };
        let mut next = kick.answered(answer, may_open, now);
        if next == Next::Again && !may_open && Self::is_slow(&self.health, kick, now) {
            kick.give_up();
            next = Next::GoOn;
        }
        match next {
            Next::GoOn => self.urgent.push_back(key),
            Next::Again => self.pause(key, kick::PAUSE, now),
            Next::Closed => self.end(key),
            Next::NotClosed => {
                queue.attempts += 1;
                let pause = CLOSE_PAUSE.0 * 2_u32.pow(queue.attempts.min(6));
                self.pause(key, pause.min(CLOSE_PAUSE.1), now);
            }
        }
    }

    fn wait_until_it_opens(&mut self, key: Key, now: Instant) {
        let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) else { return };
        queue.unopened += 1;
        if queue.unopened.is_multiple_of(2) {
            // The connection may have been closed meanwhile: then there is nothing to wait for.
            queue.stage = Stage::Look;
            self.urgent.push_back(key);
            return;
        }
        let pause = UNOPENED_PAUSE.0 * 2_u32.pow(queue.unopened.min(5));
        self.pause(key, pause.min(UNOPENED_PAUSE.1), now);
    }

    fn looked(&mut self, key: Key, answer: Answer, now: Instant) {
        match answer {
            Answer::Gone => return self.end(key),
            Answer::Expired => return self.close(key, Cause::Expired),
            // The table cannot be read now.
            Answer::Refused | Answer::TooLarge => return self.pause(key, RETRY_PAUSE.1, now),
            Answer::Accepted => {}
        }
        let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) else { return };
        queue.stage = Stage::Post;
        if queue.unopened == 0 {
            return self.ready.push_front(key);
        }
        let pause = UNOPENED_PAUSE.0 * 2_u32.pow(queue.unopened.min(5));
        self.pause(key, pause.min(UNOPENED_PAUSE.1), now);
    }

    /// Whether the gateway may not know the connection yet.
    fn may_open(&self, key: Key, now: Instant) -> bool {
        let details = self.rooms.get(key.0).and_then(|room| room.audience.details(key.1));
        details.is_some_and(|details| may_be_opening(details.connected_at, self.time(now)))
    }

    /// Makes the member's next call after a pause, whose length is partly random, so that members do not all call at
    /// once.
    fn pause(&mut self, key: Key, pause: Duration, now: Instant) {
        let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) else { return };
        queue.pauses += 1;
        let at = now + pause.mul_f64(0.9 + 0.2 * fastrand::f64());
        self.alarms.push(Reverse((at, Alarm::Retry(key, queue.pauses))));
    }

    /// Forgets a member whose connection is closed or gone, and has what is stored of it removed.
    fn end(&mut self, key: Key) {
        let Some(room) = self.rooms.get_mut(key.0) else { return };
        if let Some(queue) = room.queues.remove(&key.1) {
            self.failing -= usize::from(queue.since.is_some());
        }
        room.audience.end(key.1);
        self.forget.push_back(room.audience.id(key.1).to_owned());
    }
}
