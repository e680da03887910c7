//! E-mail addresses: one mailbox has one form, however it is spelt, and that form is what is compared, counted and sent
//! to.
//!
//! Of the domain that is its ASCII form by UTS #46, in which Punycode and Unicode spellings, cases and normal forms are
//! the same; of the part before the `@` it is lower case, although a server might tell cases apart. None does.

use std::borrow::Cow;

use email_address::EmailAddress;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::visible::is_visible;

/// Most characters of an e-mail address, as typed and as sent to.
pub const EMAIL_MAX: usize = 254;

/// What is none at all.
const NONE: &str = "must be an e-mail address of at most 254 characters";

/// Amazon SES delivers to no other: <https://docs.aws.amazon.com/ses/latest/dg/send-email-raw.html>.
const LOCAL: &str = "must have only ASCII letters, digits and signs before the @, as nothing can be sent to others";

/// Nor to an address literal, or to a host of the sender's own network.
const DOMAIN: &str = "must have an Internet domain after the @, such as example.com";

/// The address of somebody who can be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The part before the `@`, in the case of its letters.
    local: String,
    /// The part after the `@`, in ASCII and lower case.
    domain: String,
}

impl Mailbox {
    /// Reads a bare address in which everything is seen.
    ///
    /// # Errors
    /// What the address must be, in words a form can show.
    pub fn parse(address: &str) -> Result<Self, &'static str> {
        let mailbox = Self::read(address)?;
        let (local, domain) = address.rsplit_once('@').ok_or(NONE)?;
        if local.contains(|character: char| character.is_control()) {
            return Err(NONE);
        }
        // Of these UTS #46 takes no notice.
        if is_visible(domain) { Ok(mailbox) } else { Err(DOMAIN) }
    }

    /// Reads a bare address, also one that was accepted once with something in it that nobody sees.
    fn read(address: &str) -> Result<Self, &'static str> {
        let (local, domain) = address.rsplit_once('@').ok_or(NONE)?;
        if !local.is_ascii() {
            return Err(LOCAL);
        }
        if address.chars().count() > EMAIL_MAX || !EmailAddress::is_valid_local_part(local) {
            return Err(NONE);
        }
        let domain = ascii(domain).ok_or(DOMAIN)?.into_owned();
        let (_, last) = domain.rsplit_once('.').ok_or(DOMAIN)?;
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DOMAIN);
        }
        let mailbox = Self { local: unquoted(local), domain };
        if mailbox.address().len() > EMAIL_MAX { Err(NONE) } else { Ok(mailbox) }
    }

    /// The address in ASCII, with the part before the `@` as it was typed: where mail goes.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }
}

/// The form in which addresses are compared. Of a text that is no address, which a login may be sent, it is lower case,
/// with the domain in ASCII if it has one.
#[must_use]
pub fn canonical(address: &str) -> String {
    if let Ok(mailbox) = Mailbox::read(address) {
        return mailbox.address().to_ascii_lowercase();
    }
    let Some((local, domain)) = address.rsplit_once('@') else { return address.to_lowercase() };
    match ascii(domain) {
        Some(domain) => format!("{}@{domain}", local.to_lowercase()),
        None => address.to_lowercase(),
    }
}

/// Where mail to an address goes: with the domain in Punycode if it is written in a script of its own.
#[must_use]
pub fn deliverable(address: &str) -> Cow<'_, str> {
    // What is ASCII already stays as it was typed.
    match Mailbox::read(address) {
        Ok(mailbox) if !address.is_ascii() => Cow::Owned(mailbox.address()),
        _ => Cow::Borrowed(address),
    }
}

/// Every form in which a row may have the address as its key, the likeliest owner first. Until addresses were made
/// canonical that was the typed one in lower case: accounts of then are found by what was typed then, by the domain in
/// either script, and in either normal form, as keyboards and systems differ in these. An address in plain ASCII has only
/// one form.
pub(super) fn keys(address: &str) -> Vec<String> {
    let typed = address.to_lowercase();
    let unicode = in_its_own_script(&typed).unwrap_or_else(|| typed.clone());
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(&unicode).into_owned();
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&unicode).into_owned();
    let mut keys = Vec::new();
    for key in [typed, canonical(address), composed, decomposed] {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// An address with its domain in Unicode, if that is a domain.
fn in_its_own_script(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let (unicode, outcome) = Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    outcome.is_ok().then(|| format!("{local}@{unicode}"))
}

/// A domain in ASCII and lower case, if it is one.
fn ascii(domain: &str) -> Option<Cow<'_, str>> {
    let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    Uts46::new().to_ascii(domain.as_bytes(), deny, hyphens, DnsLength::Verify).ok()
}

