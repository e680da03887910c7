//! Carrying out a plan: every connection at its own pace, many at a time.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime},
};

use aws_lambda_events::event::dynamodb::EventRecord;
use futures::{
    FutureExt as _, StreamExt as _,
    stream::{self, FuturesUnordered},
};
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

/// Pause before the second round; the third comes after twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// So many sockets that take nothing are slow by themselves, and so are a tenth of all; if more take nothing, it is the
/// gateway.
const FEW: usize = 8;

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
        for round in 0..ROUNDS {
            if round > 0 {
                tokio::time::sleep(PAUSE * round).await;
            }
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
        if !late && remaining.len() <= FEW.max(plan.len() / 10) {
            remaining = self.drop_slow(records, remaining, until).await;
        }
        // Nobody's fault, or the gateway's. The event source tries again.
        let undelivered = remaining.iter().filter_map(|(_, steps)| Some(steps.first()?.record)).min();
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
    /// reconnects by itself and loads the current state. Returns those that could not be closed.
    async fn drop_slow<'a>(
        &self,
        records: &[EventRecord],
        slow: Vec<Remaining<'a>>,
        until: SystemTime,
    ) -> Vec<Remaining<'a>> {
        let close = async |remaining: Remaining<'a>| {
            let (connection, steps) = remaining;
            if SystemTime::now() > until {
                return Some(remaining);
            }
            let request_id = steps.first().and_then(|step| request::of_record(records.get(step.record)?));
            match self.gateway.close(connection).await {
                Ok(_) => {
                    tracing::warn!(request_id, connection, "closed a socket that takes no frames");
                    self.forget(connection).await;
                    None
                }
                Err(error) => {
                    tracing::warn!(request_id, connection, %error, "could not close a socket that takes no frames");
                    Some(remaining)
                }
            }
        };
        let closing: Vec<_> = slow.into_iter().map(|remaining| close(remaining).boxed()).collect();
        stream::iter(closing).buffer_unordered(CONCURRENCY).filter_map(async |left| left).collect().await
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
    use std::sync::{Arc, Mutex};

    use aws_lambda_events::event::dynamodb::Event;
    use axum::{
        Router,
        extract::Path,
        http::StatusCode,
        routing::{delete, post},
    };
    use lambda_runtime::{Context, LambdaEvent};
    use shared::config::Environment;

    use super::*;

    /// More than the gateway below takes in the time there is.
    const SOCKETS: usize = 4000;

    /// The connection ids a stand-in was called with.
    type Called = Arc<Mutex<Vec<String>>>;

    /// Serves a stand-in of the gateway; it answers everything else, and so the database, with 404.
    async fn serve(router: Router) -> Broadcast {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let gateway = format!("{endpoint}/dev");
        let variables = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", &gateway),
            ("AWS_ENDPOINT_URL_DYNAMODB", &endpoint),
            ("CONNECTIONS_TABLE", "none"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Broadcast::from_env(&Environment::from_iter(variables)).unwrap()
    }

    /// A gateway that takes its time, and what was posted to it.
    async fn with_a_leisurely_gateway() -> (Broadcast, Called) {
        let posted = Called::default();
        let note = Arc::clone(&posted);
        let take = async move |Path(id): Path<String>| {
            tokio::time::sleep(Duration::from_millis(50)).await;
            note.lock().unwrap().push(id);
        };
        (serve(Router::new().route("/dev/@connections/{id}", post(take))).await, posted)
    }

    /// A gateway that refuses every post and closes what it is told to; and what it closed.
    async fn with_a_gateway_that_takes_nothing() -> (Broadcast, Called) {
        let closed = Called::default();
        let note = Arc::clone(&closed);
        let refuse = async || StatusCode::TOO_MANY_REQUESTS;
        let close = async move |Path(id): Path<String>| {
            note.lock().unwrap().push(id);
            StatusCode::NO_CONTENT
        };
        let router = Router::new().route("/dev/@connections/{id}", post(refuse).merge(delete(close)));
        (serve(router).await, closed)
    }

    fn records() -> [EventRecord; 1] {
        let mut record = EventRecord::default();
        record.change.sequence_number = Some("1".to_owned());
        [record]
    }

    fn plan(sockets: usize) -> BTreeMap<String, Vec<Step>> {
        let step = Step { record: 0, action: Action::Post("42/users,[]".into()) };
        (0..sockets).map(|id| (format!("{id:015}="), vec![step.clone()])).collect()
    }

    fn in_a_minute() -> SystemTime {
        SystemTime::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_few_sockets_that_take_nothing_are_closed_and_hold_up_nobody() {
        let (broadcast, closed) = with_a_gateway_that_takes_nothing().await;
        assert_eq!(broadcast.deliver(&records(), plan(1), in_a_minute()).await, None);
        assert_eq!(closed.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_gateway_that_takes_nothing_is_tried_again_and_closes_nobody() {
        let (broadcast, closed) = with_a_gateway_that_takes_nothing().await;
        assert_eq!(broadcast.deliver(&records(), plan(FEW + 1), in_a_minute()).await, Some(0));
        assert_eq!(*closed.lock().unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn a_room_that_cannot_be_read_is_a_record_to_retry_and_not_a_failed_batch() {
        let broadcast = serve(Router::new()).await;
        let event: Event = serde_json::from_str(include_str!("../../../tests/fixtures/events/broadcast.json")).unwrap();
        let first = event.records[0].change.sequence_number.clone();
        let Ok(answer) = broadcast.handle(LambdaEvent::new(event, Context::default())).await;
        let failed: Vec<_> = answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
        assert_eq!(failed, [first]);
    }

    #[tokio::test]
    async fn a_room_larger_than_the_time_is_told_in_several_attempts_and_nobody_twice() {
        let (broadcast, posted) = with_a_leisurely_gateway().await;
        let (records, plan) = (records(), plan(SOCKETS));

        let until = SystemTime::now() + Duration::from_secs(1);
        assert_eq!(broadcast.deliver(&records, plan.clone(), until).await, Some(0));
        let told = posted.lock().unwrap().len();
        assert!((1..SOCKETS).contains(&told), "{told} were told in time");

        assert_eq!(broadcast.deliver(&records, plan.clone(), in_a_minute()).await, None);
        let mut posted = posted.lock().unwrap().clone();
        posted.sort();
        assert_eq!(posted, plan.into_keys().collect::<Vec<_>>());
    }
}
