//! What people can see of a text. Unicode says it, and not a list of ours: code points that are ignored for display,
//! format characters, separators of lines and paragraphs, what is for private use and what is no character.
//!
//! Some of what shows nothing by itself changes how its neighbours show, and is allowed between these only: the joiners
//! U+200C and U+200D, without which Persian and Malayalam names are misspelt, and what emoji are put together with.

use std::collections::BTreeSet;

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        CanonicalCombiningClass, DefaultIgnorableCodePoint, ExtendedPictographic, GeneralCategory,
        GeneralCategoryGroup, JoiningType, NoncharacterCodePoint, PrependedConcatenationMark, Script,
    },
};

/// Zero width non-joiner, zero width joiner.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// Chooses the coloured form of an emoji.
const EMOJI_SELECTOR: char = '\u{fe0f}';

/// Blank, and yet letters, symbols or marks to Unicode, which has no property for that: Braille pattern blank, null
/// notehead, Khitan filler, full and half blank of hieroglyphs.
const BLANK: [char; 5] = ['\u{2800}', '\u{1d159}', '\u{16fe4}', '\u{13441}', '\u{13442}'];

/// Where planes begin that have nothing to see: tags and selectors, and what everybody may use for himself.
const LAST_PLANES: char = '\u{e0000}';

/// Whether a character shows nothing wherever it stands, or turns or breaks the text around it.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    is_ignored(character) && !JOINERS.contains(&character) && character != EMOJI_SELECTOR
}

fn is_ignored(character: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    let format = category == GeneralCategory::Format
        && !CodePointSetData::new::<PrependedConcatenationMark>().contains(character);
    let other = [GeneralCategory::LineSeparator, GeneralCategory::ParagraphSeparator, GeneralCategory::PrivateUse];
    let nothing = other.contains(&category) || CodePointSetData::new::<NoncharacterCodePoint>().contains(character);
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character);
    ignorable || format || nothing || character >= LAST_PLANES || BLANK.contains(&character)
}

/// Whether a text has nothing that is hidden, and joiners only where something is to be joined or kept apart.
#[must_use]
pub fn is_visible(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    (0..characters.len()).all(|place| !is_ignored(characters[place]) || is_needed(&characters, place))
}

/// Whether what shows nothing by itself changes how its neighbours show.
fn is_needed(characters: &[char], place: usize) -> bool {
    let before = place.checked_sub(1).map(|place| characters[place]);
    let after = characters.get(place + 1).copied();
    let Some(before) = before else { return false };
    match characters[place] {
        EMOJI_SELECTOR => is_pictograph(before),
        '\u{200d}' if after.is_some_and(is_pictograph) => is_of_emoji(before),
        // At the end of a word as well: so Malayalam writes chillu letters, and keyboards for Kannada and Telugu end words.
        joiner if JOINERS.contains(&joiner) && is_virama(before) => {
            has_letter_of(&characters[..place], before)
                && after.is_none_or(|after| !JOINERS.contains(&after) && !is_letter_of_another(after, before))
        }
        // Bengali and Kannada keep the letter before a virama whole with a joiner.
        joiner if JOINERS.contains(&joiner) && after.is_some_and(is_virama) => {
            after.is_some_and(|virama| has_letter_of(&characters[..place], virama))
        }
        // U+200D makes no difference between letters that join: only U+200C keeps them apart.
        '\u{200c}' => {
            let is_seen = |character: &&char| joining(**character) != JoiningType::Transparent;
            let (before, after) = (&characters[..place], &characters[place + 1..]);
            let (before, after) = (before.iter().rfind(is_seen), after.iter().find(is_seen));
            before
                .zip(after)
                .is_some_and(|(before, after)| is_letter(*before) && joins(*after) && script(*before) == script(*after))
        }
        _ => false,
    }
}

/// Whether the last letter, which marks may follow, is of the script of this virama.
fn has_letter_of(before: &[char], virama: char) -> bool {
    let mark = |character: char| is_of(character, GeneralCategoryGroup::Mark);
    let letter = before.iter().rfind(|character| !mark(**character));
    letter.is_some_and(|letter| is_letter(*letter) && script(*letter) == script(virama))
}

