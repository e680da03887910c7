//! Starts the `message` function on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::run::<message::Message>().await
}
