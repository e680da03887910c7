//! `EventInvokeConfig`: what Lambda does with a function's events that nobody waits for.

use serde::Deserialize;
use serde_json::Value;

use super::{
    TemplateError,
    resource::{self, Resource},
};

/// Lambda's own values, for a function that states none.
const DEFAULT_RETRIES: u32 = 2;
const DEFAULT_AGE: u64 = 6 * 60 * 60;

/// How often, how long, and what then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asynchronous {
    /// Attempts after the first.
    pub maximum_retry_attempts: u32,
    /// Seconds after which an event is not tried again.
    pub maximum_event_age: u64,
    /// Logical id of the queue that what was given up is sent to.
    pub on_failure: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    maximum_retry_attempts: Option<u32>,
    maximum_event_age_in_seconds: Option<u64>,
    destination_config: Option<DestinationConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationConfig {
    on_failure: Option<OnFailure>,
    on_success: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OnFailure {
    r#type: Option<String>,
    destination: Value,
}

const PLACE: &str = "EventInvokeConfig";

impl Asynchronous {
    pub(super) fn read(function: &Resource<'_>, config: Option<&Value>) -> Result<Self, TemplateError> {
        let none = Value::Null;
        let config = config.unwrap_or(&none);
        function.only(config, PLACE, &["MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig"])?;
        let Properties { maximum_retry_attempts, maximum_event_age_in_seconds, destination_config } =
            function.typed(config, PLACE)?;
        let at = |property: &str| format!("{PLACE}.{property}");
        let maximum_retry_attempts = maximum_retry_attempts.unwrap_or(DEFAULT_RETRIES);
        if maximum_retry_attempts > 2 {
            let problem = format!("is {maximum_retry_attempts}; AWS takes 0 to 2");
            return Err(function.error(at("MaximumRetryAttempts"), problem));
        }
        let maximum_event_age = maximum_event_age_in_seconds.unwrap_or(DEFAULT_AGE);
        if !(60..=DEFAULT_AGE).contains(&maximum_event_age) {
            let problem = format!("is {maximum_event_age}; AWS takes 60 to {DEFAULT_AGE}");
            return Err(function.error(at("MaximumEventAgeInSeconds"), problem));
        }
        let DestinationConfig { on_failure, on_success } =
            destination_config.unwrap_or(DestinationConfig { on_failure: None, on_success: None });
        if on_success.is_some() {
            let place = at("DestinationConfig.OnSuccess");
            return Err(function.error(place, "is not imitated here; remove it"));
        }
        let place = at("DestinationConfig.OnFailure");
        let on_failure = on_failure.map(|OnFailure { r#type, destination }| {
            if r#type.is_some_and(|kind| kind != "SQS") {
                return Err(function.error(place.clone(), "only queues are known here; write Type: SQS"));
            }
            let queue = resource::attribute_of(&destination, "Arn").map(str::to_owned);
            queue.ok_or_else(|| function.error(place, "write `!GetAtt <queue>.Arn`"))
        });
        Ok(Self { maximum_retry_attempts, maximum_event_age, on_failure: on_failure.transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Template;

    use super::*;

    fn read(config: &str) -> Result<Asynchronous, String> {
        let text = format!(
            "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: ../functions/f\n      \
             EventInvokeConfig: {config}"
        );
        let template = Template::parse(&text).map_err(|error| error.to_string())?;
        Ok(template.functions()[0].asynchronous.clone())
    }

    #[test]
    fn what_is_left_out_has_the_defaults_of_aws() {
        let expected = Asynchronous { maximum_retry_attempts: 2, maximum_event_age: 21_600, on_failure: None };
        assert_eq!(read("{}").unwrap(), expected);
    }

    #[test]
    fn what_aws_or_local_dev_would_not_do_is_refused() {
        for (config, place) in [
            ("{ MaximumRetryAttempts: 3 }", "MaximumRetryAttempts"),
            ("{ MaximumEventAgeInSeconds: 59 }", "MaximumEventAgeInSeconds"),
            ("{ DestinationConfig: { OnSuccess: { Type: SQS } } }", "OnSuccess"),
            ("{ DestinationConfig: { OnFailure: { Type: SNS, Destination: x } } }", "OnFailure"),
            ("{ DestinationConfig: { OnFailure: { Type: SQS, Destination: x } } }", "OnFailure"),
            ("{ Qualifier: live }", "Qualifier"),
        ] {
            let message = read(config).unwrap_err();
            assert!(message.contains("`F`") && message.contains(place), "{message}");
        }
    }
}
