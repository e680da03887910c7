//! A function's event of type `DynamoDB`: the event source mapping between a table's stream and the function.

use serde::Deserialize;
use serde_json::Value;

use super::{
    TemplateError,
    resource::{self, Resource},
};

/// A declared event source mapping, with AWS's defaults filled in.
#[derive(Clone, Debug)]
pub struct EventSource {
    /// Logical id of the function.
    pub function: String,
    /// The event's name inside the function.
    pub event: String,
    /// Logical id of the table whose stream is read.
    pub table: String,
    /// Where to begin when there is no checkpoint.
    pub starting_position: StartingPosition,
    /// The most records in one invocation.
    pub batch_size: usize,
    /// How long to wait for more records once there is one.
    pub maximum_batching_window_in_seconds: u64,
    /// Concurrent batches per shard.
    pub parallelization_factor: usize,
    /// `None`: until the records expire.
    pub maximum_retry_attempts: Option<u32>,
    /// `None`: until the stream trims them.
    pub maximum_record_age_in_seconds: Option<u64>,
    /// Whether a failing batch is split.
    pub bisect_batch_on_function_error: bool,
    /// Whether the function's answer names the records that failed.
    pub report_batch_item_failures: bool,
    /// Filter patterns; a record has to match one of them. Empty: all records.
    pub filters: Vec<Value>,
    /// Where what could not be delivered goes.
    pub on_failure: Option<OnFailure>,
    /// Whether the event source runs at all.
    pub enabled: bool,
}

/// A destination of what could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnFailure {
    /// Logical id.
    pub destination: String,
    /// Whether the destination keeps the records themselves: a bucket does, a queue or topic only hears where they are
    /// in the stream.
    pub keeps_records: bool,
}

/// Where a mapping without a checkpoint begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StartingPosition {
    /// The mapping begins with the oldest record there is.
    TrimHorizon,
    /// The mapping begins with what comes from now on.
    Latest,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    stream: Value,
    starting_position: StartingPosition,
    batch_size: Option<usize>,
    maximum_batching_window_in_seconds: Option<u64>,
    parallelization_factor: Option<usize>,
    maximum_retry_attempts: Option<i64>,
    maximum_record_age_in_seconds: Option<i64>,
    #[serde(default)]
    bisect_batch_on_function_error: bool,
    #[serde(default)]
    function_response_types: Vec<String>,
    filter_criteria: Option<FilterCriteria>,
    destination_config: Option<DestinationConfig>,
    tumbling_window_in_seconds: Option<u64>,
    enabled: Option<bool>,
}

