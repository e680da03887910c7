//! Asynchronous invocations: accepted at once, tried again after a pause, given up after some attempts or at some age.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::complaint;
use crate::{
    event_source::{DeadLetter, DeadLetters},
    faults::Faults,
    functions::{self, FunctionError, Functions},
    template::{self, Function},
};

/// How long an event waits that there was no room for; twice as long each time.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5 * 60);

/// How long an event is held back by `--fault reorder`: long enough for others to overtake it.
const HELD_BACK: Duration = Duration::from_millis(100);

/// Lambda's queue of events, with the settings of every function.
#[derive(Clone)]
pub(crate) struct Asynchronous {
    functions: Functions,
    settings: Arc<HashMap<String, template::Asynchronous>>,
    faults: Arc<Faults>,
    /// The pause until the second attempt; it is twice as long until the third.
    pause: Duration,
    dead_letters: DeadLetters,
    /// Ends with the last clone.
    running: Arc<Mutex<JoinSet<()>>>,
}

/// An accepted event on its way.
struct Event {
    id: Uuid,
    function: String,
    event: Value,
    settings: template::Asynchronous,
}

impl Asynchronous {
    pub(crate) fn new(functions: Functions, declared: &[Function], faults: &Arc<Faults>, pause: Duration) -> Self {
        let settings = declared.iter().map(|function| (function.logical_id.clone(), function.asynchronous.clone()));
        Self {
            functions,
            settings: Arc::new(settings.collect()),
            faults: Arc::clone(faults),
            pause,
            dead_letters: DeadLetters::default(),
            running: Arc::default(),
        }
    }

    /// Keeps the events that are given up beside those that others gave up.
    pub(crate) fn keeping_in(self, dead_letters: DeadLetters) -> Self {
        Self { dead_letters, ..self }
    }

    /// The functions, for those who wait for an answer.
    pub(super) fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Takes an event, which is all that its sender is told. It is delivered at least once, in no order.
    pub(super) fn accept(&self, id: Uuid, function: &str, event: Value) {
        let Some(settings) = self.settings.get(function).cloned() else { return };
        let event = Event { id, function: function.to_owned(), event, settings };
        let delivery = Delivery {
            functions: self.functions.clone(),
            faults: Arc::clone(&self.faults),
            pause: self.pause,
            dead_letters: self.dead_letters.clone(),
        };
        let mut running = self.running();
        while running.try_join_next().is_some() {}
        running.spawn(async move { delivery.deliver(event).await });
    }

    /// Ends all deliveries; what was not delivered is lost.
    pub(crate) async fn stop(&self) {
        let mut running = std::mem::take(&mut *self.running());
        running.shutdown().await;
    }

