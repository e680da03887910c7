//! Access tokens: JWT, HS256 and nothing else, 15 minutes.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    config::{ConfigError, Environment},
    error::Error,
};

/// Life of an access token.
pub const ACCESS_TOKEN_SECONDS: i64 = 15 * 60;

const ISSUER: &str = "moien-realtime";
const AUDIENCE: &str = "moien-delivery";

/// What a token's bearer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// One user.
    User,
    /// The administrator.
    Admin,
}

/// The content of an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id, or [`super::Admin::ID`].
    pub sub: String,
    /// What the bearer may be.
    pub role: Role,
    /// Who issued the token.
    pub iss: String,
    /// Whom the token is for.
    pub aud: String,
    /// When the token was issued, epoch seconds.
    pub iat: i64,
    /// When the token ends, epoch seconds.
    pub exp: i64,
}

impl Claims {
    /// The user behind the token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] if `sub` is no user id.
    pub fn user_id(&self) -> Result<Uuid, Error> {
        self.sub.parse().map_err(|_| Error::Unauthenticated)
    }
}

/// Issues and checks access tokens with `TOKEN_SECRET`.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// Tokens signed with `TOKEN_SECRET`.
    ///
    /// # Errors
    /// [`ConfigError`] if the secret is missing or short.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        let secret = env.secret("TOKEN_SECRET")?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // One issuer, one clock: an expired token is expired.
        validation.leeway = 0;
        Ok(Self { encoding: EncodingKey::from_secret(secret), decoding: DecodingKey::from_secret(secret), validation })
    }

    /// A token for this subject, from now on.
    ///
    /// # Errors
    /// [`Error::Internal`] if signing fails.
    pub fn issue(&self, sub: impl Into<String>, role: Role) -> Result<String, Error> {
        self.issue_at(sub, role, Timestamp::now())
    }

    /// A token as if issued at another time; how tests get expired ones.
    ///
    /// # Errors
    /// [`Error::Internal`] if signing fails.
    pub fn issue_at(&self, sub: impl Into<String>, role: Role, at: Timestamp) -> Result<String, Error> {
        let iat = at.as_second();
        let claims = Claims {
            sub: sub.into(),
            role,
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            iat,
            exp: iat + ACCESS_TOKEN_SECONDS,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(Error::internal("signing a token"))
    }

    /// The claims of a token that is genuine and not expired.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for any other text. Why stays inside: it would only help a forger.
    pub fn verify(&self, token: &str) -> Result<Claims, Error> {
        let token = decode::<Claims>(token, &self.decoding, &self.validation);
        token.map(|token| token.claims).map_err(|_| Error::Unauthenticated)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use jiff::ToSpan as _;

    use super::*;

    fn tokens(secret: &str) -> Tokens {
        Tokens::from_env(&[("TOKEN_SECRET".to_owned(), secret.to_owned())].into_iter().collect()).unwrap()
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_token_names_its_bearer() {
        let id = Uuid::new_v4();
        let claims = tokens(SECRET).verify(&tokens(SECRET).issue(id, Role::User).unwrap()).unwrap();
        assert_eq!((claims.user_id().unwrap(), claims.role), (id, Role::User));
        assert_eq!(claims.exp - claims.iat, 900);
    }

    #[test]
    fn an_expired_token_is_refused() {
        let token = tokens(SECRET).issue_at("x", Role::Admin, Timestamp::now() - 901.seconds()).unwrap();
        assert!(matches!(tokens(SECRET).verify(&token), Err(Error::Unauthenticated)));
    }

    #[test]
    fn a_token_of_another_key_is_refused() {
        let token = tokens("another secret of 32 characters!").issue("x", Role::Admin).unwrap();
        assert!(matches!(tokens(SECRET).verify(&token), Err(Error::Unauthenticated)));
    }

    #[test]
    fn unsigned_and_other_algorithms_are_refused() {
        let genuine = tokens(SECRET).issue("x", Role::Admin).unwrap();
        let claims = genuine.split('.').nth(1).unwrap();
        for header in
            [r#"{"alg":"none","typ":"JWT"}"#, r#"{"alg":"HS512","typ":"JWT"}"#, r#"{"alg":"RS256","typ":"JWT"}"#]
        {
            let header = BASE64_URL_SAFE_NO_PAD.encode(header);
            for signature in ["", genuine.split('.').nth(2).unwrap()] {
                let forged = format!("{header}.{claims}.{signature}");
                assert!(matches!(tokens(SECRET).verify(&forged), Err(Error::Unauthenticated)), "{forged}");
            }
        }
    }

    #[test]
    fn a_token_for_another_audience_is_refused() {
        let claims = serde_json::json!({
            "sub": "x", "role": "admin", "iss": ISSUER, "aud": "someone-else", "iat": 0, "exp": i32::MAX,
        });
        let token =
            encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
        assert!(matches!(tokens(SECRET).verify(&token), Err(Error::Unauthenticated)));
    }

    #[test]
    fn a_short_secret_stops_the_start() {
        let env = [("TOKEN_SECRET".to_owned(), "short".to_owned())].into_iter().collect();
        assert!(matches!(Tokens::from_env(&env), Err(ConfigError::Invalid { .. })));
    }
}
