//! A room that is being told its steps: how far the passes are, and the queues of those who are not level with them.

use std::{collections::HashMap, time::Instant};

use shared::connections::{DeliveryCheckpoint, Member};

use super::{evidence::Refusals, kick::Kick};
use crate::{audience::Audience, batch::Step};

/// A room that is told its steps, and how far each member is.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) steps: Vec<Step>,
    /// Whether members are thrown out here. No event of ours is for both kinds of rooms.
    pub(super) is_kicked: bool,
    pub(super) audience: Audience,
    /// Partitions that were not read to their end yet.
    pub(super) unread: usize,
    pub(super) is_unreadable: bool,
    /// The step that is being handed out, and the member it is handed to next.
    pub(super) pass: usize,
    pub(super) index: u32,
    /// Members with a call under way or an attempt to come.
    pub(super) queues: HashMap<u32, Queue>,
    /// Steps whose frame the gateway refuses as too large.
    pub(super) too_large: Vec<bool>,
    /// Steps that some member has accepted.
    pub(super) accepted: Vec<bool>,
    /// Where an earlier attempt stopped, by partition.
    pub(super) resumed: Vec<Option<Resumed>>,
}

/// An earlier attempt at the same steps.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) checkpoint: DeliveryCheckpoint,
    /// Index of the first of our steps among the changes of the checkpoint.
    pub(super) offset: usize,
}

/// The queue of one member.
#[derive(Debug)]
pub(super) struct Queue {
    /// Index of the step that the member is due.
    pub(super) step: usize,
    pub(super) stage: Stage,
    /// When the first refused attempt at this step began.
    pub(super) since: Option<Instant>,
    /// Refused attempts at this step.
    pub(super) attempts: u32,
    /// How much the refused attempts speak against the socket; see [`super::evidence`].
    pub(super) score: f64,
    pub(super) refusals: Refusals,
    /// Attempts that met a connection which was not open yet.
    pub(super) unopened: u32,
    /// Counts pauses, so that an alarm of an earlier one is recognised.
    pub(super) pauses: u32,
    /// A post of this step that had been given up was accepted after all.
    pub(super) was_accepted: bool,
}

/// What is being done about a member.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The member is told its step.
    Post,
    /// The connection is looked up in the table: does it still exist, and has its token ended? For a young connection
    /// that the gateway does not know, and for one whose token had ended by what was read of the room, and which may
    /// have renewed it since.
    Look,
    /// The member is closed.
    Close(Cause),
    /// The member is told, and thrown out.
    Kick(Kick),
}

/// Why a member is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The connection does not exist any more.
    Gone,
    /// The token of the connection has ended.
    Expired,
    /// The member refuses what others take.
    Refuses,
    /// The member does not answer while others do.
    Hangs,
    /// The member has taken nothing for so long that it may be dead, and there is nothing to compare it with.
    TookNothing,
}

impl Cause {
    /// Whether the close is repeated until it succeeds. Otherwise a gateway that refuses the close as well is taken to be
    /// at fault itself, and the member is told its step again, as if it were the first time.
    pub(super) fn insists(self) -> bool {
        matches!(self, Self::Gone | Self::Expired)
    }

    /// The reason for the log, where the socket is at fault.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Gone | Self::Expired => None,
            Self::Refuses => Some("it refuses what others take"),
            Self::Hangs => Some("it does not answer while others do"),
            Self::TookNothing => Some("it took nothing while there was nothing to compare it with"),
        }
    }
}

impl Queue {
    pub(super) fn new(step: usize, stage: Stage) -> Self {
        Self {
            step,
            stage,
            since: None,
            attempts: 0,
            score: 0.0,
            refusals: Refusals::default(),
            unopened: 0,
            pauses: 0,
            was_accepted: false,
        }
    }

    /// How many steps its member is done with.
    pub(super) fn told(&self) -> usize {
        self.step + usize::from(self.was_accepted)
    }
}

impl Room {
    pub(super) fn new(steps: Vec<Step>, partitions: usize) -> Self {
        Self {
            too_large: vec![false; steps.len()],
            accepted: vec![false; steps.len()],
            is_kicked: steps.iter().any(|step| step.emission.kick_before.is_some()),
            steps,
            audience: Audience::default(),
            unread: partitions,
            is_unreadable: false,
            pass: 0,
            index: 0,
            queues: HashMap::new(),
            resumed: (0..partitions).map(|_| None).collect(),
        }
    }

    pub(super) fn read(&mut self, partition: usize, members: Vec<Member>, checkpoints: Vec<DeliveryCheckpoint>) {
        if let Some(resumed) = self.resumed.get_mut(partition)
            && let Some(first) = self.steps.first()
        {
            let ours = checkpoints.into_iter().find_map(|checkpoint| {
                let offset = checkpoint.changes.iter().position(|change| **change == *first.sequence_number)?;
                Some(Resumed { checkpoint, offset })
            });
            *resumed = ours.or(resumed.take());
        }
        self.audience.add(partition, members);
    }

    /// Whether this attempt has handed out everything it can.
    pub(super) fn has_nothing_to_hand_out(&self) -> bool {
        let is_read = self.unread == 0 || self.is_unreadable;
        let is_last = self.pass + 1 >= self.steps.len() || self.is_unreadable;
        is_read && is_last && self.index >= self.audience.len()
    }

    /// How many of the steps a member was told by earlier attempts.
    pub(super) fn told_before(&self, member: u32) -> usize {
        match self.resumed.get(self.audience.partition(member)) {
            Some(Some(resumed)) => resumed.checkpoint.told(self.audience.id(member)).saturating_sub(resumed.offset),
            _ => 0,
        }
    }

    /// The next member of the pass that has to be spoken to, and its queue. `time`: epoch milliseconds.
    pub(super) fn hand_out(&mut self, time: i64, now: Instant) -> Option<(u32, Queue)> {
        loop {
            if self.index >= self.audience.len() {
                // Members that are still to be read have to hear this step, too.
                let goes_on = self.unread == 0 && !self.is_unreadable && self.pass + 1 < self.steps.len();
                if !goes_on {
                    return None;
                }
                (self.pass, self.index) = (self.pass + 1, 0);
                continue;
            }
            let member = self.index;
            self.index += 1;
            // A member that is behind comes to this step by itself.
            if self.queues.contains_key(&member) || self.audience.has_ended(member) || !self.is_for(self.pass, member) {
                continue;
            }
            let expired = self.audience.details(member).is_some_and(|details| details.is_expired(time));
            return Some((member, Queue::new(self.pass, self.stage(self.pass, expired, now))));
        }
    }

    /// How a step begins for a member.
    pub(super) fn stage(&self, step: usize, is_expired: bool, now: Instant) -> Stage {
        match self.steps.get(step) {
            Some(step) if step.emission.kick_before.is_some() => Stage::Kick(Kick::new(now)),
            _ if is_expired => Stage::Look,
            _ => Stage::Post,
        }
    }

    /// The next step of a member that is done with one; `None` when it is level with the pass.
    pub(super) fn next_step(&self, member: u32, done: usize) -> Option<usize> {
        let end = if member < self.index { self.pass + 1 } else { self.pass };
        (done + 1..end).find(|step| self.is_for(*step, member))
    }

    fn is_for(&self, step: usize, member: u32) -> bool {
        let generation = self.audience.details(member).and_then(|details| details.generation);
        let is_meant = self.steps.get(step).is_some_and(|step| step.emission.is_for(generation));
        is_meant && !self.too_large.get(step).is_some_and(|too_large| *too_large) && self.told_before(member) <= step
    }
}
