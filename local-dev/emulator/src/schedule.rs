//! EventBridge's clock: invokes functions at the rates the template declares.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, interval_at},
};
use uuid::Uuid;

use crate::{
    REGION, event,
    functions::{FunctionError, Functions},
    template::Schedule,
};

/// All schedules, running until dropped.
pub(crate) struct Schedules {
    functions: Functions,
    declared: Vec<Schedule>,
    _clocks: JoinSet<()>,
}

impl Schedules {
    /// The first time is one period from now.
    pub(crate) fn start(functions: Functions, declared: Vec<Schedule>) -> Self {
        let mut clocks = JoinSet::new();
        for schedule in declared.clone() {
            let functions = functions.clone();
            clocks.spawn(async move {
                let period = Duration::from_secs(schedule.seconds);
                let mut clock = interval_at(Instant::now() + period, period);
                loop {
                    clock.tick().await;
                    // The next period comes anyway; Lambda would retry twice, which is no help to a heartbeat.
                    let _ = functions.run(&schedule.function, event_of(&schedule, Timestamp::now())).await;
                }
            });
        }
        Self { functions, declared, _clocks: clocks }
    }

    /// Runs everything once, as if it were that time.
    pub(crate) async fn tick(&self, at: Timestamp) -> Result<(), FunctionError> {
        for schedule in &self.declared {
            self.functions.run(&schedule.function, event_of(schedule, at)).await?;
        }
        Ok(())
    }
}

/// What the template gives a schedule as its input, or the event of the clock.
fn event_of(schedule: &Schedule, at: Timestamp) -> Value {
    schedule.input.clone().unwrap_or_else(|| scheduled(at))
}

/// The event of a schedule. Its time is that of the minute it is for.
fn scheduled(at: Timestamp) -> Value {
    json!({
        "version": "0",
        "id": Uuid::new_v4(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": event::ACCOUNT,
        "time": format!("{at:.0}"),
        "region": REGION,
        "resources": [format!("arn:aws:events:{REGION}:{}:rule/schedule", event::ACCOUNT)],
        "detail": {},
    })
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::event::eventbridge::EventBridgeEvent;

    use super::*;

    #[test]
    fn an_input_takes_the_place_of_the_event() {
        let mut schedule = Schedule { function: "F".into(), seconds: 60, enabled: true, input: None };
        assert_eq!(event_of(&schedule, Timestamp::now())["source"], "aws.events");
        schedule.input = Some(json!({"n": 1}));
        assert_eq!(event_of(&schedule, Timestamp::now()), json!({"n": 1}));
    }

    #[test]
    fn a_scheduled_event_is_what_functions_expect() {
        let at = Timestamp::from_second(1_739_125_407).unwrap();
        let event: EventBridgeEvent<Value> = serde_json::from_value(scheduled(at)).unwrap();
        assert_eq!(event.time.unwrap().timestamp(), 1_739_125_407);
        assert_eq!((event.detail_type.as_str(), event.source.as_str()), ("Scheduled Event", "aws.events"));
    }
}
