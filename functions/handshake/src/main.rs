//! Starts the `handshake` function on Lambda.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::run::<handshake::Handshake>().await
}
