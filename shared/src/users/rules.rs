//! The rules of a user's fields. Each says what the value must be, in words a form can show.

use std::ops::RangeInclusive;

use url::{Host, Url};

pub use super::mailbox::EMAIL_MAX;
use super::{
    mailbox::Mailbox,
    visible::{is_assigned, is_visible, words},
};
use crate::{
    error::{Error, FieldError},
    passwords::Passwords,
};

/// Most characters of a full name.
pub const FULL_NAME_MAX: usize = 180;

/// Most characters of a country's name.
pub const COUNTRY_NAME_MAX: usize = 100;

/// Characters of a password, also of the administrator's.
pub const PASSWORD_LENGTH: RangeInclusive<usize> = 8..=128;

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

/// At least three words of letters or numbers, not all of them numbers, at most 180 characters, no control characters, nothing hidden.
pub fn full_name(name: &str) -> Result<(), &'static str> {
    let sound = words(name) >= 3 && length(name) <= FULL_NAME_MAX && !name.chars().any(char::is_control);
    rule(
        sound && is_visible(name),
        "must have at least three words of letters or numbers, not all of them numbers, and at most 180 characters, all \
         of them visible",
    )
}

/// Not ISO's, which has none for it, but what people in Kosovo use, and their phones, Unicode's CLDR and the European
/// Commission.
const KOSOVO: &str = "XK";

/// ISO 3166 alpha-2, upper case, or `XK`.
pub fn country_code(code: &str) -> Result<(), &'static str> {
    let known = rust_iso3166::from_alpha2(code).is_some_and(|country| country.alpha2 == code);
    rule(known || code == KOSOVO, "must be an ISO 3166 alpha-2 country code such as IR or DE, or XK")
}

/// Every code that [`country_code`] takes.
pub fn country_codes() -> impl Iterator<Item = &'static str> {
    rust_iso3166::ALL.iter().map(|country| country.alpha2).chain([KOSOVO])
}

/// 1 to 100 characters, one of them a letter, none a control character or hidden.
pub fn country_name(name: &str) -> Result<(), &'static str> {
    let visible = !name.chars().any(char::is_control) && is_visible(name);
    let sound = words(name) >= 1 && length(name) <= COUNTRY_NAME_MAX && visible;
    rule(sound, "must have 1 to 100 characters, all of them visible and one of them a letter")
}

/// E.164: a plus sign, a country code that does not begin with 0, 7 to 15 digits in all.
pub fn phone(number: &str) -> Result<(), &'static str> {
    let digits = number.strip_prefix('+').unwrap_or_default();
    let sound =
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    rule(sound, "must be an E.164 number such as +491701234567")
}

/// A bare address of at most 254 characters that mail can be sent to.
pub fn email(address: &str) -> Result<(), &'static str> {
    Mailbox::parse(address).map(drop)
}

/// 8 to 128 characters, as they are hashed: none a control character, unknown to Unicode or hidden. Of these OpaqueString
/// has nothing either (RFC 8264, FreeformClass), as the next keyboard might not type them.
///
/// Of what that profile refuses beside them nothing is refused here: its exceptions (tatweel, repetition and tone marks),
/// old Hangul jamo, what it wants certain neighbours for (the middle dot, digits of both Arabic kinds), signs of Arabic
/// numbers, and the joiners and selectors of emoji. All of that is seen and typed, and a password is compared with nothing
/// but itself; the profile has these rules in common with names, which may be mistaken for others.
pub fn password(password: &str) -> Result<(), &'static str> {
    let prepared = Passwords::prepared(password);
    let typed = !prepared.chars().any(char::is_control) && is_assigned(&prepared) && is_visible(&prepared);
    let sound = PASSWORD_LENGTH.contains(&length(&prepared)) && typed;
    rule(sound, "must have 8 to 128 characters, all of them visible or spaces, and no control character such as a tab")
}

