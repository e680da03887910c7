//! E-mail, through Amazon SES.

use aws_sdk_sesv2::{
    Client,
    operation::send_email::SendEmailError,
    types::{Body, Content, Destination, EmailContent, Message},
};
use shared::{
    Error,
    aws::Clients,
    config::{ConfigError, Environment},
    users::mailbox,
};

use crate::{SendOutcome, cause, texts};

/// Sends from one address, which SES must know as verified.
pub(crate) struct Mailer {
    client: Client,
    sender: String,
}

impl Mailer {
    pub(crate) fn new(clients: &Clients, env: &Environment) -> Result<Self, ConfigError> {
        let client = Client::new(&clients.of_service(env, "AWS_ENDPOINT_URL_SESV2"));
        Ok(Self { client, sender: env.required("SENDER_EMAIL")?.to_owned() })
    }

    pub(crate) async fn send(&self, to: &str, code: &str) -> Result<SendOutcome, Error> {
        let built = |text: &str| Content::builder().charset("UTF-8").data(text).build();
        let subject = built(texts::SUBJECT).map_err(Error::internal("writing an e-mail"))?;
        let text = built(&texts::email(code)).map_err(Error::internal("writing an e-mail"))?;
        let message = Message::builder().subject(subject).body(Body::builder().text(text).build()).build();
        let send = self
            .client
            .send_email()
            .from_email_address(&self.sender)
            // SES takes no domain in a script of its own.
            .destination(Destination::builder().to_addresses(mailbox::deliverable(to)).build())
            .content(EmailContent::builder().simple(message).build());
        match send.send().await {
            Ok(_) => Ok(SendOutcome::Taken),
            Err(error) if error.as_service_error().is_some_and(is_final) => Ok(SendOutcome::Refused(cause(&error))),
            Err(error) => Err(Error::internal("sending an e-mail")(cause(&error))),
        }
    }
}

/// Whether it is the message that is refused, and not our account, our rights or our haste: those change, and are for the
/// dead-letter queue if they do not.
fn is_final(error: &SendEmailError) -> bool {
    matches!(error, SendEmailError::BadRequestException(_) | SendEmailError::MessageRejected(_))
}
