//! Starts the `api` function on Lambda.

use api::Api;
use shared::{config::Environment, lambda};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let function = Api::from_env(&Environment::from_process())?;
    lambda::run(|event| function.handle(event)).await
}
