//! Text messages, through Amazon SNS.

use aws_sdk_sns::{Client, operation::publish::PublishError, types::MessageAttributeValue};
use shared::{Error, aws::Clients, config::Environment};

use crate::{SendOutcome, cause, texts};

/// Sends to phone numbers.
pub(crate) struct Texter(Client);

impl Texter {
    pub(crate) fn new(clients: &Clients, env: &Environment) -> Self {
        Self(Client::new(&clients.of_service(env, "AWS_ENDPOINT_URL_SNS")))
    }

    pub(crate) async fn send(&self, to: &str, code: &str) -> Result<SendOutcome, Error> {
        // Transactional messages go the reliable way; the default is the cheap one, for advertisements.
        let kind = MessageAttributeValue::builder().data_type("String").string_value("Transactional").build();
        let kind = kind.map_err(Error::internal("writing a text message"))?;
        let publish =
            self.0.publish().phone_number(to).message(texts::sms(code)).message_attributes("AWS.SNS.SMS.SMSType", kind);
        match publish.send().await {
            Ok(_) => Ok(SendOutcome::Taken),
            Err(error) if error.as_service_error().is_some_and(is_final) => Ok(SendOutcome::Refused(cause(&error))),
            Err(error) => Err(Error::internal("sending a text message")(cause(&error))),
        }
    }
}

/// Whether it is the number that is refused, as in `email.rs`.
fn is_final(error: &PublishError) -> bool {
    use PublishError::{InvalidParameterException, InvalidParameterValueException, ValidationException};
    matches!(error, InvalidParameterException(_) | InvalidParameterValueException(_) | ValidationException(_))
}
