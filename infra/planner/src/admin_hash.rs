//! `local-dev admin-hash`: what to give the parameter `AdminPasswordHash`.

use std::io::{self, BufRead as _, IsTerminal as _};

use shared::{passwords::Passwords, users::rules::PASSWORD_LENGTH};

/// Reads a password from standard input, never from an argument, where every process of the machine would see it, and
/// gives its Argon2id PHC string.
///
/// # Errors
/// What is wrong with the password, or with standard input.
pub async fn read_and_hash() -> Result<String, String> {
    if io::stdin().is_terminal() {
        eprintln!("Type the password and press Enter. It is shown; `stty -echo` before hides it.");
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| format!("no password on standard input: {error}"))?;
    hash(line.trim_end_matches(['\r', '\n'])).await
}

async fn hash(password: &str) -> Result<String, String> {
    let length = password.chars().count();
    if !PASSWORD_LENGTH.contains(&length) {
        let (least, most) = PASSWORD_LENGTH.into_inner();
        return Err(format!("the password has {length} characters; it needs {least} to {most}"));
    }
    let hash = Passwords::default().hash(password.to_owned()).await.map_err(|error| error.to_string())?;
    Ok(hash.0)
}

#[cfg(test)]
mod tests {
    use shared::passwords::PasswordHash;

    use super::*;

    #[tokio::test]
    async fn the_hash_verifies_the_password() {
        let phc = hash("correct horse").await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let hash = PasswordHash(phc);
        assert!(Passwords::default().verify("correct horse".to_owned(), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_password_no_login_would_accept_is_refused() {
        assert!(hash("").await.unwrap_err().contains("8 to 128"));
        assert!(hash(&"x".repeat(129)).await.is_err());
    }
}