/// What is read, and two things that have no effect here.
const KNOWN: [&str; 15] = [
    "Stream",
    "StartingPosition",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "ParallelizationFactor",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "BisectBatchOnFunctionError",
    "FunctionResponseTypes",
    "FilterCriteria",
    "DestinationConfig",
    "TumblingWindowInSeconds",
    "Enabled",
    "KmsKeyArn",
    "MetricsConfig",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterCriteria {
    #[serde(default)]
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    pattern: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationConfig {
    on_failure: Option<Destination>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Destination {
    destination: Value,
    r#type: Option<String>,
}

impl EventSource {
    pub(super) fn read(function: &Resource<'_>, event: &str, properties: &Value) -> Result<Self, TemplateError> {
        let place = format!("Events.{event}.Properties");
        let at = |property: &str| format!("{place}.{property}");
        function.only(properties, &place, &KNOWN)?;
        let properties: Properties = function.typed(properties, &place)?;
        let table = resource::attribute_of(&properties.stream, "StreamArn")
            .ok_or_else(|| function.error(at("Stream"), "write `!GetAtt <table>.StreamArn`"))?;
        if properties.tumbling_window_in_seconds.is_some_and(|window| window > 0) {
            return Err(function.error(at("TumblingWindowInSeconds"), "is not imitated here; remove it"));
        }
        let within = |property: &str, value: usize, range: std::ops::RangeInclusive<usize>| {
            if range.contains(&value) {
                return Ok(value);
            }
            Err(function.error(at(property), format!("is {value}; AWS takes {} to {}", range.start(), range.end())))
        };
        let on_failure = properties.destination_config.and_then(|config| config.on_failure).map(|on_failure| {
            let destination = resource::attribute_of(&on_failure.destination, "Arn").map(str::to_owned);
            let keeps_records = on_failure.r#type.as_deref() == Some("S3");
            destination.map(|destination| OnFailure { destination, keeps_records }).ok_or_else(|| {
                function.error(at("DestinationConfig.OnFailure"), "write `!GetAtt <bucket or queue>.Arn`")
            })
        });
        Ok(Self {
            function: function.logical_id.to_owned(),
            event: event.to_owned(),
            table: table.to_owned(),
            starting_position: properties.starting_position,
            batch_size: within("BatchSize", properties.batch_size.unwrap_or(100), 1..=10_000)?,
            maximum_batching_window_in_seconds: properties.maximum_batching_window_in_seconds.unwrap_or(0),
            parallelization_factor: within(
                "ParallelizationFactor",
                properties.parallelization_factor.unwrap_or(1),
                1..=10,
            )?,
            // -1 is AWS's "no limit" for both.
            maximum_retry_attempts: properties.maximum_retry_attempts.and_then(|limit| limit.try_into().ok()),
            maximum_record_age_in_seconds: properties.maximum_record_age_in_seconds.and_then(|age| age.try_into().ok()),
            bisect_batch_on_function_error: properties.bisect_batch_on_function_error,
            report_batch_item_failures: properties
                .function_response_types
                .iter()
                .any(|kind| kind == "ReportBatchItemFailures"),
            filters: filters(function, &at("FilterCriteria"), properties.filter_criteria)?,
            on_failure: on_failure.transpose()?,
            enabled: properties.enabled.unwrap_or(true),
        })
    }
}

fn filters(
    function: &Resource<'_>,
    place: &str,
    criteria: Option<FilterCriteria>,
) -> Result<Vec<Value>, TemplateError> {
    let filters = criteria.map(|criteria| criteria.filters).unwrap_or_default();
    let parsed = filters.iter().enumerate().map(|(index, filter)| {
        serde_json::from_str(&filter.pattern).map_err(|error| {
            function.error(format!("{place}.Filters[{index}].Pattern"), format!("is not valid JSON: {error}"))
        })
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Template;

    const MINIMAL: &str = "
Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      StreamSpecification: { StreamViewType: KEYS_ONLY }
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../functions/f
      Events:
        E: { Type: DynamoDB, Properties: { Stream: !GetAtt T.StreamArn, StartingPosition: LATEST } }
";

    #[test]
    fn what_is_left_out_has_the_defaults_of_aws() {
        let template = Template::parse(MINIMAL).unwrap();
        let source = template.event_sources().next().unwrap();
        assert_eq!((source.batch_size, source.parallelization_factor), (100, 1));
        assert_eq!((source.maximum_retry_attempts, source.maximum_record_age_in_seconds), (None, None));
        assert!(!source.bisect_batch_on_function_error && !source.report_batch_item_failures && source.enabled);
    }

    #[test]
    fn minus_one_means_no_limit() {
        let text = MINIMAL.replace("LATEST", "LATEST, MaximumRetryAttempts: -1, MaximumRecordAgeInSeconds: -1");
        let template = Template::parse(&text).unwrap();
        let source = template.event_sources().next().unwrap();
        assert_eq!((source.maximum_retry_attempts, source.maximum_record_age_in_seconds), (None, None));
    }

    #[test]
    fn a_limit_out_of_range_is_refused() {
        let text = MINIMAL.replace("LATEST", "LATEST, ParallelizationFactor: 11");
        let message = Template::parse(&text).unwrap_err().to_string();
        assert!(message.contains("ParallelizationFactor") && message.contains("1 to 10"), "{message}");
    }

    #[test]
    fn a_pattern_that_is_not_json_is_named() {
        let text = MINIMAL.replace("LATEST", "LATEST, FilterCriteria: { Filters: [{ Pattern: '{' }] }");
        let message = Template::parse(&text).unwrap_err().to_string();
        assert!(message.contains("Filters[0].Pattern"), "{message}");
    }
}
