//! Starts the `disconnect` function on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::run::<disconnect::Disconnect>().await
}
