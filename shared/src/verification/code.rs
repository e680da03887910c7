//! Codes: short enough to type, drawn evenly from the system's randomness.

use aws_lc_rs::rand;

use crate::{error::Error, users::Channel};

/// Characters of a code.
const LENGTH: usize = 6;

/// Upper case, without what is mistaken for something else: 0 and O, 1 and I.
const LETTERS: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// Phones offer digits to be filled in.
const DIGITS: &[u8] = b"0123456789";

/// A new code.
pub(super) fn random(channel: Channel) -> Result<String, Error> {
    let alphabet = match channel {
        Channel::Email => LETTERS,
        Channel::Phone => DIGITS,
    };
    let mut code = String::with_capacity(LENGTH);
    let mut byte = [0];
    while code.len() < LENGTH {
        rand::fill(&mut byte).map_err(Error::internal("making a code"))?;
        if let Some(character) = drawn(alphabet, byte[0]) {
            code.push(char::from(character));
        }
    }
    Ok(code)
}

/// The character a byte stands for. Bytes above the last full round of the alphabet stand for none: with them, the
/// first characters would come up more often than the last.
fn drawn(alphabet: &[u8], byte: u8) -> Option<u8> {
    let rounds = 256 / alphabet.len();
    let index = usize::from(byte);
    (index < rounds * alphabet.len()).then(|| alphabet[index % alphabet.len()])
}

/// What a person typed, as the code was made: case and spaces do not matter.
pub(super) fn normalised(typed: &str) -> String {
    typed.chars().filter(|character| !character.is_whitespace()).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_stands_for_equally_many_bytes() {
        for alphabet in [LETTERS, DIGITS] {
            let mut counts = std::collections::BTreeMap::<u8, u32>::new();
            for character in (0..=255).filter_map(|byte| drawn(alphabet, byte)) {
                *counts.entry(character).or_default() += 1;
            }
            assert_eq!(counts.len(), alphabet.len());
            let expected = 256 / u32::try_from(alphabet.len()).unwrap();
            assert!(counts.values().all(|count| *count == expected), "{counts:?}");
        }
    }

    #[test]
    fn codes_have_six_characters_of_their_alphabet() {
        for (channel, alphabet) in [(Channel::Email, LETTERS), (Channel::Phone, DIGITS)] {
            let codes: Vec<_> = (0..50).map(|_| random(channel).unwrap()).collect();
            assert!(
                codes.iter().all(|code| code.len() == 6 && code.bytes().all(|b| alphabet.contains(&b))),
                "{codes:?}"
            );
            assert!(codes.iter().any(|code| *code != codes[0]));
        }
    }

    #[test]
    fn case_and_spaces_of_what_was_typed_do_not_matter() {
        assert_eq!(normalised(" ab2 xyz\n"), "AB2XYZ");
        assert_eq!(normalised("012 345"), "012345");
    }
}
