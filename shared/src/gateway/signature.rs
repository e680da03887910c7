//! Signature Version 4 of a post, as `aws-sdk-apigatewaymanagement` makes it, in a third of the time: the key is derived
//! once a day and not once a request, and of the canonical request only the connection and the second change.
//!
//! The cryptography is `aws-sigv4`'s. The SDK itself is the oracle: for any connection, frame, token and time both make the
//! same signature (`the_signature_is_the_one_the_sdk_makes`). Two headers that the SDK sends are left out: it signs
//! `x-amz-user-agent` and adds its attempts' numbers, both for Amazon's statistics only.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_lc_rs::digest::{Context, SHA256};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::{HeaderValue, header::InvalidHeaderValue};
use jiff::{Timestamp, tz::Offset};

use super::{
    endpoint::{Address, Endpoint},
    payload::Payload,
};

/// The name of the management API in signatures.
const SERVICE: &str = "execute-api";

/// What the body of a post is said to be.
pub(super) const CONTENT_TYPE: &str = "application/octet-stream";

const DAY: u64 = 24 * 60 * 60;

/// The key that signs on one day with one pair of credentials, and what every signature of that day repeats.
pub struct SigningKey {
    key: Box<[u8]>,
    /// Since 1970.
    day: u64,
    /// `20261126`
    date: String,
    /// `20261126/eu-central-1/execute-api/aws4_request`
    scope: String,
    access_key_id: String,
    token: Option<HeaderValue>,
}

/// What makes a request a signed one.
#[derive(Debug)]
pub struct Signature {
    /// `authorization`
    pub authorization: HeaderValue,
    /// `x-amz-date`
    pub date_time: HeaderValue,
    /// `x-amz-security-token`
    pub token: Option<HeaderValue>,
}

impl SigningKey {
    /// The key of that time's day.
    ///
    /// # Errors
    /// If the session token cannot be in a header.
    pub fn derive(credentials: &Credentials, region: &str, now: SystemTime) -> Result<Self, InvalidHeaderValue> {
        let day = seconds(now) / DAY;
        let date = date(day);
        let mut token = credentials.session_token().map(HeaderValue::from_str).transpose()?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        Ok(Self {
            key: generate_signing_key(credentials.secret_access_key(), now, region, SERVICE).as_ref().into(),
            day,
            scope: format!("{date}/{region}/{SERVICE}/aws4_request"),
            date,
            access_key_id: credentials.access_key_id().to_owned(),
            token,
        })
    }

    /// Whether `now` is on the day of this key.
    pub(super) fn is_of_the_day(&self, now: SystemTime) -> bool {
        self.day == seconds(now) / DAY
    }

    /// Signs a post of that day.
    ///
    /// # Errors
    /// If the access key's id cannot be in a header.
    pub fn sign(
        &self,
        endpoint: &Endpoint,
        address: &Address,
        payload: &Payload,
        now: SystemTime,
    ) -> Result<Signature, InvalidHeaderValue> {
        let time = seconds(now) % DAY;
        let date_time = format!("{}T{:02}{:02}{:02}Z", self.date, time / 3600, time / 60 % 60, time % 60);
        let length = payload.len().to_string();
        let signed = match self.token {
            Some(_) => "content-length;content-type;host;x-amz-date;x-amz-security-token",
            None => "content-length;content-type;host;x-amz-date",
        };
        let mut canonical = Context::new(&SHA256);
        let mut add = |parts: &[&[u8]]| parts.iter().for_each(|part| canonical.update(part));
        add(&[b"POST\n", address.canonical_path().as_bytes(), b"\n\n"]);
        add(&[b"content-length:", length.as_bytes(), b"\ncontent-type:", CONTENT_TYPE.as_bytes()]);
        add(&[b"\nhost:", endpoint.host().as_bytes(), b"\nx-amz-date:", date_time.as_bytes()]);
        if let Some(token) = &self.token {
            add(&[b"\nx-amz-security-token:", token.as_bytes()]);
        }
        add(&[b"\n\n", signed.as_bytes(), b"\n", payload.hash().as_bytes()]);
        let canonical = hex::encode(canonical.finish());
        let to_sign = format!("AWS4-HMAC-SHA256\n{date_time}\n{}\n{canonical}", self.scope);
        let signature = calculate_signature(&self.key, to_sign.as_bytes());
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={signed}, Signature={signature}",
            self.access_key_id, self.scope
        );
        let mut authorization = HeaderValue::try_from(authorization)?;
        authorization.set_sensitive(true);
        Ok(Signature { authorization, date_time: HeaderValue::try_from(date_time)?, token: self.token.clone() })
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// The date of a day since 1970.
fn date(day: u64) -> String {
    let midnight = i64::try_from(day * DAY).ok().and_then(|second| Timestamp::from_second(second).ok());
    let date = Offset::UTC.to_datetime(midnight.unwrap_or(Timestamp::MAX));
    format!("{:04}{:02}{:02}", date.year(), date.month(), date.day())
}
