//! Carrying out a plan: every connection at its own pace, many at a time.

use std::collections::BTreeMap;

use aws_lambda_events::event::dynamodb::EventRecord;
use futures::{FutureExt as _, StreamExt as _, stream};
use shared::{
    gateway::{GatewayError, Outcome},
    request,
};

use crate::{
    Broadcast,
    ledger::Ledger,
    plan::{Action, Step},
};

/// Connections served at the same time. A call to API Gateway takes some milliseconds, nearly all of it waiting.
const CONCURRENCY: usize = 128;

/// How often a connection is tried, each time with the client's own retries: a throttled account refuses some calls to
/// everybody, and that is no fault of a socket.
const ROUNDS: u32 = 3;

/// A connection and what it is still due.
type Remaining<'a> = (&'a str, &'a [Step]);

impl Broadcast {
    /// Delivers, and returns the first record that must be retried.
    pub(crate) async fn deliver(&self, records: &[EventRecord], plan: BTreeMap<String, Vec<Step>>) -> Option<usize> {
        let plan = self.without_what_is_done(records, plan);
        let mut remaining: Vec<Remaining<'_>> =
            plan.iter().map(|(id, steps)| (id.as_str(), steps.as_slice())).collect();
        for _ in 0..ROUNDS {
            let calls: Vec<_> =
                remaining.into_iter().map(|(id, steps)| self.serve(records, id, steps).boxed()).collect();
            let stuck = stream::iter(calls).buffer_unordered(CONCURRENCY).filter_map(async |stuck| stuck);
            remaining = stuck.collect().await;
            if remaining.is_empty() {
                break;
            }
        }
        let undelivered = if remaining.len() * 2 > plan.len() {
            // The gateway refuses most: it is the gateway. The event source tries again.
            remaining.iter().filter_map(|(_, steps)| Some(steps.first()?.record)).min()
        } else {
            self.drop_slow(records, &remaining).await
        };
        self.settle(records, &plan, undelivered, &remaining);
        undelivered
    }

    /// A few sockets that do not take what all others take are slow or broken. Retrying for them would hold up the
    /// rest (rule 6), skipping events would leave them wrong without their knowing. So they are closed: the client
    /// reconnects by itself and loads the current state.
    async fn drop_slow(&self, records: &[EventRecord], stuck: &[Remaining<'_>]) -> Option<usize> {
        let mut undelivered = None;
        for (connection, steps) in stuck {
            let request_id = steps.first().and_then(|step| request::of_record(records.get(step.record)?));
            match self.gateway.close(connection).await {
                Ok(_) => {
                    tracing::warn!(request_id, connection, "closed a socket that takes no frames");
                    self.forget(connection).await;
                }
                Err(error) => {
                    tracing::warn!(request_id, connection, %error, "could not close a socket that takes no frames");
                    undelivered = undelivered.into_iter().chain(steps.first().map(|step| step.record)).min();
                }
            }
        }
        undelivered
    }

    /// Takes the steps of one connection, in order; returns what is left if the gateway refuses one in spite of retries.
    async fn serve<'a>(
        &self,
        records: &[EventRecord],
        connection: &'a str,
        steps: &'a [Step],
    ) -> Option<Remaining<'a>> {
        for (index, step) in steps.iter().enumerate() {
            let request_id = records.get(step.record).and_then(request::of_record);
            match self.take(connection, &step.action).await {
                Ok(Outcome::Accepted) if step.action != Action::Close => {
                    tracing::debug!(request_id, connection, "posted a frame");
                }
                // Thrown out, or gone by itself: it has joined, so it was open, and a 410 is the end of it and not a
                // late beginning (rule 5).
                Ok(Outcome::Accepted | Outcome::Gone) => {
                    self.forget(connection).await;
                    return None;
                }
                Err(error) => {
                    tracing::warn!(request_id, connection, %error, "a step failed");
                    return Some((connection, &steps[index..]));
                }
            }
        }
        None
    }

    async fn take(&self, connection: &str, action: &Action) -> Result<Outcome, GatewayError> {
        match action {
            Action::Post(frame) => self.gateway.post(connection, frame).await,
            Action::Close => self.gateway.close(connection).await,
        }
    }

    /// Rows that could not be removed now are found again by the next post or by the heartbeat.
    async fn forget(&self, connection: &str) {
        if let Err(error) = self.connections.forget(connection).await {
            error.log();
        }
    }

    fn without_what_is_done(
        &self,
        records: &[EventRecord],
        mut plan: BTreeMap<String, Vec<Step>>,
    ) -> BTreeMap<String, Vec<Step>> {
        let ledger = self.ledger();
        if !ledger.is_empty() {
            for (connection, steps) in &mut plan {
                steps.retain(|step| !ledger.has(sequence_number(records, step.record), connection));
            }
            plan.retain(|_, steps| !steps.is_empty());
        }
        plan
    }

    /// Notes what comes again but is done, and forgets what does not come again.
    fn settle(
        &self,
        records: &[EventRecord],
        plan: &BTreeMap<String, Vec<Step>>,
        undelivered: Option<usize>,
        stuck: &[Remaining<'_>],
    ) {
        let mut ledger = self.ledger();
        let first_again = undelivered.unwrap_or(records.len());
        if !ledger.is_empty() {
            for record in 0..first_again {
                ledger.settle(sequence_number(records, record));
            }
        }
        if undelivered.is_none() {
            return;
        }
        for (connection, steps) in plan {
            let left = stuck.iter().find(|(name, _)| name == connection).and_then(|(_, steps)| steps.first());
            let end = left.map_or(records.len(), |step| step.record);
            for step in steps.iter().filter(|step| (first_again..end).contains(&step.record)) {
                ledger.note(sequence_number(records, step.record), connection);
            }
        }
    }

    /// A ledger somebody panicked over is still a ledger: at worst an event is sent twice.
    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn sequence_number(records: &[EventRecord], record: usize) -> &str {
    records.get(record).and_then(|record| record.change.sequence_number.as_deref()).unwrap_or_default()
}
