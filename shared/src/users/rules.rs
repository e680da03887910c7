//! The rules of a user's fields (design 2.2). Each says what the value must be, in words a form can show.

use std::str::FromStr as _;

use email_address::EmailAddress;

use crate::error::{Error, FieldError};

/// Most characters of a full name.
pub const FULL_NAME_MAX: usize = 180;

/// Most characters of a country's name.
pub const COUNTRY_NAME_MAX: usize = 100;

/// Most characters of an e-mail address.
pub const EMAIL_MAX: usize = 254;

/// Fewest characters of a password.
pub const PASSWORD_MIN: usize = 8;

/// Most characters of a password.
pub const PASSWORD_MAX: usize = 128;

/// Most characters of a ban's reason.
pub const BAN_REASON_MAX: usize = 500;

/// Most characters of a photo's URL.
pub const PHOTO_URL_MAX: usize = 2048;

/// Collects every broken rule of a request, so that a form can mark all its fields at once.
#[derive(Default)]
pub struct Check(Vec<FieldError>);

impl Check {
    /// Notes the outcome of one rule.
    #[must_use]
    pub fn field(mut self, field: &str, outcome: Result<(), &'static str>) -> Self {
        if let Err(message) = outcome {
            self.0.push(FieldError { field: field.to_owned(), message: message.to_owned() });
        }
        self
    }

    /// # Errors
    /// [`Error::Validation`] if any rule was broken.
    pub fn finish(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Validation(self.0)) }
    }
}

fn rule(holds: bool, message: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(message) }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Whether a character shows nothing but changes how others show: separators of lines and paragraphs, marks, overrides
/// and isolates of direction, and what has no width. Not the joiners U+200C and U+200D, without which Persian names are
/// misspelt.
fn is_hidden(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// At least three words, at most 180 characters, no control characters or hidden ones.
pub fn full_name(name: &str) -> Result<(), &'static str> {
    let words = name.split_whitespace().count();
    let sound = words >= 3 && length(name) <= FULL_NAME_MAX && !name.chars().any(|c| c.is_control() || is_hidden(c));
    rule(sound, "must have at least three words and at most 180 characters, all of them visible")
}

/// ISO 3166 alpha-2, upper case.
pub fn country_code(code: &str) -> Result<(), &'static str> {
    let known = rust_iso3166::from_alpha2(code).is_some_and(|country| country.alpha2 == code);
    rule(known, "must be an ISO 3166 alpha-2 country code such as IR or DE")
}

/// Every code that [`country_code`] takes.
pub fn country_codes() -> impl Iterator<Item = &'static str> {
    rust_iso3166::ALL.iter().map(|country| country.alpha2)
}

/// 1 to 100 characters, none a control character or hidden.
pub fn country_name(name: &str) -> Result<(), &'static str> {
    let visible = !name.chars().any(|c| c.is_control() || is_hidden(c));
    let sound = !name.trim().is_empty() && length(name) <= COUNTRY_NAME_MAX && visible;
    rule(sound, "must have 1 to 100 characters, all of them visible")
}

/// E.164: a plus sign, a country code that does not begin with 0, 7 to 15 digits in all.
pub fn phone(number: &str) -> Result<(), &'static str> {
    let digits = number.strip_prefix('+').unwrap_or_default();
    let sound =
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    rule(sound, "must be an E.164 number such as +491701234567")
}

/// A bare address of at most 254 characters.
pub fn email(address: &str) -> Result<(), &'static str> {
    // `from_str` also reads `Name <address>`; whoever registers gives the address alone.
    let bare = EmailAddress::from_str(address).is_ok_and(|parsed| parsed.email() == address);
    rule(bare && length(address) <= EMAIL_MAX, "must be an e-mail address of at most 254 characters")
}

/// 8 to 128 characters.
pub fn password(password: &str) -> Result<(), &'static str> {
    rule((PASSWORD_MIN..=PASSWORD_MAX).contains(&length(password)), "must have 8 to 128 characters")
}

/// 1 to 500 characters, none hidden; it may have lines.
pub fn ban_reason(reason: &str) -> Result<(), &'static str> {
    let sound = !reason.trim().is_empty() && length(reason) <= BAN_REASON_MAX && !reason.chars().any(is_hidden);
    rule(sound, "must have 1 to 500 characters, all of them visible")
}

