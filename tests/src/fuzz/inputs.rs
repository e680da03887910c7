//! The stream of texts: by the grammar, mutated, or plain noise.

use fastrand::Rng;

use super::{grammar, mutations};

/// Texts that have been made before and may be mutated or lend pieces.
const REMEMBERED: usize = 64;

/// Makes texts out of a seed.
pub(super) struct Inputs {
    rng: Rng,
    tokens: Vec<String>,
    longest: usize,
    remembered: Vec<String>,
}

impl Inputs {
    /// `tokens` may appear in CONNECTs; no text has more bytes than `longest`.
    pub(super) fn new(seed: u64, tokens: Vec<String>, longest: usize) -> Self {
        let remembered = vec!["40/users,".to_owned(), r#"42/users,13["msg",{"a":1}]"#.to_owned()];
        Self { rng: Rng::with_seed(seed), tokens, longest, remembered }
    }

    /// The dice, for choices beside the texts.
    pub(super) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The next text.
    pub(super) fn text(&mut self) -> String {
        let mut text = match self.rng.u8(0..20) {
            0..=9 => self.valid(),
            10..=17 => {
                let valid = if self.rng.bool() { self.valid() } else { self.old().to_owned() };
                let other = self.old().to_owned();
                mutations::mutate(&mut self.rng, &valid, &other)
            }
            18 => self.noise(),
            _ => format!("4{}", self.noise()),
        };
        text.truncate(text.floor_char_boundary(self.longest));
        text
    }

    fn valid(&mut self) -> String {
        let text = grammar::frame(&mut self.rng, &self.tokens);
        if self.remembered.len() < REMEMBERED {
            self.remembered.push(text.clone());
        } else {
            let place = self.rng.usize(0..REMEMBERED);
            self.remembered[place].clone_from(&text);
        }
        text
    }

    fn old(&mut self) -> &str {
        let place = self.rng.usize(0..self.remembered.len());
        &self.remembered[place]
    }

    fn noise(&mut self) -> String {
        let length = if self.rng.u8(0..10) == 0 { self.longest } else { 60 };
        let length = self.rng.usize(0..=length);
        if self.rng.bool() {
            let bytes: Vec<_> = (0..length).map(|_| self.rng.u8(..)).collect();
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        let alphabet = b"0123456789/,-[]{}\":\\bentrulfas. ";
        (0..length).map(|_| char::from(*self.rng.choice(alphabet).unwrap())).collect()
    }
}
