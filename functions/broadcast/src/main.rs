//! Starts the `broadcast` function on Lambda.

use broadcast::Broadcast;
use shared::{config::Environment, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Broadcast::from_env(&Environment::from_process())?;
    lambda::run(|event| function.handle(event)).await
}
