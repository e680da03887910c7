//! Events of type `Schedule`: a function and a rate.

use serde::Deserialize;
use serde_json::Value;

use super::{TemplateError, resource::Resource};

/// A declared schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Logical id of the function it invokes.
    pub function: String,
    /// How often.
    pub seconds: u64,
    /// Whether the schedule runs at all.
    pub enabled: bool,
    /// What the function is given instead of the event of the clock.
    pub input: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    schedule: String,
    enabled: Option<bool>,
    state: Option<State>,
    input: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum State {
    Enabled,
    Disabled,
}

/// What is read, and what has no effect here: a schedule is not retried, the next time comes anyway.
const KNOWN: [&str; 9] =
    ["Schedule", "Enabled", "State", "Input", "Description", "Name", "RetryPolicy", "DeadLetterConfig", "RoleArn"];

impl Schedule {
    pub(super) fn read(function: &Resource<'_>, event: &str, properties: &Value) -> Result<Self, TemplateError> {
        let place = format!("Events.{event}.Properties");
        function.only(properties, &place, &KNOWN)?;
        let Properties { schedule, enabled, state, input } = function.typed(properties, &place)?;
        let seconds = seconds(&schedule).ok_or_else(|| {
            let problem = format!("`{schedule}` cannot be run here; write a rate such as `rate(1 minute)`");
            function.error(format!("{place}.Schedule"), problem)
        })?;
        let input = input.map(|input| {
            serde_json::from_str(&input)
                .map_err(|error| function.error(format!("{place}.Input"), format!("is not valid JSON: {error}")))
        });
        Ok(Self {
            function: function.logical_id.to_owned(),
            seconds,
            enabled: state.map_or(enabled.unwrap_or(true), |state| state == State::Enabled),
            input: input.transpose()?,
        })
    }
}

/// The seconds of an expression such as `rate(5 minutes)`.
fn seconds(expression: &str) -> Option<u64> {
    let (number, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let unit = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 60 * 60,
        "day" => 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok().filter(|number| *number > 0).map(|number| number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_other_expressions_refused() {
        assert_eq!(seconds("rate(1 minute)"), Some(60));
        assert_eq!(seconds("rate(2 hours)"), Some(7200));
        for expression in ["cron(0 12 * * ? *)", "rate(0 minutes)", "rate(1 week)", "every minute"] {
            assert_eq!(seconds(expression), None, "{expression}");
        }
    }

    #[test]
    fn a_disabled_schedule_does_not_run_and_an_input_is_kept() {
        let schedules = |properties: &str| {
            let text = format!(
                "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: ../functions/f\n      \
                 Events: {{ E: {{ Type: Schedule, Properties: {{ Schedule: rate(1 minute), {properties} }} }} }}"
            );
            super::super::Template::parse(&text).unwrap().schedules().cloned().collect::<Vec<_>>()
        };
        for disabled in ["Enabled: false", "State: DISABLED", "Enabled: true, State: DISABLED"] {
            assert_eq!(schedules(disabled), [], "{disabled}");
        }
        assert_eq!(schedules("State: ENABLED, Input: '[1]'")[0].input, Some(serde_json::json!([1])));
    }
}
