//! Starts the `notify` function on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::run::<notify::Notify>().await
}
