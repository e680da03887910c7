//! Carrying out a plan: every connection at its own pace, many at a time.

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

use aws_lambda_events::event::dynamodb::EventRecord;
use futures::{StreamExt as _, stream::FuturesUnordered};
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
pub const CONCURRENCY: usize = 128;

/// How often a connection is tried, each time with the client's own retries: a throttled account refuses some calls to
/// everybody, and that is no fault of a socket.
const ROUNDS: u32 = 3;

/// A connection and what it is still due.
type Remaining<'a> = (&'a str, &'a [Step]);

impl Broadcast {
    /// Delivers, and returns the first record that must be retried. What is not begun by `until` is left for the retry,
    /// which goes on from there: a room may be larger than the function's time.
    pub(crate) async fn deliver(
        &self,
        records: &[EventRecord],
        plan: BTreeMap<String, Vec<Step>>,
        until: SystemTime,
    ) -> Option<usize> {
        let plan = self.without_what_is_done(records, plan);
        let mut remaining: Vec<Remaining<'_>> =
            plan.iter().map(|(id, steps)| (id.as_str(), steps.as_slice())).collect();
        for _ in 0..ROUNDS {
            remaining = self.round(records, remaining, until).await;
            if remaining.is_empty() || SystemTime::now() > until {
                break;
            }
        }
        let late = SystemTime::now() > until;
        if late && !remaining.is_empty() {
            tracing::warn!(
                told = plan.len() - remaining.len(),
                left = remaining.len(),
                "out of time, going on in a retry"
            );
        }
        let undelivered = if late || remaining.len() * 2 > plan.len() {
            // Nobody's fault, or the gateway's if it refuses most. The event source tries again.
            remaining.iter().filter_map(|(_, steps)| Some(steps.first()?.record)).min()
        } else {
            self.drop_slow(records, &remaining).await
        };
        self.settle(records, &plan, undelivered, &remaining);
        undelivered
    }

    /// Serves connections, so many at a time; returns those that have something left. Begun one by one: all the calls to
    /// a large room would not fit into memory.
    async fn round<'a>(
        &self,
        records: &[EventRecord],
        remaining: Vec<Remaining<'a>>,
        until: SystemTime,
    ) -> Vec<Remaining<'a>> {
        let (mut calls, mut stuck) = (FuturesUnordered::new(), Vec::new());
        for (id, steps) in remaining {
            calls.push(self.serve(records, id, steps, until));
            if calls.len() == CONCURRENCY {
                stuck.extend(calls.next().await.flatten());
            }
        }
        stuck.extend(calls.filter_map(async |stuck| stuck).collect::<Vec<_>>().await);
        stuck
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

    /// Takes the steps of one connection, in order; returns what is left if the gateway refuses one in spite of retries,
    /// or if it is too late.
    async fn serve<'a>(
        &self,
        records: &[EventRecord],
        connection: &'a str,
        steps: &'a [Step],
        until: SystemTime,
    ) -> Option<Remaining<'a>> {
        for (index, step) in steps.iter().enumerate() {
            if SystemTime::now() > until {
                return Some((connection, &steps[index..]));
            }
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
        let stuck: HashMap<_, _> = stuck.iter().copied().collect();
        for (connection, steps) in plan {
            let left = stuck.get(connection.as_str()).and_then(|steps| steps.first());
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

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use axum::{Router, extract::Path, routing::post};
    use shared::config::Environment;

    use super::*;

    /// More than the gateway below takes in the time there is.
    const SOCKETS: usize = 4000;

    /// A gateway that takes its time, and what was posted to it.
    async fn gateway() -> (String, Arc<Mutex<Vec<String>>>) {
        let posted = Arc::<Mutex<Vec<String>>>::default();
        let note = Arc::clone(&posted);
        let take = async move |Path(id): Path<String>| {
            tokio::time::sleep(Duration::from_millis(50)).await;
            note.lock().unwrap().push(id);
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/dev/@connections/{id}", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (format!("http://{address}/dev"), posted)
    }

    #[tokio::test]
    async fn a_room_larger_than_the_time_is_told_in_several_attempts_and_nobody_twice() {
        let (endpoint, posted) = gateway().await;
        let broadcast = Broadcast::from_env(&Environment::from_iter(
            [
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "a"),
                ("AWS_SECRET_ACCESS_KEY", "b"),
                ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", &endpoint),
                ("CONNECTIONS_TABLE", "never asked"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ))
        .unwrap();
        let mut record = EventRecord::default();
        record.change.sequence_number = Some("1".to_owned());
        let records = [record];
        let step = Step { record: 0, action: Action::Post("42/users,[]".into()) };
        let plan: BTreeMap<_, _> = (0..SOCKETS).map(|id| (format!("{id:015}="), vec![step.clone()])).collect();

        let until = SystemTime::now() + Duration::from_secs(1);
        assert_eq!(broadcast.deliver(&records, plan.clone(), until).await, Some(0));
        let told = posted.lock().unwrap().len();
        assert!((1..SOCKETS).contains(&told), "{told} were told in time");

        let until = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(broadcast.deliver(&records, plan.clone(), until).await, None);
        let mut posted = posted.lock().unwrap().clone();
        posted.sort();
        assert_eq!(posted, plan.into_keys().collect::<Vec<_>>());
    }
}
