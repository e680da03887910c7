//! What the answer to a call means for its member.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use shared::connections::may_be_opening;

use super::{
    Alarm, Answer, Call, Delivery, Key, Ticket,
    evidence::Refusals,
    kick::{self, Next},
    room::{Queue, Stage},
};

/// First and longest pause after a 410 of a connection that may not be open yet; it doubles.
const UNOPENED_PAUSE: (Duration, Duration) = (Duration::from_millis(15), Duration::from_millis(240));

/// First and longest pause after a refused post.
pub const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(8), Duration::from_secs(1));

/// By which the pause grows each time.
pub const RETRY_PAUSE_GROWTH: f64 = 1.25;

/// First and longest pause after a close that failed; it doubles.
const CLOSE_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long a socket must have taken no post before it may be closed without other sockets to compare it with.
const UNDECIDED: Duration = Duration::from_secs(10);

/// Sockets that fail without a comparison are closed only while at most this many fail, or less than half of their
/// room: so few may all be dead. If more fail and no post is accepted, the gateway is taken to be at fault, and nobody
/// is closed.
const FEW: usize = 9;

impl Delivery {
    /// A call was answered.
    pub(crate) fn answered(&mut self, ticket: Ticket, answer: Answer, now: Instant) {
        // The answer to a call that was given up is ignored.
        let Some(call) = self.calls.remove(&ticket) else { return };
        self.posts -= usize::from(call.is_post);
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
            Stage::Close { insists } => self.closed(call.key, answer, insists, now),
            Stage::Kick(_) => self.kicked(call.key, answer, now),
        }
    }

    fn posted(&mut self, call: &Call, answer: Answer, now: Instant) {
        match answer {
            Answer::Accepted => {
                self.accepted_at = now;
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
            Answer::Gone => self.close(call.key, true),
            Answer::Refused => self.refused(call, now),
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

    /// The member is done with its step: the next one, or level with all others.
    fn done(&mut self, key: Key, now: Instant) {
        let time = self.time(now);
        let Some(room) = self.rooms.get_mut(key.0) else { return };
        let Some(queue) = room.queues.remove(&key.1) else { return };
        self.failing -= usize::from(queue.since.is_some());
        let Some(step) = room.next_step(key.1, queue.step) else { return };
        let is_expired = room.audience.details(key.1).is_some_and(|details| details.is_expired(time));
        let stage = room.stage(step, is_expired, now);
        let waits = if stage == Stage::Post { &mut self.ready } else { &mut self.urgent };
        waits.push_front(key);
        room.queues.insert(key.1, Queue::new(step, stage));
    }

    pub(super) fn refused(&mut self, call: &Call, now: Instant) {
        let (key, began) = (call.key, call.began);
        let counts = !self.was_starved(now);
        let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) else { return };
        self.failing += usize::from(queue.since.is_none());
        let since = *queue.since.get_or_insert(began);
        queue.attempts += 1;
        // A refusal in a time without processor does not count. Pauses begin short again after such a time: refusals count
        // only while posts to other sockets are recent enough to compare them with.
        queue.counted += u32::from(counts);
        let attempts = if counts { queue.counted } else { queue.attempts };
        let (score, refusals) = (queue.score, queue.refusals);
        let members = self.rooms.get(key.0).map_or(0, |room| room.audience.len());
        let (score, refusals, is_its_fault, may_be_chance) = {
            let evidence = &mut self.health().evidence;
            let score = if counts { score + evidence.against(since, began) } else { score };
            let refusals = evidence.refused(refusals);
            let may_be_chance = evidence.may_be_chance(refusals, members);
            let is_its_fault = !may_be_chance && evidence.is_enough(score, since, began, self.failing, members);
            (score, refusals, is_its_fault, may_be_chance && evidence.accepts())
        };
        if let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) {
            (queue.score, queue.refusals) = (score, refusals);
        }
        let is_undecided_for_long = now.saturating_duration_since(since) >= UNDECIDED && self.nobody_accepts(now);
        if is_its_fault {
            self.blame(key, "it refuses what others take");
        } else if is_undecided_for_long && !may_be_chance && (self.failing <= FEW || self.are_few_of(key.0)) {
            // A gateway that refuses the close as well is at fault itself, and the socket is not.
            self.close(key, false);
        } else {
            let grown = RETRY_PAUSE_GROWTH.powi(i32::try_from(attempts).unwrap_or(i32::MAX).saturating_sub(1).min(30));
            self.pause(key, RETRY_PAUSE.0.mul_f64(grown).min(RETRY_PAUSE.1), now);
        }
    }

    /// Whether nothing was accepted for a while.
    fn nobody_accepts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.accepted_at) >= UNDECIDED / 2
    }

    /// Whether most of a room was told, so that nobody is left to compare the others with.
    fn are_few_of(&self, room: usize) -> bool {
        let Some(room) = self.rooms.get(room) else { return false };
        let left = u32::try_from(room.queues.len()).unwrap_or(u32::MAX);
        room.has_nothing_to_hand_out() && left.saturating_mul(2) < room.audience.len()
    }

    /// The socket is closed: its client comes back by itself and loads the state it missed.
    pub(super) fn blame(&mut self, key: Key, reason: &'static str) {
        self.counts.closed += 1;
        if let Some(room) = self.rooms.get(key.0)
            && let Some(queue) = room.queues.get(&key.1)
        {
            let request_id = room.steps.get(queue.step).and_then(|step| step.request_id.clone());
            tracing::warn!(
                request_id = request_id.as_deref(),
                connection = room.audience.id(key.1),
                reason,
                "closing a socket"
            );
        }
        self.close(key, true);
    }

    fn close(&mut self, key: Key, insists: bool) {
        let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) else { return };
        queue.stage = Stage::Close { insists };
        queue.attempts = if insists { 0 } else { queue.attempts };
        self.urgent.push_back(key);
    }

    fn closed(&mut self, key: Key, answer: Answer, insists: bool, now: Instant) {
        match answer {
            // The connection is not open yet. Without a close it would open later and hear nothing.
            Answer::Gone if self.may_open(key, now) => self.pause(key, UNOPENED_PAUSE.1, now),
            Answer::Accepted | Answer::Gone => {
                if !insists {
                    self.counts.closed += 1;
                    tracing::warn!("closed a socket that took nothing while there was nothing to compare it with");
                }
                self.end(key);
            }
            Answer::Refused | Answer::TooLarge => {
                let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) else {
                    return;
                };
                if insists {
                    queue.attempts += 1;
                    let pause = CLOSE_PAUSE.0 * 2_u32.pow(queue.attempts.min(6));
                    self.pause(key, pause.min(CLOSE_PAUSE.1), now);
                } else {
                    queue.stage = Stage::Post;
                    self.pause(key, RETRY_PAUSE.1, now);
                }
            }
        }
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
        if answer == Answer::Gone {
            return self.end(key);
        }
        let Some(queue) = self.rooms.get_mut(key.0).and_then(|room| room.queues.get_mut(&key.1)) else { return };
        queue.stage = Stage::Post;
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

    /// The connection is closed or gone, and what is stored of it goes, too.
    fn end(&mut self, key: Key) {
        let Some(room) = self.rooms.get_mut(key.0) else { return };
        if let Some(queue) = room.queues.remove(&key.1) {
            self.failing -= usize::from(queue.since.is_some());
        }
        room.audience.end(key.1);
        self.forget.push_back(room.audience.id(key.1).to_owned());
    }
}
