//! Starts the `broadcast` function on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::run::<broadcast::Broadcast>().await
}