/// `"sara"@…` is `sara@…`; quotes stay where something needs them.
fn unquoted(local: &str) -> String {
    let Some(quoted) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return local.to_owned() };
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' { characters.next().unwrap_or(character) } else { character });
    }
    if !text.starts_with('"') && EmailAddress::is_valid_local_part(&text) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_email_is_one_bare_address() {
        for good in ["sara@example.com", "s.a+b@mail.example.co.uk", "\"a b\"@example.com", "sara@bücher.example"] {
            assert!(Mailbox::parse(good).is_ok(), "{good}");
        }
        let long = format!("{}@{}.example", "a".repeat(64), "b".repeat(200));
        // Short enough as typed, too long as sent to.
        let long_in_ascii = format!("{}@{}.example", "a".repeat(64), ["ü".repeat(50), "ö".repeat(50)].join("."));
        assert!(Mailbox::parse(&long_in_ascii).is_ok());
        let long_in_ascii = format!("{}@{}.example", "a".repeat(64), vec!["ü".repeat(40); 4].join("."));
        for bad in [
            "",
            "sara",
            "sara@",
            "@example.com",
            "a b@example.com",
            "Sara <sara@example.com>",
            "a@b@c.example",
            &long,
            &long_in_ascii,
            "a..b@example.com",
            "sara@example.com.",
            "sara@.example.com",
        ] {
            assert!(Mailbox::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_ses_does_not_deliver_to_is_refused_for_that_reason() {
        for local in ["sára@example.com", "سارا@example.com", "sara\u{200d}@example.com", "\u{ff53}ara@example.com"]
        {
            assert_eq!(Mailbox::parse(local), Err(LOCAL), "{local}");
        }
        for domain in [
            "a@localhost",
            "a@[192.0.2.1]",
            "a@[IPv6:::1]",
            "a@192.0.2.1",
            "a@xn--a.example",
            "a@b_c.example",
            "a@b..c",
        ] {
            assert_eq!(Mailbox::parse(domain), Err(DOMAIN), "{domain}");
        }
    }

    #[test]
    fn what_nobody_sees_is_in_no_new_address_and_an_older_one_is_still_sent_to() {
        for hidden in ["\u{ad}", "\u{200b}", "\u{2060}", "\u{fe0f}", "\u{feff}"] {
            let address = format!("sara@b\u{fc}{hidden}cher.example");
            assert_eq!(Mailbox::parse(&address), Err(DOMAIN), "{}", hidden.escape_unicode());
            assert_eq!(canonical(&address), "sara@xn--bcher-kva.example", "{}", hidden.escape_unicode());
            assert_eq!(deliverable(&address), "sara@xn--bcher-kva.example", "{}", hidden.escape_unicode());
        }
        for control in ['\0', '\t', '\n', '\r', '\u{7f}'] {
            for local in [format!("\"a{control}b\""), format!("\"a\\{control}b\""), format!("a{control}b")] {
                assert!(Mailbox::parse(&format!("{local}@example.com")).is_err(), "{}", local.escape_unicode());
            }
        }
    }

    #[test]
    fn spellings_of_one_mailbox_have_one_form() {
        for spelling in [
            "sara@bücher.example",
            "sara@bu\u{308}cher.example",
            "SARA@BÜCHER.EXAMPLE",
            "sara@xn--bcher-kva.example",
            "Sara@XN--BCHER-KVA.example",
            "sara@ｂücher．example",
            "\"sara\"@bücher.example",
            "\"s\\ara\"@bücher.example",
        ] {
            assert_eq!(canonical(spelling), "sara@xn--bcher-kva.example", "{spelling}");
        }
        assert_ne!(canonical("sara@example.com"), canonical("sara@example.org"));
        assert_ne!(canonical("\"sara b\"@example.com"), canonical("sarab@example.com"));
    }

    #[test]
    fn mail_goes_to_the_domain_in_punycode_and_else_to_what_was_typed() {
        assert_eq!(deliverable("Sara@Bücher.example"), "Sara@xn--bcher-kva.example");
        assert_eq!(deliverable("Sara@Example.COM"), "Sara@Example.COM");
        assert_eq!(deliverable("sára@example.com"), "sára@example.com", "SES says what it thinks of it");
    }

    proptest! {
        #[test]
        fn any_spelling_of_a_domain_is_the_same_mailbox(
            name in "[a-z]{1,8}[äöüßéñøçšžăπжאقहक中]{1,6}", upper in any::<bool>(), decomposed in any::<bool>(),
        ) {
            let typed = format!("Sara@{name}.example");
            let mut spelling = typed.clone();
            if decomposed {
                spelling = DecomposingNormalizerBorrowed::new_nfd().normalize(&spelling).into_owned();
            }
            // There is no capital letter that is always the one of ß.
            if upper && !name.contains('ß') {
                spelling = spelling.to_uppercase();
            }
            prop_assume!(Mailbox::parse(&typed).is_ok());
            let punycode = Mailbox::parse(&typed).map(|mailbox| mailbox.address()).unwrap_or_default();
            prop_assert!(punycode.is_ascii());
            prop_assert_eq!(canonical(&typed), canonical(&spelling));
            prop_assert_eq!(canonical(&typed), canonical(&punycode));
            prop_assert!(keys(&spelling).contains(&canonical(&typed)));
            // A row of before, written as it was typed then, is found by any of these spellings.
            let before = spelling.to_lowercase();
            prop_assert!(keys(&typed).contains(&before), "{:?}", keys(&typed));
            prop_assert!(keys(&punycode).contains(&before), "{:?}", keys(&punycode));
            prop_assert!(keys(&punycode).contains(&typed.to_lowercase()), "{:?}", keys(&punycode));
        }

        #[test]
        fn a_canonical_form_is_its_own_whatever_was_typed(text in any::<String>()) {
            prop_assert_eq!(canonical(&canonical(&text)), canonical(&text));
        }
    }
}