    fn running(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a delivery needs; not the set of deliveries, which would keep itself alive.
struct Delivery {
    functions: Functions,
    faults: Arc<Faults>,
    pause: Duration,
    dead_letters: DeadLetters,
}

impl Delivery {
    async fn deliver(&self, event: Event) {
        let Event { id, function, event: payload, settings } = &event;
        if self.faults.reorders() {
            sleep(HELD_BACK).await;
        }
        if self.faults.duplicates() {
            let _ = self.functions.invoke_as(*id, function, payload.clone()).await;
        }
        let run = || self.functions.invoke_as(*id, function, payload.clone());
        if let Err(given_up) = attempts(settings, self.pause, run).await {
            self.give_up(&event, &given_up);
        }
    }

    /// The message that AWS sends to the destination, with the whole event in it.
    fn give_up(&self, event: &Event, given_up: &GivenUp) {
        let Event { id, function, event, settings } = event;
        let GivenUp { condition, attempts, error } = given_up;
        tracing::warn!(function, condition, attempts, "an asynchronous invocation is given up");
        self.dead_letters.keep(DeadLetter {
            function: function.clone(),
            destination: settings.on_failure.clone(),
            body: json!({
                "version": "1.0",
                "timestamp": format!("{:.3}", Timestamp::now()),
                "requestContext": {
                    "requestId": id,
                    "functionArn": format!("{}:$LATEST", functions::arn(function)),
                    "condition": condition,
                    "approximateInvokeCount": attempts,
                },
                "requestPayload": event,
                "responseContext": {
                    "statusCode": 200,
                    "executedVersion": "$LATEST",
                    "functionError": "Unhandled",
                },
                "responsePayload": complaint(*id, error),
            }),
        });
    }
}

/// Why an event is not tried again.
#[derive(Debug)]
struct GivenUp {
    condition: &'static str,
    attempts: u32,
    /// The error of the last attempt.
    error: FunctionError,
}

/// Runs something until it succeeds, as often and as long as the settings allow. For an attempt that there was no room for
/// only the time counts.
async fn attempts<Attempt>(
    settings: &template::Asynchronous,
    pause: Duration,
    run: impl Fn() -> Attempt,
) -> Result<(), GivenUp>
where
    Attempt: Future<Output = Result<Value, FunctionError>>,
{
    let (accepted, mut attempts, mut backoff) = (Instant::now(), 0, FIRST_BACKOFF);
    loop {
        let Err(error) = run().await else { return Ok(()) };
        if matches!(error, FunctionError::Throttled { .. }) {
            sleep(backoff).await;
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        } else {
            attempts += 1;
            if attempts > settings.maximum_retry_attempts {
                return Err(GivenUp { condition: "RetriesExhausted", attempts, error });
            }
            sleep(pause * attempts).await;
        }
        if accepted.elapsed() > Duration::from_secs(settings.maximum_event_age) {
            return Err(GivenUp { condition: "EventAgeExceeded", attempts, error });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// When something was run that fails so often, in seconds, and how it ended.
    async fn run(failures: usize, retries: u32, age: u64) -> (Vec<u64>, Result<(), (&'static str, u32)>) {
        let settings =
            template::Asynchronous { maximum_retry_attempts: retries, maximum_event_age: age, on_failure: None };
        let (started, runs) = (Instant::now(), RefCell::default());
        let attempt = || {
            let mut runs: std::cell::RefMut<'_, Vec<u64>> = runs.borrow_mut();
            runs.push(started.elapsed().as_secs());
            let failed = FunctionError::TimedOut { function: "F".to_owned(), limit: MINUTE };
            std::future::ready(if runs.len() > failures { Ok(Value::Null) } else { Err(failed) })
        };
        let outcome = attempts(&settings, MINUTE, attempt).await;
        (runs.into_inner(), outcome.map_err(|GivenUp { condition, attempts, .. }| (condition, attempts)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_event_is_tried_again_after_one_and_after_two_more_minutes() {
        assert_eq!(run(0, 2, 21_600).await, (vec![0], Ok(())));
        assert_eq!(run(2, 2, 21_600).await, (vec![0, 60, 180], Ok(())));
        assert_eq!(run(3, 2, 21_600).await, (vec![0, 60, 180], Err(("RetriesExhausted", 3))));
        assert_eq!(run(3, 0, 21_600).await, (vec![0], Err(("RetriesExhausted", 1))));
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_there_was_no_room_for_is_tried_until_it_is_too_old() {
        let settings = template::Asynchronous { maximum_retry_attempts: 0, maximum_event_age: 60, on_failure: None };
        let (started, left) = (Instant::now(), std::cell::Cell::new(3));
        let throttled = || FunctionError::Throttled { function: "F".to_owned() };
        let attempt = || {
            left.set(left.get() - 1);
            std::future::ready(if left.get() < 0 { Ok(Value::Null) } else { Err(throttled()) })
        };
        assert!(attempts(&settings, MINUTE, attempt).await.is_ok());
        assert_eq!(started.elapsed().as_secs(), 1 + 2 + 4);
        let given_up = attempts(&settings, MINUTE, || std::future::ready(Err(throttled()))).await.unwrap_err();
        assert_eq!((given_up.condition, given_up.attempts), ("EventAgeExceeded", 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_has_become_too_old_is_not_tried_again() {
        assert_eq!(run(3, 2, 100).await, (vec![0, 60], Err(("EventAgeExceeded", 2))));
    }
}
