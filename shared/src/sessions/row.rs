//! One session as it is stored, and what it makes of a token that comes for it.

use serde::Deserialize;

use super::{
    RefreshToken,
    token::{FamilyKey, Salt},
};

/// How long the token before the newest is still answered, in seconds: an answer may have been lost, and two tabs of one
/// browser refresh at the same moment.
const GRACE_SECONDS: i64 = 30;

/// A family of refresh tokens, one of which is good at a time.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    token_hash: String,
    pub(super) generation: String,
    /// Epoch seconds.
    expires_at: i64,
    /// What the family's tokens are marked with. Sessions of before have none until their next refresh.
    #[serde(default)]
    family_key: Option<String>,
    /// The token that was replaced by the newest one.
    #[serde(default)]
    replaced_hash: Option<String>,
    /// When the token was replaced, epoch seconds.
    #[serde(default)]
    replaced_at: i64,
    /// What the newest was made of it with.
    #[serde(default)]
    salt: Option<String>,
}

/// What a token is to a session.
pub(super) enum TokenState {
    /// The newest.
    Newest,
    /// The one before, a moment ago; this is the newest, again.
    Before(RefreshToken),
    /// An older one, or the one before after its time: whoever has it is a thief, or was robbed by one.
    Reused,
    /// The token is none of this family: somebody guesses.
    Foreign,
    /// The session has ended.
    Over,
}

impl Session {
    /// What this token is at that time (epoch seconds).
    pub(super) fn state_of(&self, token: &RefreshToken, now: i64) -> TokenState {
        // Items past their TTL may be there for days.
        if self.expires_at <= now {
            return TokenState::Over;
        }
        if token.has_hash(&self.token_hash) {
            return TokenState::Newest;
        }
        let replaced = self.replaced_hash.as_deref().is_some_and(|hash| token.has_hash(hash));
        if replaced && now <= self.replaced_at + GRACE_SECONDS {
            let key = self.family_key().zip(self.salt.as_deref().and_then(Salt::parse));
            if let Some(newest) = key.map(|(key, salt)| token.next(&key, &salt)) {
                return TokenState::Before(newest);
            }
        }
        let ours = replaced || self.family_key().is_some_and(|key| token.is_marked_with(&key));
        if ours { TokenState::Reused } else { TokenState::Foreign }
    }

    /// The key of the family, if it has one.
    pub(super) fn family_key(&self) -> Option<FamilyKey> {
        self.family_key.as_deref().and_then(FamilyKey::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::Owner;

    const NOW: i64 = 1_739_125_407;

    /// A session whose first token was replaced at that time, with that token, the newest and the one that follows.
    fn replaced_at(time: i64) -> (Session, [RefreshToken; 3]) {
        let (key, salt) = (FamilyKey::random().unwrap(), Salt::random().unwrap());
        let first = RefreshToken::first(Owner::Admin, &key).unwrap();
        let second = first.next(&key, &salt);
        let third = second.next(&key, &Salt::random().unwrap());
        let session = Session {
            token_hash: second.hash(),
            generation: "0".to_owned(),
            expires_at: NOW + 1000,
            family_key: Some(key.text()),
            replaced_hash: Some(first.hash()),
            replaced_at: time,
            salt: Some(salt.text()),
        };
        (session, [first, second, third])
    }

    #[test]
    fn the_token_before_the_newest_brings_the_newest_for_half_a_minute() {
        for age in [0, 1, 30] {
            let (session, [first, second, _]) = replaced_at(NOW - age);
            let TokenState::Before(again) = session.state_of(&first, NOW) else { panic!("{age} seconds") };
            assert_eq!(again.text(), second.text(), "after {age} seconds");
            assert!(matches!(session.state_of(&second, NOW), TokenState::Newest));
        }
        let (session, [first, ..]) = replaced_at(NOW - 31);
        assert!(matches!(session.state_of(&first, NOW), TokenState::Reused));
    }

    #[test]
    fn every_older_token_of_the_family_is_a_reuse_at_once() {
        let (session, [_, second, third]) = replaced_at(NOW);
        let later = Session {
            token_hash: third.next(&session.family_key().unwrap(), &Salt::random().unwrap()).hash(),
            replaced_hash: Some(third.hash()),
            ..session
        };
        assert!(matches!(later.state_of(&second, NOW), TokenState::Reused));
    }

    #[test]
    fn a_secret_that_is_none_of_the_family_is_a_guess() {
        let (session, [first, ..]) = replaced_at(NOW);
        let guess = first.next(&FamilyKey::random().unwrap(), &Salt::random().unwrap());
        assert!(matches!(session.state_of(&guess, NOW), TokenState::Foreign));
        assert!(matches!(Session { family_key: None, ..session }.state_of(&guess, NOW), TokenState::Foreign));
    }

    #[test]
    fn after_its_time_a_session_is_over_for_every_token() {
        let (session, tokens) = replaced_at(NOW - 5);
        let over = Session { expires_at: NOW, ..session };
        assert!(tokens.iter().all(|token| matches!(over.state_of(token, NOW), TokenState::Over)));
    }
}
