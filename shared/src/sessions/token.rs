//! The refresh token: opaque to clients, for us the address of its session and a secret.

use aws_lc_rs::{
    digest::{SHA256, digest},
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
}

/// Owner, family and 256 random bits. Naming the first two spares an index; only who has the third is believed.
pub struct RefreshToken {
    owner: Owner,
    family: Uuid,
    secret: [u8; 32],
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
    pub(super) fn first(owner: Owner) -> Result<Self, Error> {
        Ok(Self { owner, family: Uuid::new_v4(), secret: secret()? })
    }

    /// The token that replaces this one.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system has no randomness.
    pub(super) fn next(&self) -> Result<Self, Error> {
        Ok(Self { owner: self.owner, family: self.family, secret: secret()? })
    }

    /// Reads what a client sent.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for anything that never was a refresh token.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let bytes: [u8; 64] = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Error::Unauthenticated)?;
        let id = |from: usize| Uuid::from_slice(&bytes[from..from + 16]).map_err(|_| Error::Unauthenticated);
        let owner = id(0)?;
        let secret = bytes[32..].try_into().map_err(|_| Error::Unauthenticated)?;
        // No user has the nil UUID.
        Ok(Self { owner: if owner.is_nil() { Owner::Admin } else { Owner::User(owner) }, family: id(16)?, secret })
    }

    /// What the client gets: 86 URL-safe characters.
    #[must_use]
    pub fn text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.bytes())
    }

    /// Whose it says it is.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The login it goes back to.
    pub(super) fn family(&self) -> Uuid {
        self.family
    }

    /// All that is kept of it. No salt: there is nothing to guess in 256 random bits.
    pub(super) fn hash(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.bytes()))
    }

    fn bytes(&self) -> [u8; 64] {
        let owner = match self.owner {
            Owner::Admin => Uuid::nil(),
            Owner::User(id) => id,
        };
        let mut bytes = [0; 64];
        bytes[..16].copy_from_slice(owner.as_bytes());
        bytes[16..32].copy_from_slice(self.family.as_bytes());
        bytes[32..].copy_from_slice(&self.secret);
        bytes
    }
}

fn secret() -> Result<[u8; 32], Error> {
    let mut secret = [0; 32];
    rand::fill(&mut secret).map_err(Error::internal("making a refresh token"))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_way_through_the_client() {
        for owner in [Owner::Admin, Owner::User(Uuid::new_v4())] {
            let token = RefreshToken::first(owner).unwrap();
            let back = RefreshToken::parse(&token.text()).unwrap();
            assert_eq!((back.owner, back.family, back.secret), (token.owner, token.family, token.secret));
            assert_eq!(back.hash(), token.hash());
        }
    }

    #[test]
    fn the_next_token_is_of_the_same_family_and_has_another_secret() {
        let token = RefreshToken::first(Owner::Admin).unwrap();
        let next = token.next().unwrap();
        assert_eq!((next.owner, next.family), (token.owner, token.family));
        assert!(next.secret != token.secret && next.hash() != token.hash());
    }

    #[test]
    fn what_never_was_a_token_is_unauthenticated() {
        let genuine = RefreshToken::first(Owner::Admin).unwrap().text();
        for text in ["", "x", "!", &genuine[1..], &format!("{genuine}A"), &format!("{genuine}=")] {
            assert!(matches!(RefreshToken::parse(text), Err(Error::Unauthenticated)), "{text}");
        }
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", RefreshToken::first(Owner::Admin).unwrap()), "RefreshToken(…)");
    }
}