fn is_letter_of_another(character: char, than: char) -> bool {
    is_letter(character) && script(character) != script(than)
}

fn is_letter(character: char) -> bool {
    is_of(character, GeneralCategoryGroup::Letter)
}

/// Whether the form of a letter depends on its neighbours, as those of Arabic, Syriac, N'Ko and Mongolian do. Before
/// U+200C any letter of such a script will do: people write it after letters that do not join the next one, too
/// (`محمد‌رضا`, `ضیاء‌الدین`), where RFC 5892, appendix A.1, wants none in the name of a host.
fn joins(character: char) -> bool {
    let types = [JoiningType::DualJoining, JoiningType::LeftJoining, JoiningType::RightJoining];
    is_letter(character) && types.contains(&joining(character))
}

fn joining(character: char) -> JoiningType {
    CodePointMapData::<JoiningType>::new().get(character)
}

fn script(character: char) -> Script {
    CodePointMapData::<Script>::new().get(character)
}

fn is_virama(character: char) -> bool {
    CodePointMapData::<CanonicalCombiningClass>::new().get(character) == CanonicalCombiningClass::Virama
}

fn is_pictograph(character: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(character)
}

/// The end of an emoji: a picture, its colour, or the selector of its coloured form.
fn is_of_emoji(character: char) -> bool {
    is_pictograph(character) || character == EMOJI_SELECTOR || ('\u{1f3fb}'..='\u{1f3ff}').contains(&character)
}

fn is_of(character: char, group: GeneralCategoryGroup) -> bool {
    group.contains(CodePointMapData::<GeneralCategory>::new().get(character))
}

/// How many words of a text have a letter or a number, if any of them has a letter at all.
pub(super) fn words(text: &str) -> usize {
    let (letter, number) = (GeneralCategoryGroup::Letter, GeneralCategoryGroup::Number);
    if !text.chars().any(|character| is_of(character, letter) && !is_hidden(character)) {
        return 0;
    }
    text.split_whitespace().filter(|word| word.chars().any(|c| is_of(c, letter.union(number)))).count()
}

/// Whether Unicode knows every character of a text.
#[must_use]
pub fn is_assigned(text: &str) -> bool {
    let categories = CodePointMapData::<GeneralCategory>::new();
    text.chars().all(|character| categories.get(character) != GeneralCategory::Unassigned)
}