/// An https URL of at most 2,048 characters: a host name, a port if need be, and after it only characters that may
/// stand in a URL, so nothing that would break out of the attribute of a page it is put into.
pub fn photo_url(url: &str) -> Result<(), &'static str> {
    let rest = url.strip_prefix("https://").unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    let port = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let written = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#@!$&()*+,;=%".contains(&b));
    let escaped = |text: &str| text.len() >= 2 && text.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    let path = written && path.split('%').skip(1).all(escaped) && path.matches('#').count() <= 1;
    rule(
        host.split('.').all(label) && port && path && url.len() <= PHOTO_URL_MAX,
        "must be an https URL of at most 2048 characters, or null",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_has_three_words() {
        assert!(full_name("Sara Ahmadi Rad").is_ok());
        assert!(full_name(&format!("a b {}", "é".repeat(176))).is_ok());
        for bad in ["", "Sara", "Sara Ahmadi", "  Sara   Ahmadi  ", &format!("a b {}", "é".repeat(177)), "a b\u{0} c"]
        {
            assert!(full_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_hides_or_turns_text_around_is_in_no_name_and_no_reason() {
        for hidden in [
            "\u{202e}", "\u{2028}", "\u{2029}", "\u{2066}", "\u{2069}", "\u{200b}", "\u{200e}", "\u{2060}", "\u{61c}",
            "\u{feff}",
        ] {
            assert!(full_name(&format!("Sara Ahmadi R{hidden}ad")).is_err(), "{}", hidden.escape_unicode());
            assert!(country_name(&format!("Ir{hidden}an")).is_err(), "{}", hidden.escape_unicode());
            assert!(ban_reason(&format!("fr{hidden}aud")).is_err(), "{}", hidden.escape_unicode());
        }
        assert!(full_name("سید علی‌رضا حسینی").is_ok(), "a name with U+200C");
        assert!(ban_reason("می‌خواهد\nfraud 👩\u{200d}🍳").is_ok());
    }

    #[test]
    fn country_codes_are_those_of_iso_3166() {
        assert!(country_code("IR").is_ok() && country_code("DE").is_ok());
        for bad in ["", "de", "XX", "DEU", "D", "D1"] {
            assert!(country_code(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn phone_numbers_are_e164() {
        assert!(phone("+491701234567").is_ok() && phone("+989121234567").is_ok());
        for bad in [
            "",
            "+",
            "00491701234567",
            "+0491701234567",
            "+49 170 1234567",
            "+4917012345678901",
            "+12345",
            "+٤٩١٧٠١٢٣٤",
        ] {
            assert!(phone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_email_is_one_bare_address() {
        assert!(email("sara@example.com").is_ok() && email("s.a+b@mail.example.co.uk").is_ok());
        let long = format!("{}@{}.example", "a".repeat(64), "b".repeat(200));
        for bad in
            ["", "sara", "sara@", "@example.com", "a b@example.com", "Sara <sara@example.com>", "a@b@c.example", &long]
        {
            assert!(email(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn passwords_are_counted_in_characters() {
        assert!(password(&"é".repeat(8)).is_ok() && password(&"é".repeat(128)).is_ok());
        assert!(password(&"é".repeat(7)).is_err() && password(&"a".repeat(129)).is_err());
    }

    #[test]
    fn photos_are_https() {
        for good in ["https://cdn.example.com/a.png?x=1", "https://localhost:8443", "https://a/b%20c/(1)?d=e&f#g"] {
            assert!(photo_url(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "http://cdn.example.com/a.png",
            "https://",
            "/a.png",
            "javascript:alert(1)",
            "ftp://a/b",
            "https://a/\"onload=",
            "https://a b/",
            "https://me:pw@a/",
            "https://a.-b/",
            "https://a/\u{e9}",
            "https://a/%",
            "https://a/%2",
            "https://a/%zz",
            "https://a/#b#c",
        ] {
            assert!(photo_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_broken_rule_is_reported() {
        let outcome = Check::default()
            .field("email", email("x"))
            .field("phone", phone("+491701234567"))
            .field("password", password("x"));
        let Err(Error::Validation(details)) = outcome.finish() else { panic!("expected a validation error") };
        assert_eq!(details.iter().map(|d| d.field.as_str()).collect::<Vec<_>>(), ["email", "password"]);
    }
}
