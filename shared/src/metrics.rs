//! CloudWatch metrics, as lines of the log in the embedded metric format: no call, no permission, no waiting.
//!
//! Only on Lambda: elsewhere nobody would turn the lines into metrics, and they would litter a terminal.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::config::Environment;

/// The format takes at most this many values of one metric in a line.
const MAX_VALUES: usize = 100;

/// A unit of CloudWatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// So many of something.
    Count,
    /// A time.
    Milliseconds,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// Where a function's metrics go.
#[derive(Debug, Clone)]
pub struct Metrics {
    namespace: Option<String>,
}

impl Metrics {
    /// Into the namespace `METRICS_NAMESPACE`, on Lambda; nowhere otherwise.
    #[must_use]
    pub fn from_env(env: &Environment) -> Self {
        // A reserved variable that Lambda sets, and nobody else can.
        let on_lambda = env.optional("AWS_LAMBDA_FUNCTION_NAME").is_some();
        let namespace = env.optional("METRICS_NAMESPACE").filter(|_| on_lambda);
        Self { namespace: namespace.map(str::to_owned) }
    }

    /// Reports these values. A metric without values is left out.
    pub fn report(&self, metrics: &[(&str, Unit, &[f64])]) {
        let Some(namespace) = &self.namespace else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        if let Some(line) = line(namespace, u64::try_from(now).unwrap_or_default(), metrics) {
            // The format is defined for standard output, one line each.
            println!("{line}");
        }
    }
}

fn line(namespace: &str, timestamp: u64, metrics: &[(&str, Unit, &[f64])]) -> Option<Value> {
    let reported = metrics.iter().filter(|(_, _, values)| !values.is_empty());
    let definitions: Vec<_> =
        reported.clone().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit.as_str() })).collect();
    if definitions.is_empty() {
        return None;
    }
    let mut line = Map::new();
    let directive = json!({ "Namespace": namespace, "Dimensions": [[]], "Metrics": definitions });
    line.insert("_aws".to_owned(), json!({ "Timestamp": timestamp, "CloudWatchMetrics": [directive] }));
    for (name, _, values) in reported {
        line.insert((*name).to_owned(), json!(&values[..values.len().min(MAX_VALUES)]));
    }
    Some(Value::Object(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let line = line("stack", 1, &[("Deliveries", Unit::Count, &[3.0]), ("Latency", Unit::Milliseconds, &[])]);
        let expected = json!({
            "_aws": {
                "Timestamp": 1,
                "CloudWatchMetrics": [{
                    "Namespace": "stack",
                    "Dimensions": [[]],
                    "Metrics": [{ "Name": "Deliveries", "Unit": "Count" }],
                }],
            },
            "Deliveries": [3.0],
        });
        assert_eq!(line, Some(expected));
    }

    #[test]
    fn nothing_to_report_is_no_line_and_too_many_values_are_cut() {
        assert_eq!(line("stack", 1, &[("Deliveries", Unit::Count, &[])]), None);
        let many = line("stack", 1, &[("Deliveries", Unit::Count, &[1.0; 200])]).unwrap();
        assert_eq!(many["Deliveries"].as_array().unwrap().len(), MAX_VALUES);
    }

    #[test]
    fn only_lambda_gets_lines() {
        let env =
            |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect::<Environment>();
        assert!(Metrics::from_env(&env(&["METRICS_NAMESPACE"])).namespace.is_none());
        assert!(Metrics::from_env(&env(&["METRICS_NAMESPACE", "AWS_LAMBDA_FUNCTION_NAME"])).namespace.is_some());
    }
}
