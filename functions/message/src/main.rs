//! Starts the `message` function on Lambda.

use message::Message;
use shared::{config::Environment, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Message::from_env(&Environment::from_process())?;
    lambda::run(|event| function.handle(event)).await
}
