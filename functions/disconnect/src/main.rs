//! Starts the `disconnect` function on Lambda.

use disconnect::Disconnect;
use shared::{config::Environment, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Disconnect::from_env(&Environment::from_process())?;
    lambda::run(|event| function.handle(event)).await
}
