//! Text messages, through Amazon SNS.

use aws_sdk_sns::{Client, types::MessageAttributeValue};
use shared::{
    Error,
    config::{ConfigError, Environment},
};

use crate::{cause, texts};

/// Sends to phone numbers.
pub(crate) struct Texter(Client);

impl Texter {
    pub(crate) fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        Ok(Self(Client::new(&shared::aws::of_service(env, "AWS_ENDPOINT_URL_SNS")?)))
    }

    pub(crate) async fn send(&self, to: &str, code: &str) -> Result<(), Error> {
        // Transactional messages go the reliable way; the default is the cheap one, for advertisements.
        let kind = MessageAttributeValue::builder().data_type("String").string_value("Transactional").build();
        let kind = kind.map_err(Error::internal("writing a text message"))?;
        let publish =
            self.0.publish().phone_number(to).message(texts::sms(code)).message_attributes("AWS.SNS.SMS.SMSType", kind);
        publish.send().await.map(drop).map_err(|error| Error::internal("sending a text message")(cause(&error)))
    }
}
