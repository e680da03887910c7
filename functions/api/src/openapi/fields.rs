//! The schemas of what clients may write, which say the same as the rules in `shared::users::rules`.
//!
//! Patterns list what may not be in a text. They are those of ECMA-262, as JSON Schema has them, and mean the same to every
//! reader we know: those of Python and Rust, and JavaScript's, which must also be able to read them without its flag `u`.
//! That is why no range in them begins beyond U+FFFF: without the flag it would seem to end before its beginning. And what
//! is read to make texts of it, as property testers do, spells out every class: no class outside a lookahead has many
//! characters, unless it is one of a property or one of what is not in it. Where a joiner is needed no pattern says.

use std::sync::LazyLock;

use shared::users::{rules, visible};
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, SchemaFormat, Type,
    schema::{Object, SchemaType},
};

/// Below this code point what is hidden is listed with each class; from it on it is so much that a lookahead has it.
const LISTED_BELOW: char = '\u{d7ff}';

/// The last code point before planes of which nothing is seen.
const LAST: char = '\u{dffff}';

/// White space that is no control character: what a word ends with.
static SPACE: LazyLock<String> = LazyLock::new(|| {
    listed(|character| character.is_whitespace() && !character.is_control() && !visible::is_hidden(character))
});

/// What a text may have that is one line, and what one may have that has lines, and what is more than space in these.
static LINE: LazyLock<String> = LazyLock::new(|| seen(|character| !character.is_control()));
static LINES: LazyLock<String> =
    LazyLock::new(|| seen(|character| !character.is_control() || rules::LAYOUT.contains(&character)));
static WORD: LazyLock<String> =
    LazyLock::new(|| seen(|character| !character.is_control() && !character.is_whitespace()));

/// How a pattern begins of a text without what is hidden: with that which is beyond [`LISTED_BELOW`].
static NOTHING_HIDDEN: LazyLock<String> = LazyLock::new(|| {
    let beyond = visible::hidden().into_iter().filter(|(first, _)| *first > LISTED_BELOW);
    let written = beyond.map(|(first, last)| match u32::from(first) {
        0..=0xffff => range(first, last),
        _ => (first..=last).collect(),
    });
    format!(r"^(?![\s\S]*(?:[{}]|[^\u0000-{LAST}]))", written.collect::<String>())
});

/// A class of the characters that are to be had of those that are seen, as what is not in it.
fn seen(wanted: impl Fn(char) -> bool) -> String {
    format!("[^{}]", listed(|character| !wanted(character) || visible::is_hidden(character)))
}

/// The ranges of these characters below [`LISTED_BELOW`].
fn listed(wanted: impl Fn(char) -> bool) -> String {
    let mut ranges = Vec::<(char, char)>::new();
    for character in ('\0'..LISTED_BELOW).filter(|character| wanted(*character)) {
        match ranges.last_mut() {
            Some((_, end)) if u32::from(*end) + 1 == u32::from(character) => *end = character,
            _ => ranges.push((character, character)),
        }
    }
    ranges.into_iter().map(|(first, last)| range(first, last)).collect()
}

fn range(first: char, last: char) -> String {
    let escaped = |character: char| format!("\\u{:04x}", u32::from(character));
    if first == last { escaped(first) } else { format!("{}-{}", escaped(first), escaped(last)) }
}

/// A letter, and what makes a word without one.
const LETTER: &str = r"\p{L}";
const LETTER_OR_NUMBER: &str = r"[\p{L}\p{N}]";

/// How a pattern goes on of a text that has a letter somewhere.
const A_LETTER: &str = r"(?=[^\p{L}]*\p{L})";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// [`rules::full_name`]. Three words with a letter or a number each, and one of these a letter.
pub(crate) fn full_name() -> Object {
    // No two parts of it that follow each other match the same character, or what is no name would take its readers minutes.
    let (line, word) = (LINE.trim_end_matches(']'), format!("{}{}]", LINE.trim_end_matches(']'), *SPACE));
    let (before, first) = (format!(r"{line}\p{{L}}\p{{N}}]*"), LETTER_OR_NUMBER);
    let words = format!("(?:{before}{first}{word}*[{}]){{2}}{before}{first}{}*", *SPACE, *LINE);
    text()
        .description(Some(
            "At least three words of letters or numbers, not all of them numbers; nothing hidden, and the joiners U+200C and U+200D only where letters \
             need them.",
        ))
        .pattern(Some(format!("{}{A_LETTER}{words}$", *NOTHING_HIDDEN)))
        .min_length(Some(5))
        .max_length(Some(rules::FULL_NAME_MAX))
        .examples(["Sara Ahmadi Rad"])
        .build()
}

/// [`rules::country_code`].
pub(crate) fn country_code() -> Object {
    text()
        .description(Some("ISO 3166 alpha-2, or `XK` for Kosovo."))
        .enum_values(Some(rules::country_codes()))
        .examples(["IR"])
        .build()
}

