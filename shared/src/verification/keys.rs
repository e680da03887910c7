//! The keys behind codes, and behind answers that are kept to be repeated, both made of `CODE_SECRET`.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Prk, Salt},
    hmac::{self, HMAC_SHA256},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::config::{ConfigError, Environment};

/// Length of AES-GCM's nonce, which goes before the sealed text.
const NONCE: usize = 12;

/// Hashes codes, and seals them for `notify`.
pub struct CodeKeys {
    hashing: hmac::Key,
    sealing: RandomizedNonceKey,
}

impl CodeKeys {
    /// The keys of `CODE_SECRET`, which only `api` and `notify` have.
    ///
    /// # Errors
    /// [`ConfigError`] if the secret is missing or short.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let name = "CODE_SECRET";
        Self::of(env.secret(name)?).map_err(|Unspecified| ConfigError::Invalid { name, problem: "makes no key" })
    }

    fn of(secret: &[u8]) -> Result<Self, Unspecified> {
        let root = Salt::new(HKDF_SHA256, b"moien-realtime").extract(secret);
        Ok(Self {
            hashing: hmac::Key::new(HMAC_SHA256, &derived(&root, b"verification codes: hash")?),
            sealing: RandomizedNonceKey::new(&AES_256_GCM, &derived(&root, b"verification codes: seal")?)?,
        })
    }

    /// What is kept of a code. Keyed, because a million unkeyed hashes are computed in no time; bound to the user and
    /// the channel it was made for.
    pub(crate) fn hash(&self, context: &str, code: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&self.hashing, format!("{context}\n{code}").as_bytes()))
    }

    /// Encrypts (AES-256-GCM); the result opens only in the same context.
    pub(crate) fn seal(&self, context: &str, text: &str) -> Result<String, Unspecified> {
        let mut sealed = text.as_bytes().to_vec();
        let nonce = self.sealing.seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut sealed)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &sealed].concat()))
    }

    /// What [`CodeKeys::seal`] sealed; `None` for anything else.
    pub(crate) fn open(&self, context: &str, sealed: &str) -> Option<String> {
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.sealing.open_in_place(nonce, Aad::from(context.as_bytes()), text).ok()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

fn derived(root: &Prk, purpose: &[u8]) -> Result<[u8; 32], Unspecified> {
    let mut key = [0; 32];
    root.expand(&[purpose], HKDF_SHA256)?.fill(&mut key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: &str) -> Result<CodeKeys, ConfigError> {
        CodeKeys::from_env(&[("CODE_SECRET".to_owned(), secret.to_owned())].into_iter().collect())
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn what_is_sealed_opens_with_the_same_secret_in_the_same_context_only() {
        let sealed = keys(SECRET).unwrap().seal("a", "123456").unwrap();
        assert_eq!(keys(SECRET).unwrap().open("a", &sealed).as_deref(), Some("123456"));
        assert_eq!(keys(SECRET).unwrap().open("b", &sealed), None);
        assert_eq!(keys("another secret of 32 characters!").unwrap().open("a", &sealed), None);
        for broken in ["", "x", &sealed[1..], &format!("A{}", &sealed[1..])] {
            assert_eq!(keys(SECRET).unwrap().open("a", broken), None, "{broken}");
        }
    }

    #[test]
    fn the_same_text_is_never_sealed_the_same_way_twice() {
        let keys = keys(SECRET).unwrap();
        assert_ne!(keys.seal("a", "123456").unwrap(), keys.seal("a", "123456").unwrap());
    }

    #[test]
    fn a_hash_depends_on_code_context_and_secret() {
        let hash = keys(SECRET).unwrap().hash("a", "123456");
        assert_eq!(hash, keys(SECRET).unwrap().hash("a", "123456"));
        assert_ne!(hash, keys(SECRET).unwrap().hash("a", "123457"));
        assert_ne!(hash, keys(SECRET).unwrap().hash("b", "123456"));
        assert_ne!(hash, keys("another secret of 32 characters!").unwrap().hash("a", "123456"));
    }

    #[test]
    fn a_short_secret_stops_the_start() {
        assert!(matches!(keys("short"), Err(ConfigError::Invalid { .. })));
    }
}
