//! Starts the `notify` function on Lambda.

use notify::Notify;
use shared::{config::Environment, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Notify::from_env(&Environment::from_process())?;
    lambda::run(|event| function.handle(event)).await
}
