//! The secret that clouds of tests sign with, and what is signed with it.

use shared::{auth::Tokens, config::Environment};

/// What tests sign their own tokens with.
pub const TOKEN_SECRET: &str = "a secret for tests, 32 characters";

/// The environment of a function that signs with this secret.
pub fn signing_environment(secret: &str) -> Environment {
    Environment::from_iter([("TOKEN_SECRET".to_owned(), secret.to_owned())])
}

/// Tokens signed with this secret.
pub fn tokens(secret: &str) -> Tokens {
    Tokens::from_env(&signing_environment(secret)).unwrap()
}
