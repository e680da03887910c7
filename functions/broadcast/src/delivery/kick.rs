//! Throwing a member out: its event, the Socket.IO DISCONNECT packet, the close. The event and the packet are courtesy
//! and have only so much time; the close must happen, and is tried until it succeeds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Answer, Command, Ticket};

/// How long a member that takes nothing is told why, before it is closed all the same.
const COURTESY: Duration = Duration::from_millis(800);

/// How long at least a member is told why, where others take what they are sent and it is the member that does not.
const COURTESY_TO_THE_SLOW: Duration = Duration::from_millis(200);

/// How long a member is told why once more, after everything was tried and the close failed.
const COURTESY_AGAIN: Duration = Duration::from_millis(200);

/// Pause between two attempts to tell a member why.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// How far the kick is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Event,
    Goodbye,
    Close,
}

/// A member that is being thrown out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kick {
    at: At,
    /// The time until which courtesy is tried.
    pub(super) until: Instant,
    /// Whether that time begins with the next call.
    starts_again: bool,
    /// Whether the member took its event.
    was_told: bool,
}

/// What follows an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The next call is made, at once.
    GoOn,
    /// This call is made once more, after a pause.
    Again,
    /// The member is closed.
    Closed,
    /// The member could not be closed. After a pause, everything that did not succeed is tried once more.
    NotClosed,
}

impl Kick {
    pub(super) fn new(now: Instant) -> Self {
        Self { at: At::Event, until: now + COURTESY, starts_again: false, was_told: false }
    }

    /// Notes that the next call begins.
    pub(super) fn begin(&mut self, now: Instant) {
        if std::mem::take(&mut self.starts_again) {
            self.until = now + COURTESY_AGAIN;
        }
    }

    /// When courtesy began, if it has lasted long enough for a member that does not take what others do.
    pub(super) fn is_slow_since(&self, now: Instant) -> Option<Instant> {
        let since = self.until.checked_sub(COURTESY)?;
        (self.is_post() && now >= since + COURTESY_TO_THE_SLOW).then_some(since)
    }

    /// When a post that has no answer is looked at.
    pub(super) fn looked_at(&self, now: Instant) -> Instant {
        (now + COURTESY_TO_THE_SLOW).min(self.until)
    }

    /// Whether the next call is a post.
    pub(super) fn is_post(&self) -> bool {
        self.at != At::Close
    }

    /// The next call.
    pub(super) fn command(
        &self,
        ticket: Ticket,
        connection: String,
        event: Arc<str>,
        goodbye: Arc<str>,
        request_id: Option<Arc<str>>,
    ) -> Command {
        match self.at {
            At::Event => Command::Post { ticket, connection, frame: event, request_id },
            At::Goodbye => Command::Post { ticket, connection, frame: goodbye, request_id },
            At::Close => Command::Close { ticket, connection },
        }
    }

    /// Ends the time for courtesy: the next call is the close.
    pub(super) fn give_up(&mut self) {
        self.at = At::Close;
    }

    /// What follows the answer to the last call. `may_open`: the connection is so young that the gateway may not know
    /// it yet.
    pub(super) fn answered(&mut self, answer: Answer, may_open: bool, now: Instant) -> Next {
        let has_time = now + PAUSE < self.until;
        match (self.at, answer) {
            (At::Event, Answer::Accepted) => {
                self.was_told = true;
                self.at = At::Goodbye;
                Next::GoOn
            }
            (At::Event, Answer::TooLarge) => {
                self.at = At::Goodbye;
                Next::GoOn
            }
            (At::Event | At::Goodbye, Answer::Refused) if has_time => Next::Again,
            (At::Event | At::Goodbye, Answer::Gone) if may_open && has_time => Next::Again,
            (At::Event | At::Goodbye, _) => {
                self.at = At::Close;
                Next::GoOn
            }
            (At::Close, Answer::Gone) if may_open => Next::NotClosed,
            (At::Close, Answer::Accepted | Answer::Gone) => Next::Closed,
            (At::Close, Answer::Refused | Answer::TooLarge | Answer::Expired) => {
                if !self.was_told {
                    (self.at, self.starts_again) = (At::Event, true);
                }
                Next::NotClosed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(answers: &[(u64, Answer)]) -> Vec<Next> {
        let start = Instant::now();
        let mut kick = Kick::new(start);
        answers.iter().map(|(ms, answer)| kick.answered(*answer, false, start + Duration::from_millis(*ms))).collect()
    }

    #[test]
    fn a_member_is_told_then_disconnected_then_closed() {
        use Answer::Accepted;
        assert_eq!(calls(&[(1, Accepted), (2, Accepted), (3, Accepted)]), [Next::GoOn, Next::GoOn, Next::Closed]);
    }

    #[test]
    fn a_member_that_takes_nothing_is_closed_when_the_time_for_courtesy_is_over() {
        use Answer::{Accepted, Refused};
        let answers = [(0, Refused), (400, Refused), (790, Refused), (791, Accepted)];
        assert_eq!(calls(&answers), [Next::Again, Next::Again, Next::GoOn, Next::Closed]);
    }

    #[test]
    fn a_close_that_fails_is_repeated_with_one_more_attempt_at_telling_why() {
        use Answer::{Accepted, Refused};
        let answers = [(790, Refused), (800, Refused), (2000, Accepted), (2001, Refused), (2002, Accepted)];
        assert_eq!(calls(&answers), [Next::GoOn, Next::NotClosed, Next::GoOn, Next::GoOn, Next::Closed]);
    }

    #[test]
    fn a_member_that_is_gone_is_closed_without_a_word_and_one_that_may_still_open_is_waited_for() {
        assert_eq!(calls(&[(0, Answer::Gone), (1, Answer::Gone)]), [Next::GoOn, Next::Closed]);
        let start = Instant::now();
        let mut kick = Kick::new(start);
        assert_eq!(kick.answered(Answer::Gone, true, start), Next::Again);
        kick.give_up();
        assert_eq!(kick.answered(Answer::Gone, true, start), Next::NotClosed);
    }
}