/// [`rules::country_name`].
pub(crate) fn country_name() -> Object {
    text()
        .description(Some(
            "As the client shows it; with a letter, and nothing hidden. The joiners U+200C and U+200D only where letters \
             need them.",
        ))
        .pattern(Some(format!("{}{1}*{LETTER}{1}*$", *NOTHING_HIDDEN, *LINE)))
        .min_length(Some(1))
        .max_length(Some(rules::COUNTRY_NAME_MAX))
        .examples(["Iran"])
        .build()
}

/// [`rules::phone`].
pub(crate) fn phone() -> Object {
    text()
        .description(Some("E.164."))
        .pattern(Some(r"^\+[1-9][0-9]{6,14}$"))
        .min_length(Some(8))
        .max_length(Some(16))
        .examples(["+989121234567"])
        .build()
}

/// [`rules::email`].
pub(crate) fn email() -> Object {
    text()
        .description(Some(
            "A bare address that mail can be sent to: ASCII before the `@`, and after it an Internet domain, in any script, \
             with a dot; no address literal. One mailbox is one account, however it is spelt: case, Punycode and normal \
             form make no difference.",
        ))
        .format(Some(SchemaFormat::Custom("idn-email".to_owned())))
        .max_length(Some(rules::EMAIL_MAX))
        .examples(["sara@example.com"])
        .build()
}

/// [`rules::password`], for a password that is chosen.
pub(crate) fn password() -> Object {
    text()
        .description(Some(
            "Without control characters, characters that Unicode has not assigned, and what is hidden; joiners as in names. \
             It is read by the profile OpaqueString of RFC 8265, and its characters are counted then: in NFC, and with \
             every space a plain one. Some of what that profile refuses is accepted, as keyboards type it and everybody \
             sees it: the tatweel (U+0640) and other signs that lengthen or repeat letters, Arabic-Indic digits of both \
             kinds in one password, Arabic signs of numbers, letters of old Hangul and tone marks, signs such as the \
             middle dot (U+00B7) beside whatever they stand, and emoji put together of several characters.",
        ))
        .pattern(Some(format!("{}{}*$", *NOTHING_HIDDEN, *LINE)))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .min_length(Some(*rules::PASSWORD_LENGTH.start()))
        .max_length(Some(*rules::PASSWORD_LENGTH.end()))
        .examples(["correct horse"])
        .build()
}

/// [`rules::ban_reason`].
pub(crate) fn ban_reason() -> Object {
    text()
        .description(Some(
            "For administrators; the user is not told. Not blank, and nothing hidden; the joiners U+200C and U+200D only \
             where letters need them. It may have lines and tabs, and no other control characters.",
        ))
        .pattern(Some(format!("{}{1}*{2}{1}*$", *NOTHING_HIDDEN, *LINES, *WORD)))
        .min_length(Some(1))
        .max_length(Some(rules::BAN_REASON_MAX))
        .examples(["fraud"])
        .build()
}

/// [`rules::photo_url`], or null.
pub(crate) fn photo_url() -> Object {
    let label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    let last = "[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    let byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    let port = "(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[0-5]?[0-9]{1,4}))?";
    let written = "([A-Za-z0-9._~:/?@!$&()*+,;=-]|%[0-9A-Fa-f]{2})*";
    let host = format!(r"(({label}\.)*{last}|{byte}(\.{byte}){{3}})");
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
        .description(Some(
            "An https URL that browsers read; it is stored as their parser prints it, which is no longer either. Null removes the photo.",
        ))
        .pattern(Some(format!(r"^https://{host}{port}([/?]{written})?(#{written})?$")))
        .max_length(Some(rules::PHOTO_URL_MAX))
        .examples(["https://cdn.example.com/sara.png"])
        .build()
}

#[cfg(test)]
mod tests {
    use fancy_regex::Regex;
    use proptest::{collection::vec, prelude::*, sample::select, string::string_regex};
    use shared::passwords::Passwords;

    use super::*;

    type Rule = fn(&str) -> Result<(), &'static str>;

    /// Every field with a rule of its own, but for e-mail addresses, of which the document only says the format.
    const FIELDS: [(fn() -> Object, Rule); 7] = [
        (full_name, rules::full_name),
        (country_code, rules::country_code),
        (country_name, rules::country_name),
        (phone, rules::phone),
        (password, rules::password),
        (ban_reason, rules::ban_reason),
        (photo_url, |url| rules::photo_url(url).map(drop)),
    ];

    /// The place of passwords in [`FIELDS`].
    const PASSWORD: usize = 4;

    /// Whether a text has something of which no pattern says where it may stand or what it is worth: joiners, the
    /// selector of coloured emoji, labels that claim to be Punycode, passwords whose characters are
    /// counted otherwise or are not assigned, of which readers of patterns know different ones.
    fn beyond_patterns(text: &str) -> bool {
        let count = |text: &str| text.chars().count();
        text.contains(['\u{200c}', '\u{200d}', '\u{fe0f}'])
            || text.to_lowercase().contains("xn--")
            || !visible::is_assigned(text)
            || count(&Passwords::prepared(text)) != count(text)
    }