/// Every range of [`is_hidden`] code points before the last planes, which are hidden as a whole, for the document.
#[must_use]
pub fn hidden() -> Vec<(char, char)> {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let listed = [
        GeneralCategory::Format,
        GeneralCategory::LineSeparator,
        GeneralCategory::ParagraphSeparator,
        GeneralCategory::PrivateUse,
    ];
    let listed = listed.into_iter().flat_map(|category| categories.iter_ranges_for_value(category));
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().iter_ranges();
    let nothing = CodePointSetData::new::<NoncharacterCodePoint>().iter_ranges();
    let candidates =
        listed.chain(ignorable).chain(nothing).flatten().chain(BLANK.map(u32::from)).filter_map(char::from_u32);
    let is_one = |found: &char| is_hidden(*found) && *found < LAST_PLANES;
    let characters: BTreeSet<_> = candidates.filter(is_one).collect();
    let mut ranges = Vec::<(char, char)>::new();
    for character in characters {
        match ranges.last_mut() {
            Some((_, end)) if u32::from(*end) + 1 == u32::from(character) => *end = character,
            _ => ranges.push((character, character)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_shows_nothing_is_hidden_by_unicodes_own_word() {
        for hidden in CodePointSetData::new::<DefaultIgnorableCodePoint>().iter_ranges().flatten() {
            let Some(character) = char::from_u32(hidden) else { continue };
            let text = format!("R{character}ad");
            assert!(!is_visible(&text), "{}", character.escape_unicode());
        }
        for hidden in "\u{ad}\u{2028}\u{2029}\u{202e}\u{2800}\u{fff9}\u{feff}\u{e0001}\u{e0041}\u{1bca0}".chars() {
            assert!(is_hidden(hidden) && !is_visible(&format!("ब{hidden}ब")), "{}", hidden.escape_unicode());
        }
        for nothing in "\u{e000}\u{f8ff}\u{f0000}\u{10ffff}\u{fdd0}\u{fdef}\u{fffe}\u{ffff}\u{1fffe}\u{cffff}".chars() {
            assert!(is_hidden(nothing), "private use, or no character: {}", nothing.escape_unicode());
        }
        assert!(is_assigned("Sara سارا 王") && !is_assigned("Sara\u{378}"));
        // Signs of numbers in Arabic texts are format characters, and seen.
        assert!(!is_hidden('\u{600}') && is_visible("\u{600}5"));
    }

    #[test]
    fn joiners_stand_only_where_they_are_needed() {
        for needed in [
            "علی‌رضا",
            "محمد‌رضا",
            "می‌خواهد",
            "क्‍ष",
            "র‍্যাম",
            "عَ‌رَ",
            "ضیاء‌الدین",
            "র\u{9bc}\u{200d}\u{9cd}যাম",
            "അരുണ്‍",
            "അരുണ്‍ കുമാര്‍",
            "ශ්‍රී",
            "ᠨᠢ‌ᠭ",
            "👩‍🍳",
            "👩🏽‍🍳",
            "❤️",
            "❤️‍🔥",
            "ರಮೇಶ್\u{200c}",
            "కుమార్\u{200c} రెడ్డి",
            "খান্\u{200c}",
        ] {
            assert!(is_visible(needed), "{needed} {}", needed.escape_unicode());
        }
        for idle in [
            "\u{200c}ali",
            "ali\u{200c}",
            "a\u{200d}li",
            "علی\u{200c}",
            "\u{200c}علی",
            "علی\u{200c} رضا",
            "علی \u{200c}رضا",
            "علی\u{200c}\u{200c}رضا",
            "علی\u{200c}\u{200d}رضا",
            "علی\u{200c}Ali",
            "王\u{200d}明",
            "👩\u{200d}",
            "\u{200d}🍳",
            "1\u{fe0f}",
            "a\u{fe0f}",
            "ണ്\u{200d}\u{200d}",
            "ರಮೇಶ್\u{200c}\u{200d}",
            "Ra\u{301}\u{200d}\u{301}d",
            "Jose\u{301}\u{200c}\u{301}",
            "\u{64e}\u{200c}\u{64e}",
            "श\u{200c}र",
            "ส\u{200d}ม",
            "ر\u{200c}ܒ",
            "র\u{200d}\u{94d}य",
            "علی\u{200c}\u{64e}",
            "س\u{200d}ارا",
            "Ra\u{94d}\u{200d}d",
            "श\u{94d}\u{200d}a",
            "\u{94d}\u{200d}क",
        ] {
            assert!(!is_visible(idle), "{}", idle.escape_unicode());
        }
    }

    #[test]
    fn the_ranges_for_the_document_are_what_is_hidden() {
        let ranges = hidden();
        let listed = |character| ranges.iter().any(|(first, last)| (*first..=*last).contains(&character));
        for character in
            ('\0'..='\u{3fff}').chain('\u{d000}'..='\u{ffff}').chain("\u{1d159}\u{1d173}\u{1fffe}\u{dffff}".chars())
        {
            assert_eq!(is_hidden(character), listed(character), "{}", character.escape_unicode());
        }
    }

    proptest! {
        #[test]
        fn text_is_visible_if_nothing_in_it_is_ignored_and_never_if_something_is_hidden(text in any::<String>()) {
            prop_assert!(text.chars().any(is_ignored) || is_visible(&text));
            prop_assert!(!text.chars().any(is_hidden) || !is_visible(&text));
        }
    }
}
