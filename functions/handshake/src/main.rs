//! Starts the `handshake` function on Lambda.

use handshake::Handshake;
use shared::{config::Environment, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Handshake::from_env(&Environment::from_process())?;
    lambda::run(|event| function.handle(event)).await
}
