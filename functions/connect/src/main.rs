//! Starts the `connect` function on Lambda.

use connect::Connect;
use shared::{config::Environment, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Connect::from_env(&Environment::from_process())?;
    lambda::run(|event| function.handle(event)).await
}
