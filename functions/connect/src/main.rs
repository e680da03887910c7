//! Starts the `connect` function on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::run::<connect::Connect>().await
}
