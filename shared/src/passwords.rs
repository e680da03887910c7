//! Passwords: argon2id with OWASP's parameters (19 MiB, two passes), off the async threads.

use std::{borrow::Cow, sync::Arc};

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _, password_hash::phc::PasswordHash as Phc};
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{CodePointMapData, props::GeneralCategory};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::error::Error;

/// An argon2id PHC string. Its `Debug` shows nothing, so a hash cannot slip into a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Hashes and verifies, a bounded number at a time: each holds 19 MiB and a core.
#[derive(Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
}

/// What an unknown account's password is compared with, so that it takes as long as a known one's. Of a password that
/// was thrown away; a constant, because making one would cost every cold start as much as a login.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$SB8g8rjmNaANxSoDm6OERA$ZFxws/gxFWRj39Hxeh37IXtCPvetFDnXVP5yjnhne48";

impl Default for Passwords {
    /// Hashes as many passwords at a time as there are cores.
    fn default() -> Self {
        let slots = std::thread::available_parallelism().map_or(1, usize::from);
        Self { slots: Arc::new(Semaphore::new(slots)) }
    }
}

impl Passwords {
    /// A password as it is hashed, by the profile OpaqueString of RFC 8265: every space is U+0020, and the normal form is
    /// NFC, so that keyboards that compose letters differently type the same. (What that profile refuses is refused where
    /// passwords are chosen.)
    #[must_use]
    pub fn prepared(password: &str) -> Cow<'_, str> {
        let is_space = |character: char| {
            CodePointMapData::<GeneralCategory>::new().get(character) == GeneralCategory::SpaceSeparator
        };
        let normalizer = ComposingNormalizerBorrowed::new_nfc();
        if !password.contains(|character: char| character != ' ' && is_space(character)) {
            return normalizer.normalize(password);
        }
        let spaced: String =
            password.chars().map(|character| if is_space(character) { ' ' } else { character }).collect();
        Cow::Owned(normalizer.normalize(&spaced).into_owned())
    }

    /// Hashes a password into a PHC string with a fresh salt.
    ///
    /// # Errors
    /// [`Error::Internal`] only.
    pub async fn hash(&self, password: String) -> Result<PasswordHash, Error> {
        self.run(move || hash(&Self::prepared(&password))).await?.map(PasswordHash)
    }

    /// Whether the password belongs to the hash, prepared or, as until passwords were prepared, as it was typed. Without
    /// a hash the answer is no, after the same time.
    ///
    /// # Errors
    /// [`Error::Internal`] if the hash is no PHC string.
    pub async fn verify(&self, password: String, hash: Option<PasswordHash>) -> Result<bool, Error> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| PasswordHash(DECOY.to_owned()));
        let verified = self.run(move || {
            let hash =
                Phc::new(&hash.0).map_err(|error| Error::internal("reading a password hash")(error.to_string()))?;
            let matches = |text: &str| Argon2::default().verify_password(text.as_bytes(), &hash).is_ok();
            let prepared = Self::prepared(&password);
            Ok::<_, Error>(matches(&prepared) || prepared != password && matches(&password))
        });
        Ok(verified.await?? && known)
    }

    /// Whether a hash is one of ours: a PHC string of the same algorithm and cost as all others. Time would tell any
    /// other from that of an unknown account.
    #[must_use]
    pub fn is_usual(hash: &PasswordHash) -> bool {
        let (Ok(hash), Ok(usual)) = (Phc::new(&hash.0), Phc::new(DECOY)) else { return false };
        let cost = |hash: &Phc| (hash.algorithm.to_string(), hash.version, hash.params.to_string());
        cost(&hash) == cost(&usual) && hash.salt.is_some() && hash.hash.is_some()
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let slot =
            Arc::clone(&self.slots).acquire_owned().await.map_err(Error::internal("waiting for a hashing slot"))?;
        let work = move || {
            let outcome = work();
            drop(slot);
            outcome
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal("hashing a password"))
    }
}

fn hash(password: &str) -> Result<String, Error> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash.map_err(|error| Error::internal("hashing a password")(error.to_string()))?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", PasswordHash("$argon2id$secret".into())), "PasswordHash(…)");
    }

    #[tokio::test]
    async fn a_password_matches_only_its_own_hash() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("wrong horse".into(), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_password_is_the_same_in_every_normal_form_and_with_every_space() {
        let (composed, decomposed) = ("pässwort am See", "pa\u{308}sswort\u{a0}am\u{3000}See");
        assert_eq!(Passwords::prepared(decomposed), composed);
        let passwords = Passwords::default();
        for (chosen, typed) in [(composed, decomposed), (decomposed, composed)] {
            let hash = passwords.hash(chosen.to_owned()).await.unwrap();
            assert!(passwords.verify(typed.to_owned(), Some(hash.clone())).await.unwrap());
            assert!(!passwords.verify("passwort am See".to_owned(), Some(hash)).await.unwrap());
        }
    }

    #[tokio::test]
    async fn hashes_of_passwords_as_they_were_typed_keep_working() {
        let typed = "pa\u{308}sswort\u{a0}am See";
        let before = PasswordHash(hash(typed).unwrap());
        assert!(Passwords::default().verify(typed.to_owned(), Some(before.clone())).await.unwrap());
        assert!(!Passwords::default().verify("another".to_owned(), Some(before)).await.unwrap());
    }

    proptest::proptest! {
        #[test]
        fn what_is_prepared_stays_as_it_is(password in proptest::prelude::any::<String>()) {
            let prepared = Passwords::prepared(&password).into_owned();
            proptest::prop_assert_eq!(&*Passwords::prepared(&prepared), &*prepared);
        }
    }

    #[tokio::test]
    async fn only_a_whole_hash_of_the_usual_cost_is_usual() {
        let usual = Passwords::default().hash("correct horse".into()).await.unwrap();
        assert!(Passwords::is_usual(&usual));
        for (part, other) in [
            ("$argon2id$", "$argon2i$"),
            ("$argon2id$", "argon2id$"),
            ("v=19$", ""),
            ("v=19", "v=16"),
            ("m=19456", "m=9216"),
            ("t=2", "t=3"),
            ("p=1", "p=2"),
            ("p=1$", "p=1$!"),
        ] {
            let unusual = PasswordHash(usual.0.replacen(part, other, 1));
            assert!(!Passwords::is_usual(&unusual), "{}", unusual.0);
        }
        let (without_hash, _) = usual.0.rsplit_once('$').unwrap();
        for broken in ["", "x", "$argon2id$", without_hash] {
            assert!(!Passwords::is_usual(&PasswordHash(broken.to_owned())), "{broken}");
        }
    }

    #[tokio::test]
    async fn an_unknown_account_is_refused_by_a_hash_of_the_same_cost() {
        assert!(DECOY.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(Phc::new(DECOY).is_ok());
        assert!(!Passwords::default().verify("any password".into(), None).await.unwrap());
    }
}
