//! Starts the `heartbeat` function on Lambda.

use heartbeat::Heartbeat;
use shared::{config::Environment, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Heartbeat::from_env(&Environment::from_process())?;
    lambda::run(|event| function.handle(event)).await
}
