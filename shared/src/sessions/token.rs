//! The refresh token: opaque to clients, for us the address of its session, a secret, and the family's mark.
//!
//! By the mark a token that was replaced long ago is known from one that never was, though only the last two are
//! remembered: a guess must not end anybody's session, and a reuse must.

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
    hmac::{self, HMAC_SHA256},
    rand,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use uuid::Uuid;

use crate::{
    auth::{Admin, Role},
    error::Error,
};

/// Whose session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The administrator.
    Admin,
    /// A user.
    User(Uuid),
}

impl Owner {
    /// `sub` of the owner's access tokens.
    #[must_use]
    pub fn subject(self) -> String {
        match self {
            Self::Admin => Admin::ID.to_owned(),
            Self::User(id) => id.to_string(),
        }
    }

    /// What the owner may be.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Admin => Role::Admin,
            Self::User(_) => Role::User,
        }
    }

    /// The id as it stands in a token. No user has the nil UUID.
    fn id(self) -> Uuid {
        match self {
            Self::Admin => Uuid::nil(),
            Self::User(id) => id,
        }
    }
}

/// Length of a secret and of a mark, in bytes.
const HALF: usize = 16;

/// Owner, family, 128 bits of secret, and the mark. Naming the first two spares an index; only who has the third is
/// believed.
pub struct RefreshToken {
    owner: Owner,
    family: Uuid,
    secret: [u8; HALF],
    mark: [u8; HALF],
}

/// What the tokens of one family are marked with. Who has it can have the family taken for reused, and nothing else.
pub(super) struct FamilyKey([u8; 32]);

/// What makes of one token the next: random, so that nobody knows the next one who does not have the row as well.
pub(super) struct Salt([u8; 32]);

impl FamilyKey {
    /// # Errors
    /// [`Error::Internal`] if the system has no randomness.
    pub(super) fn random() -> Result<Self, Error> {
        random().map(Self)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        parse(text).map(Self)
    }

    pub(super) fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    fn mark(&self, owner: Owner, family: Uuid, secret: &[u8; HALF]) -> [u8; HALF] {
        derived(&self.0, &[owner.id().as_bytes(), family.as_bytes(), secret])
    }
}

impl Salt {
    /// # Errors
    /// [`Error::Internal`] if the system has no randomness.
    pub(super) fn random() -> Result<Self, Error> {
        random().map(Self)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        parse(text).map(Self)
    }

    pub(super) fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

impl RefreshToken {
    /// The first token of a new family.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system has no randomness.
    pub(super) fn first(owner: Owner, key: &FamilyKey) -> Result<Self, Error> {
        Ok(Self::with(owner, Uuid::new_v4(), random()?, key))
    }

    /// The token that replaces this one: always the same, made with the same salt.
    pub(super) fn next(&self, key: &FamilyKey, salt: &Salt) -> Self {
        Self::with(self.owner, self.family, derived(&salt.0, &[&self.secret, &self.mark]), key)
    }

    fn with(owner: Owner, family: Uuid, secret: [u8; HALF], key: &FamilyKey) -> Self {
        Self { owner, family, secret, mark: key.mark(owner, family, &secret) }
    }

    /// Whether the token was once one of the family with this key.
    pub(super) fn is_marked_with(&self, key: &FamilyKey) -> bool {
        verify_slices_are_equal(&key.mark(self.owner, self.family, &self.secret), &self.mark).is_ok()
    }

    /// Reads what a client sent.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for anything that never was a refresh token.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let bytes: [u8; 64] = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Error::Unauthenticated)?;
        let part = |from: usize| <[u8; HALF]>::try_from(&bytes[from..from + HALF]).map_err(|_| Error::Unauthenticated);
        let (owner, family) = (Uuid::from_bytes(part(0)?), Uuid::from_bytes(part(16)?));
        let owner = if owner.is_nil() { Owner::Admin } else { Owner::User(owner) };
        Ok(Self { owner, family, secret: part(32)?, mark: part(48)? })
    }

    /// What the client gets: 86 URL-safe characters.
    #[must_use]
    pub fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.bytes())
    }

    /// The owner that the token names.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The login it goes back to.
    pub(super) fn family(&self) -> Uuid {
        self.family
    }

    /// All that is kept of it. No salt: there is nothing to guess in 128 random bits.
    pub(super) fn hash(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.bytes()))
    }

    /// Whether this is its hash.
    pub(super) fn has_hash(&self, hash: &str) -> bool {
        verify_slices_are_equal(self.hash().as_bytes(), hash.as_bytes()).is_ok()
    }

    fn bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        let owner = self.owner.id();
        let parts = [owner.as_bytes(), self.family.as_bytes(), &self.secret, &self.mark];
        for (place, part) in bytes.chunks_exact_mut(HALF).zip(parts) {
            place.copy_from_slice(part);
        }
        bytes
    }
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], Error> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(Error::internal("making a refresh token"))?;
    Ok(bytes)
}

fn parse(text: &str) -> Option<[u8; 32]> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// HMAC-SHA256, cut to the half that is needed.
fn derived(key: &[u8], parts: &[&[u8]]) -> [u8; HALF] {
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, key), &parts.concat());
    let mut bytes = [0; HALF];
    bytes.copy_from_slice(&tag.as_ref()[..HALF]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_way_through_the_client() {
        for owner in [Owner::Admin, Owner::User(Uuid::new_v4())] {
            let key = FamilyKey::random().unwrap();
            let token = RefreshToken::first(owner, &key).unwrap();
            let back = RefreshToken::parse(&token.text()).unwrap();
            assert_eq!((back.owner, back.family, back.secret), (token.owner, token.family, token.secret));
            assert!(back.is_marked_with(&key) && !back.is_marked_with(&FamilyKey::random().unwrap()));
            assert_eq!(back.hash(), token.hash());
        }
    }

    #[test]
    fn the_next_token_is_of_the_same_family_and_has_another_secret() {
        let (key, salt) = (FamilyKey::random().unwrap(), Salt::random().unwrap());
        let token = RefreshToken::first(Owner::Admin, &key).unwrap();
        let next = token.next(&key, &salt);
        assert_eq!((next.owner, next.family), (token.owner, token.family));
        assert!(next.secret != token.secret && next.hash() != token.hash());
        assert_eq!(next.text(), token.next(&key, &salt).text(), "the same each time");
        assert_ne!(next.text(), token.next(&key, &Salt::random().unwrap()).text());
    }

    #[test]
    fn what_never_was_a_token_is_unauthenticated() {
        let genuine = RefreshToken::first(Owner::Admin, &FamilyKey::random().unwrap()).unwrap().text();
        for text in ["", "x", "!", &genuine[1..], &format!("{genuine}A"), &format!("{genuine}=")] {
            assert!(matches!(RefreshToken::parse(text), Err(Error::Unauthenticated)), "{text}");
        }
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        assert_eq!(
            format!("{:?}", RefreshToken::first(Owner::Admin, &FamilyKey::random().unwrap()).unwrap()),
            "RefreshToken(…)"
        );
    }
}