/// The control characters of a text that has lines.
pub const LAYOUT: [char; 3] = ['\n', '\r', '\t'];

/// 1 to 500 characters, none hidden; of control characters it may have [`LAYOUT`].
pub fn ban_reason(reason: &str) -> Result<(), &'static str> {
    let control = reason.chars().any(|character| character.is_control() && !LAYOUT.contains(&character));
    let sound = !reason.trim().is_empty() && length(reason) <= BAN_REASON_MAX && !control && is_visible(reason);
    rule(sound, "must have 1 to 500 characters, all of them visible, but for line breaks and tabs")
}

/// What is wrong with a photo's URL.
const PHOTO: &str = "must be an https URL of at most 2048 characters that browsers read, or null";

/// An https URL of at most 2,048 characters, as it is typed and as it is stored: a host name or IPv4 address, a port if need be, and after it only characters
/// that may stand in a URL, so nothing that would break out of the attribute of a page it is put into. And it is one to
/// the parser of browsers, whose spelling of it this is.
pub fn photo_url(url: &str) -> Result<String, &'static str> {
    let rest = url.strip_prefix("https://").unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let port = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    let written = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#@!$&()*+,;=%".contains(&b));
    let escaped = |text: &str| text.len() >= 2 && text.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    let path = written && path.split('%').skip(1).all(escaped) && path.matches('#').count() <= 1;
    if !(host.split('.').all(label) && port && path && url.len() <= PHOTO_URL_MAX) {
        return Err(PHOTO);
    }
    // Browsers read `https://1` and `https://0x7f.1` as addresses; nobody writes them so.
    let parsed = Url::parse(url).map_err(|_| PHOTO)?;
    let sound = match parsed.host() {
        Some(Host::Domain(name)) => name.rsplit('.').next().is_some_and(|top| top.starts_with(char::is_alphabetic)),
        Some(Host::Ipv4(address)) => address.to_string() == host,
        _ => false,
    };
    // Without a path it gets a slash.
    if sound && parsed.as_str().len() <= PHOTO_URL_MAX { Ok(parsed.into()) } else { Err(PHOTO) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        for control in ["\0", "\u{8}", "\u{b}", "\u{1b}", "\u{7f}", "\u{85}"] {
            assert!(ban_reason(&format!("fr{control}aud")).is_err(), "{}", control.escape_unicode());
        }
        assert!(ban_reason("fraud:\r\n\ttwice").is_ok());
        assert!(ban_reason("می‌خواهد\nfraud 👩\u{200d}🍳").is_ok());
    }

    #[test]
    fn country_codes_are_those_of_iso_3166() {
        assert!(country_code("IR").is_ok() && country_code("DE").is_ok());
        assert!(country_code("XK").is_ok() && country_codes().any(|code| code == "XK"));
        for bad in ["", "de", "xk", "XX", "DEU", "D", "D1"] {
            assert!(country_code(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_country_name_has_a_letter() {
        assert!(country_name("Iran").is_ok() && country_name("ایران").is_ok() && country_name("中").is_ok());
        for bad in ["", " ", "…", "1", "- -", "\u{301}", "\u{e000}"] {
            assert!(country_name(bad).is_err(), "{}", bad.escape_unicode());
        }
    }

    #[test]
    fn the_words_of_a_full_name_are_letters_or_numbers_and_not_only_numbers() {
        assert!(full_name("John Smith 3").is_ok() && full_name("a 1 2").is_ok());
        for bad in ["1 2 3", "Sara Ahmadi …", "a - 2"] {
            assert!(full_name(bad).is_err(), "{bad}");
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
    fn passwords_are_counted_in_characters() {
        assert!(password(&"é".repeat(8)).is_ok() && password(&"é".repeat(128)).is_ok());
        assert!(password(&"é".repeat(7)).is_err() && password(&"a".repeat(129)).is_err());
        assert!(password(&"e\u{301}".repeat(128)).is_ok() && password(&"e\u{301}".repeat(7)).is_err());
        assert!(password("correct\u{a0}horse").is_ok());
        for control in ["\t", "\n", "\0", "\u{7f}", "\u{85}"] {
            assert!(password(&format!("correct{control}horse")).is_err(), "{}", control.escape_unicode());
        }
    }

    #[test]
    fn what_the_next_keyboard_does_not_type_is_in_no_password() {
        for odd in ["\u{ad}", "\u{200b}", "\u{fdd0}", "\u{ffff}", "\u{e000}", "\u{378}", "\u{e0041}", "\u{202e}"] {
            assert!(password(&format!("correct{odd}horse")).is_err(), "{}", odd.escape_unicode());
        }
        for good in ["اسب می‌خواهد", "correct ❤️ horse", "correct\u{3000}horse", "pässwörter"] {
            assert!(password(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_typed_and_seen_is_in_passwords_although_opaque_string_refuses_it() {
        for (what, beyond) in [
            ("tatweel", "ســلام"),
            ("N'Ko lajanyalan", "ߒߺߞߏ"),
            ("repetition marks of vertical kana", "\u{3031}\u{3033}\u{3034}\u{3035}\u{303b}"),
            ("Hangul tone marks", "가\u{302e}나\u{302f}"),
            ("digits of both Arabic kinds", "١٢٣۴۵۶"),
            ("Arabic signs of numbers", "\u{600}٥\u{6dd}٧"),
            ("old Hangul", "\u{1140}\u{1175}\u{11eb}\u{a960}\u{d7b0}"),
            ("a middle dot not between two l", "a·b"),
            ("a Greek number sign before what is not Greek", "a\u{375}b"),
            ("a Hebrew geresh and gershayim after what is not Hebrew", "a\u{5f3}b\u{5f4}"),
            ("a katakana middle dot among letters of other scripts", "a・b"),
            ("an emoji", "🐴"),
            ("an emoji of several characters", "👩🏽\u{200d}🍳❤\u{fe0f}"),
        ] {
            assert!(password(&format!("correct {beyond} horse")).is_ok(), "{what}");
        }
    }

    #[test]
    fn a_photo_is_no_longer_as_it_is_stored_than_it_may_be() {
        let long = |start: &str| format!("{start}{}", "a".repeat(PHOTO_URL_MAX - start.len()));
        assert!(photo_url(&long("https://a/?")).is_ok());
        assert!(photo_url(&long("https://a?")).is_err(), "it gets a slash");
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
            "https://a:/",
            "https://a:65536/",
            "https://a:b/",
            "https://1.2.3.256/",
            "https://1.2.3/",
            "https://1.2.3.04/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://xn--a/",
            "https://xn--a.example/",
        ] {
            assert!(photo_url(bad).is_err(), "{bad}");
        }
        for (typed, printed) in [
            ("https://CDN.example.com", "https://cdn.example.com/"),
            ("https://a:443/b/../c?d#e", "https://a/c?d#e"),
            ("https://127.0.0.1:08443/%7e", "https://127.0.0.1:8443/%7e"),
            ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ] {
            assert_eq!(photo_url(typed).as_deref(), Ok(printed));
            assert_eq!(photo_url(printed).as_deref(), Ok(printed), "as it is printed it stays");
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

    proptest! {
        #[test]
        fn a_photo_as_it_is_stored_is_accepted_and_stays(
            host in "[A-Za-z0-9.-]{1,12}", port in "(:[0-9]{1,5})?", path in "([/?#]([a-z._~:/?#@!$&()*+,;=-]|%[0-9A-F]{2}|%2e){0,20})?",
            long in prop_oneof![3 => Just(0), 1 => 2000..2048_usize],
        ) {
            if let Ok(printed) = photo_url(&format!("https://{host}{port}{path}{}", "a".repeat(if path.is_empty() { 0 } else { long }))) {
                prop_assert_eq!(photo_url(&printed), Ok(printed));
            }
        }
    }
}
