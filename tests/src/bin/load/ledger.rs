//! Who heard of what, and when. Times are taken by those who note them; this only counts.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// Everything noted during a run.
pub(crate) struct Ledger {
    state: Mutex<State>,
    /// How many mutations every socket has heard of.
    complete: watch::Sender<usize>,
}

struct State {
    users: usize,
    mutations: Vec<Mutation>,
    sockets: Vec<Socket>,
    doubled: usize,
    reordered: usize,
    lost: Vec<String>,
}

/// What is known of one rename. A median needs no list of times: the arrival in the middle is the median.
#[derive(Clone, Copy, Default)]
struct Mutation {
    sent: Option<Instant>,
    answered: Option<Instant>,
    arrivals: usize,
    first: Option<Instant>,
    median: Option<Instant>,
    last: Option<Instant>,
}

/// What one socket has heard.
struct Socket {
    heard: Vec<bool>,
    /// The newest mutation per user; the order counts within a user only.
    newest: Vec<Option<usize>>,
}

/// How long after its request a mutation got somewhere.
pub(crate) struct Delays {
    /// Until the one who asked had the answer.
    pub(crate) response: Option<Duration>,
    /// Until the first, middle and last of all sockets heard of it.
    pub(crate) sockets: Option<[Duration; 3]>,
}

/// What the run comes to.
pub(crate) struct Tally {
    /// The delays of every mutation that was sent.
    pub(crate) delays: Vec<Delays>,
    /// Time from the first request to the last thing heard.
    pub(crate) span: Duration,
    /// Deliveries there should be.
    pub(crate) expected: usize,
    /// Deliveries, each counted once.
    pub(crate) received: usize,
    /// Deliveries of something the socket had heard already.
    pub(crate) doubled: usize,
    /// Deliveries after a newer one of the same user.
    pub(crate) reordered: usize,
    /// Why sockets ended before the run did.
    pub(crate) lost: Vec<String>,
}

impl Ledger {
    /// An empty one. Mutation `m` is about user `m` modulo `users`.
    pub(crate) fn new(sockets: usize, mutations: usize, users: usize) -> Self {
        let sockets = (0..sockets).map(|_| Socket { heard: vec![false; mutations], newest: vec![None; users] });
        let state = State {
            users,
            mutations: vec![Mutation::default(); mutations],
            sockets: sockets.collect(),
            doubled: 0,
            reordered: 0,
            lost: vec![],
        };
        Self { state: Mutex::new(state), complete: watch::Sender::new(0) }
    }

    /// The request is about to go out.
    pub(crate) fn sent(&self, mutation: usize) {
        self.state().mutations[mutation].sent = Some(Instant::now());
    }

    /// The response is here.
    pub(crate) fn answered(&self, mutation: usize) {
        self.state().mutations[mutation].answered = Some(Instant::now());
    }

    /// A socket heard of it. Numbers of nobody's are ignored.
    pub(crate) fn heard(&self, socket: usize, mutation: usize, at: Instant) {
        if self.state().heard(socket, mutation, at) {
            self.complete.send_modify(|count| *count += 1);
        }
    }

    /// A socket ended.
    pub(crate) fn lost(&self, why: &str) {
        self.state().lost.push(why.to_owned());
    }

    /// Waits until so many mutations have reached every socket.
    pub(crate) async fn heard_by_all(&self, mutations: usize) {
        // The sender is ours, so this only ends by the count.
        let _ = self.complete.subscribe().wait_for(|count| *count >= mutations).await;
    }

    /// Adds it all up.
    pub(crate) fn tally(&self) -> Tally {
        let state = self.state();
        let sent: Vec<_> = state.mutations.iter().filter_map(|mutation| Some((mutation.sent?, mutation))).collect();
        let since = |sent: Instant, then: Option<Instant>| then.map(|then| then.duration_since(sent));
        let delays = sent.iter().map(|(sent, mutation)| Delays {
            response: since(*sent, mutation.answered),
            sockets: since(*sent, mutation.first)
                .zip(since(*sent, mutation.median))
                .zip(since(*sent, mutation.last))
                .map(|((first, median), last)| [first, median, last]),
        });
        let begin = sent.iter().map(|(sent, _)| *sent).min();
        let end = sent.iter().filter_map(|(_, mutation)| mutation.last.max(mutation.answered)).max();
        Tally {
            delays: delays.collect(),
            span: begin.zip(end).map_or(Duration::ZERO, |(begin, end)| end.duration_since(begin)),
            expected: sent.len() * state.sockets.len(),
            received: sent.iter().map(|(_, mutation)| mutation.arrivals).sum(),
            doubled: state.doubled,
            reordered: state.reordered,
            lost: state.lost.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether this made the mutation known to all.
    fn heard(&mut self, socket: usize, mutation: usize, at: Instant) -> bool {
        let all = self.sockets.len();
        let (Some(listener), Some(entry)) = (self.sockets.get_mut(socket), self.mutations.get_mut(mutation)) else {
            return false;
        };
        if std::mem::replace(&mut listener.heard[mutation], true) {
            self.doubled += 1;
            return false;
        }
        let newest = &mut listener.newest[mutation % self.users];
        if newest.is_some_and(|newest| newest > mutation) {
            self.reordered += 1;
        } else {
            *newest = Some(mutation);
        }
        entry.arrivals += 1;
        if entry.arrivals == 1 {
            entry.first = Some(at);
        }
        if entry.arrivals == all.div_ceil(2) {
            entry.median = Some(at);
        }
        if entry.arrivals == all {
            entry.last = Some(at);
        }
        entry.arrivals == all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(heard: &[(usize, usize)]) -> Tally {
        let ledger = Ledger::new(3, 4, 2);
        (0..4).for_each(|mutation| ledger.sent(mutation));
        heard.iter().for_each(|(socket, mutation)| ledger.heard(*socket, *mutation, Instant::now()));
        ledger.tally()
    }

    #[test]
    fn only_what_every_socket_heard_has_a_last_socket() {
        let tally = run(&[(0, 0), (1, 0), (2, 0), (0, 1)]);
        assert_eq!((tally.expected, tally.received, tally.doubled, tally.reordered), (12, 4, 0, 0));
        assert_eq!(tally.delays.iter().filter(|delays| delays.sockets.is_some()).count(), 1);
    }

    #[test]
    fn hearing_again_is_doubled_and_not_received() {
        let tally = run(&[(0, 0), (0, 0), (0, 9)]);
        assert_eq!((tally.received, tally.doubled, tally.reordered), (1, 1, 0));
    }

    #[test]
    fn order_counts_within_a_user() {
        assert_eq!(run(&[(0, 1), (0, 0), (0, 2), (0, 3)]).reordered, 0);
        assert_eq!(run(&[(0, 2), (1, 0), (0, 0)]).reordered, 1);
    }
}
