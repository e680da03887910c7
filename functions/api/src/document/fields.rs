//! The schemas of what clients may write, which say the same as the rules in `shared::users::rules`.
//!
//! Patterns spell out white space and control characters: `\s` and `\p{…}` mean different things to different readers.

use shared::users::rules;
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, SchemaFormat, Type,
    schema::{Object, SchemaType},
};

/// White space of Unicode, control characters and [`HIDDEN`] ones among it left out.
const SPACE: &str = r"\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000";

/// White space that is a control character at the same time.
const CONTROL_SPACE: &str = r"\u0009-\u000d\u0085";

/// Control characters.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";

/// What shows nothing but changes how other characters show.
const HIDDEN: &str = r"\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// [`rules::full_name`].
pub(crate) fn full_name() -> Object {
    let (space, word) = (format!("[{SPACE}]"), format!("[^{SPACE}{CONTROL}{HIDDEN}]"));
    text()
        .description(Some("At least three words, of visible characters and the joiners U+200C and U+200D."))
        .pattern(Some(format!("^{space}*{word}+{space}+{word}+{space}+{word}[^{CONTROL}{HIDDEN}]*$")))
        .min_length(Some(5))
        .max_length(Some(rules::FULL_NAME_MAX))
        .examples(["Sara Ahmadi Rad"])
        .build()
}

/// [`rules::country_code`].
pub(crate) fn country_code() -> Object {
    text().description(Some("ISO 3166 alpha-2.")).enum_values(Some(rules::country_codes())).examples(["IR"]).build()
}

/// [`rules::country_name`].
pub(crate) fn country_name() -> Object {
    text()
        .description(Some(
            "As the client shows it; not blank, of visible characters and the joiners U+200C and U+200D.",
        ))
        .pattern(Some(format!("^[^{CONTROL}{HIDDEN}]*[^{SPACE}{CONTROL}{HIDDEN}][^{CONTROL}{HIDDEN}]*$")))
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
        .description(Some("A bare address. Unique without regard to case."))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Email)))
        .max_length(Some(rules::EMAIL_MAX))
        .examples(["sara@example.com"])
        .build()
}

/// [`rules::password`], for a password that is chosen.
pub(crate) fn password() -> Object {
    text()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
        .min_length(Some(rules::PASSWORD_MIN))
        .max_length(Some(rules::PASSWORD_MAX))
        .examples(["correct horse"])
        .build()
}

/// [`rules::ban_reason`].
pub(crate) fn ban_reason() -> Object {
    text()
        .description(Some("For administrators; the user is not told. Not blank, and without what hides or turns text."))
        .pattern(Some(format!("^[^{HIDDEN}]*[^{SPACE}{CONTROL_SPACE}{HIDDEN}][^{HIDDEN}]*$")))
        .min_length(Some(1))
        .max_length(Some(rules::BAN_REASON_MAX))
        .examples(["fraud"])
        .build()
}

/// [`rules::photo_url`], or null.
pub(crate) fn photo_url() -> Object {
    let label = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    let written = "([A-Za-z0-9._~:/?@!$&()*+,;=-]|%[0-9A-Fa-f]{2})*";
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
        .description(Some("An https URL; null removes the photo."))
        .pattern(Some(format!(r"^https://{label}(\.{label})*(:[0-9]{{1,5}})?([/?]{written})?(#{written})?$")))
        .max_length(Some(rules::PHOTO_URL_MAX))
        .examples(["https://cdn.example.com/sara.png"])
        .build()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select, string::string_regex};
    use regex_lite::Regex;

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
        (photo_url, rules::photo_url),
    ];

    fn allows(schema: &Object, text: &str) -> bool {
        let length = text.chars().count();
        let lengths = schema.min_length.unwrap_or(0)..=schema.max_length.unwrap_or(usize::MAX);
        let listed = schema.enum_values.as_ref().is_none_or(|values| values.iter().any(|value| value == text));
        let matches = |pattern: &String| Regex::new(pattern).unwrap().is_match(text);
        lengths.contains(&length) && listed && schema.pattern.as_ref().is_none_or(matches)
    }

    /// What a schema allows, as far as its pattern goes.
    fn allowed(schema: &Object) -> BoxedStrategy<String> {
        let listed = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        match (&schema.enum_values, &schema.pattern) {
            (Some(values), _) => select(values.iter().map(listed).collect::<Vec<_>>()).boxed(),
            (_, Some(pattern)) => string_regex(pattern.trim_start_matches('^').trim_end_matches('$')).unwrap().boxed(),
            _ => any::<String>().boxed(),
        }
    }

    /// Characters that mean something to a rule, and others.
    fn character() -> impl Strategy<Value = char> {
        let telling = "%#/?:@.-+0a'\"<\\ \n\0\u{85}\u{a0}\u{200b}\u{200c}\u{2028}\u{202e}\u{3000}\u{feff}";
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
            prop_assert_eq!(allows(&schema, &text), rule(&text).is_ok(), "{:?} and {:?}", text, schema.description);
        }
    }
}
