//! Starts the `heartbeat` function on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::run::<heartbeat::Heartbeat>().await
}
