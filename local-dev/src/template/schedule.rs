//! Events of type `Schedule`: a function and a rate.

use serde::Deserialize;
use serde_json::Value;

use super::TemplateError;

/// A declared schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Logical id of the function it invokes.
    pub(crate) function: String,
    /// How often.
    pub(crate) seconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    schedule: String,
}

impl Schedule {
    pub(super) fn read(function: &str, event: &str, properties: &Value) -> Result<Self, TemplateError> {
        let wrong =
            |problem: String| TemplateError::property(function, format!("Events.{event}.Properties.Schedule"), problem);
        let properties: Properties =
            serde_json::from_value(properties.clone()).map_err(|error| wrong(error.to_string()))?;
        let seconds = seconds(&properties.schedule).ok_or_else(|| {
            wrong(format!("`{}` cannot be run here; write a rate such as `rate(1 minute)`", properties.schedule))
        })?;
        Ok(Self { function: function.to_owned(), seconds })
    }
}

/// Of `rate(5 minutes)`.
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
    fn the_heartbeat_runs_every_minute() {
        let template = super::super::Template::parse(include_str!("../../../infra/template.yaml")).unwrap();
        let schedules: Vec<_> = template.schedules().cloned().collect();
        assert_eq!(schedules, [Schedule { function: "HeartbeatFunction".to_owned(), seconds: 60 }]);
    }
}
