//! A job being done: the connections it visits, read page by page, and how far it has come.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime},
};

use futures::{
    Stream,
    stream::{self, BoxStream, StreamExt as _},
};
use shared::{
    Error,
    connections::{Connection, ConnectionStore, Lease, Page, Silent},
    heartbeat::PARTS,
};

use crate::{
    due::{Due, YOUNG, due},
    plan::{Job, Pinged, Progress, Turn},
};

/// A job and how far it has come.
pub(crate) struct Work {
    pub(crate) job: Job,
    pub(crate) lease: Lease,
    /// The progress as it was when the job was begun.
    before: Progress,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    visited: u64,
    /// Parts of the job that did not come to their end, each with the connection after which it goes on.
    left: BTreeMap<Part, Option<String>>,
    error: Option<Error>,
}

/// A partition to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    /// The minute of what is due; otherwise 0.
    minute: i64,
    number: u8,
}

/// A connection to be visited, and the job it is visited for.
pub(crate) struct Visit<'a> {
    pub(crate) work: &'a Work,
    pub(crate) connection: Connection,
}

impl Visit<'_> {
    /// What the connection is due at this time, epoch seconds.
    pub(crate) fn due(&self, now: i64) -> Due {
        match &self.work.job {
            Job::Ping { before, .. } => due(&self.connection, true, before.as_ref(), now),
            Job::Check { pinged, .. } => due(&self.connection, false, Some(pinged), now),
            Job::Sweep { .. } => due(&self.connection, false, None, now),
        }
    }
}

/// Where the reading of a part is.
struct Reader {
    part: Part,
    /// The connection that was visited last.
    last: Option<String>,
    page: std::vec::IntoIter<Connection>,
    next: NextPage,
}

/// What is to be read when the page is at its end.
enum NextPage {
    /// The first one of the part.
    First,
    /// The one after this connection.
    After(String),
    /// None: this one is the last.
    None,
}

impl Work {
    pub(crate) fn new(job: Job, lease: Lease, before: Progress) -> Self {
        Self { job, lease, before, began: Instant::now(), state: Mutex::default() }
    }

    /// The partitions to be read, each as the stream of its connections, until that time.
    pub(crate) fn partitions<'a>(
        &'a self,
        store: &'a ConnectionStore,
        until: SystemTime,
    ) -> impl Iterator<Item = BoxStream<'a, Visit<'a>>> {
        let all = |minute| (0..PARTS).map(move |number| (Part { minute, number }, None));
        let parts: Vec<(Part, Option<String>)> = match &self.job {
            Job::Ping { turn: Turn { left, .. }, .. } => {
                let number = |number: &String| number.parse().ok();
                let part = |(name, after): (&String, &Option<String>)| Some((number(name)?, after.clone()));
                let left = left.iter().filter_map(part);
                left.map(|(number, after)| (Part { minute: 0, number }, after)).collect()
            }
            Job::Check { .. } => all(0).collect(),
            Job::Sweep { from, until } => (from.div_euclid(60)..=until.div_euclid(60)).flat_map(all).collect(),
        };
        self.state().left = parts.iter().cloned().collect();
        parts.into_iter().map(move |(part, after)| self.connections(store, part, after, until).boxed())
    }

    /// The connections of a partition. What is not read when the time is over, or cannot be read, is left for later.
    fn connections<'a>(
        &'a self,
        store: &'a ConnectionStore,
        part: Part,
        after: Option<String>,
        until: SystemTime,
    ) -> impl Stream<Item = Visit<'a>> {
        let next = after.clone().map_or(NextPage::First, NextPage::After);
        let reader = Reader { part, last: after, page: Vec::new().into_iter(), next };
        stream::unfold(reader, move |mut reader| async move {
            loop {
                if SystemTime::now() > until {
                    self.state().left.insert(reader.part, reader.last);
                    return None;
                }
                if let Some(connection) = reader.page.next() {
                    reader.last = Some(connection.connection_id.clone());
                    self.state().visited += 1;
                    return Some((Visit { work: self, connection }, reader));
                }
                let after = match &reader.next {
                    NextPage::First => None,
                    NextPage::After(connection_id) => Some(connection_id.as_str()),
                    NextPage::None => {
                        self.state().left.remove(&reader.part);
                        return None;
                    }
                };
                match self.page(store, reader.part, after).await {
                    Ok(Page { connections, next }) => {
                        reader.page = connections.into_iter();
                        reader.next = next.map_or(NextPage::None, NextPage::After);
                    }
                    Err(error) => {
                        let mut state = self.state();
                        state.left.insert(reader.part, reader.last);
                        state.error = Some(error);
                        return None;
                    }
                }
            }
        })
    }

    async fn page(&self, store: &ConnectionStore, part: Part, after: Option<&str>) -> Result<Page, Error> {
        let Part { minute, number } = part;
        match &self.job {
            Job::Ping { slot, .. } => store.page(*slot, number, after, None).await,
            Job::Check { slot, pinged } => {
                let silent = Silent { since: pinged.started, connected_before: pinged.started - YOUNG };
                store.page(*slot, number, after, Some(silent)).await
            }
            Job::Sweep { from, until } => store.due(minute, number, (*from, *until), after).await,
        }
    }

    /// What is known of the task now, and the error that stopped it, if one did. `now`: when the job was begun, epoch
    /// seconds.
    pub(crate) fn progress(&self, now: i64) -> (Progress, Option<Error>) {
        let mut state = self.state();
        let is_done = state.left.is_empty();
        let mut progress = self.before.clone();
        match &self.job {
            Job::Ping { turn, .. } => {
                let Turn { minute, started, visited, .. } = *turn;
                let visited = visited + state.visited;
                if is_done {
                    let took = i64::try_from(self.began.elapsed().as_secs()).unwrap_or_default();
                    let pinged = Some(Pinged { started, ended: now + took });
                    let minute = Some(minute);
                    // Of nobody no answer is owed.
                    let checked = visited == 0;
                    progress = Progress { minute, pinged, checked, connections: visited, ..Progress::default() };
                } else {
                    let left =
                        state.left.iter().map(|(part, after)| (part.number.to_string(), after.clone())).collect();
                    progress.interrupted = Some(Turn { minute, started, visited, left });
                }
            }
            // Begun anew by the next minute: who was closed is not found again.
            Job::Check { .. } => progress.checked = is_done,
            Job::Sweep { until, .. } if is_done => progress.swept = Some(*until),
            Job::Sweep { .. } => {}
        }
        (progress, state.error.take())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