    fn allows(schema: &Object, text: &str) -> bool {
        let length = text.chars().count();
        let lengths = schema.min_length.unwrap_or(0)..=schema.max_length.unwrap_or(usize::MAX);
        let listed = schema.enum_values.as_ref().is_none_or(|values| values.iter().any(|value| value == text));
        let matches = |pattern: &String| Regex::new(pattern).unwrap().is_match(text).unwrap();
        lengths.contains(&length) && listed && schema.pattern.as_ref().is_none_or(matches)
    }

    /// What a schema allows, as far as its pattern goes.
    fn allowed(schema: &Object) -> BoxedStrategy<String> {
        let listed = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        match (&schema.enum_values, &schema.pattern) {
            (Some(values), _) => select(values.iter().map(listed).collect::<Vec<_>>()).boxed(),
            (_, Some(pattern)) => {
                let pattern = pattern.strip_prefix(&*NOTHING_HIDDEN).unwrap_or(pattern);
                let pattern = pattern.strip_prefix(A_LETTER).unwrap_or(pattern);
                string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap().boxed()
            }
            _ => any::<String>().boxed(),
        }
    }

    /// Characters that mean something to a rule, and others.
    fn character() -> impl Strategy<Value = char> {
        let telling = "%#/?:@.-+0a'\"<\\ \n\0\u{85}\u{a0}\u{ad}\u{200b}\u{200c}\u{2028}\u{202e}\u{2800}\u{3000}\u{fe0f}\u{feff}\u{e0041}";
        prop_oneof![3 => select(telling.chars().collect::<Vec<_>>()), 1 => any::<char>()]
    }

    /// A text with some of it replaced.
    fn edited(text: String) -> impl Strategy<Value = String> {
        let times = prop_oneof![9 => 0..3_usize, 1 => 0..2100_usize];
        vec((any::<prop::sample::Index>(), 0..3_usize, character(), times), 0..3).prop_map(move |edits| {
            let mut text = text.chars().collect::<Vec<_>>();
            for (place, removed, character, times) in edits {
                let place = place.index(text.len() + 1);
                let end = text.len().min(place + removed);
                text.splice(place..end, std::iter::repeat_n(character, times));
            }
            text.into_iter().collect()
        })
    }

    /// Property testers spell classes out, once for each text they make: with a million characters that takes minutes.
    #[test]
    fn no_class_outside_a_lookahead_spells_out_many_characters() {
        let class = Regex::new(r"\[([^\]]*)\]").unwrap();
        let range = Regex::new(r"(\\u[0-9a-f]{4}|.)-(\\u[0-9a-f]{4}|.)").unwrap();
        let code_point = |text: &str| match text.strip_prefix("\\u") {
            Some(digits) => u32::from_str_radix(digits, 16).unwrap(),
            None => text.chars().map(u32::from).sum(),
        };
        for (field, _) in FIELDS {
            let pattern = field().pattern.unwrap_or_default();
            let pattern = pattern.strip_prefix(&*NOTHING_HIDDEN).unwrap_or(&pattern);
            for class in class.captures_iter(pattern).map(|found| found.unwrap()[1].to_owned()) {
                let ends = range.captures_iter(class.as_str()).map(Result::unwrap);
                let characters: u32 = ends.map(|ends| code_point(&ends[2]) - code_point(&ends[1]) + 1).sum();
                assert!(characters < 10_000, "{characters} in [{class}]");
            }
        }
    }

    #[test]
    fn a_password_is_counted_by_its_rule_in_nfc_and_by_the_document_as_it_is_written() {
        let (schema, rule) = FIELDS[PASSWORD];
        let seven_that_become_eight = "%%:\u{f9d}`%%";
        assert!(rule(seven_that_become_eight).is_ok() && !allows(&schema(), seven_that_become_eight));
        assert!(beyond_patterns(seven_that_become_eight));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_document_allows_what_the_rules_allow(
            (field, text) in (0..FIELDS.len()).prop_flat_map(|field| {
                (Just(field), allowed(&FIELDS[field].0()).prop_flat_map(edited))
            }),
        ) {
            let (schema, rule) = FIELDS[field];
            let schema = schema();
            let (allowed, right) = (allows(&schema, &text), rule(&text).is_ok());
            prop_assert!(allowed == right || beyond_patterns(&text), "{:?} and {:?}", text, schema.description);
            // The document counts what is written, and the rule of passwords what NFC makes of it, which may be more
            // (U+0F9D becomes two characters) or less.
            let length = text.chars().count();
            let is_counted_otherwise = schema.max_length.is_some_and(|most| length > most)
                || field == PASSWORD && schema.min_length.is_some_and(|least| length < least);
            prop_assert!(allowed || !right || is_counted_otherwise);
        }
    }
}
