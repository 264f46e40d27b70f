//! Damage: what editors, crashes and adversaries do to a valid input.

use proptest::{collection::vec, prelude::*, sample::Index};

/// The longest damaged input; valid ones may be longer.
const MOST_BYTES: usize = 1 << 18;

/// Valid inputs, and words that their format gives a meaning.
#[derive(Debug, Clone)]
pub struct Corpus {
    inputs: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

/// Damaged bytes, shown as text where they fail a test.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Input(pub Vec<u8>);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// One damage, and where.
#[derive(Debug, Clone)]
enum Damage {
    Overwrite(Index, u8),
    Flip(Index, u8),
    Insert(Index, Index),
    InsertBytes(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize, u16),
    Truncate(Index),
    Number(Index, Index),
    MoveLine(Index, Index),
    Splice(Index, Index, Index),
}

/// Numbers at which lengths, times and counters go wrong.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "127",
    "255",
    "256",
    "65535",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999999999",
];

impl Corpus {
    /// A corpus. `words` are inserted whole, beside words that many formats share.
    ///
    /// # Panics
    /// Without any input.
    pub fn new<I: Into<Vec<u8>>, W: AsRef<[u8]>>(
        inputs: impl IntoIterator<Item = I>,
        words: impl IntoIterator<Item = W>,
    ) -> Self {
        let inputs: Vec<Vec<u8>> = inputs.into_iter().map(Into::into).collect();
        assert!(!inputs.is_empty(), "a corpus needs an input");
        let shared = [
            "\0", "\n", "\r", "\t", " ", "\"", "'", "\\", "/", "{", "}", "[", "]", ":", ",", "&a ",
            "*a", "!!", "|", ">", "-", "%", "é", "\u{feff}", "\u{2028}", "null", "~", "true",
        ];
        let words = words.into_iter().map(|word| word.as_ref().to_vec());
        let words = words.chain(shared.iter().map(|word| word.as_bytes().to_vec()));
        Self {
            inputs,
            words: words.collect(),
        }
    }

    /// An input of the corpus with up to eight damages.
    pub fn damaged(&self) -> impl Strategy<Value = Input> + use<> {
        let corpus = self.clone();
        (any::<Index>(), vec(damage(), 0..8)).prop_map(move |(input, damages)| {
            let mut bytes = input.get(&corpus.inputs).clone();
            for damage in &damages {
                corpus.apply(damage, &mut bytes);
                bytes.truncate(MOST_BYTES);
            }
            Input(bytes)
        })
    }

    /// The same as text; what is no UTF-8 is replaced.
    pub fn damaged_text(&self) -> impl Strategy<Value = String> + use<> {
        self.damaged()
            .prop_map(|input| String::from_utf8_lossy(&input.0).into_owned())
    }

    fn apply(&self, damage: &Damage, bytes: &mut Vec<u8>) {
        let place = |index: &Index| index.index(bytes.len() + 1);
        let stretch = |index: &Index, length: usize| {
            let begin = place(index);
            begin..(begin + length).min(bytes.len())
        };
        match damage {
            Damage::Overwrite(at, byte) => {
                let at = place(at);
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
            Damage::Flip(at, bit) => {
                let at = place(at);
                if let Some(place) = bytes.get_mut(at) {
                    *place ^= 1 << (bit % 8);
                }
            }
            Damage::Insert(at, word) => {
                let at = place(at);
                bytes.splice(at..at, word.get(&self.words).iter().copied());
            }
            Damage::InsertBytes(at, inserted) => {
                let at = place(at);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Damage::Remove(at, length) => {
                bytes.drain(stretch(at, *length));
            }
            Damage::Repeat(at, length, times) => {
                let stretch = stretch(at, *length);
                let repeated = bytes[stretch.clone()].repeat(usize::from(*times));
                bytes.splice(stretch.start..stretch.start, repeated);
            }
            Damage::Truncate(at) => bytes.truncate(place(at)),
            Damage::Number(at, number) => {
                let from = place(at);
                let Some(begin) = bytes[from..].iter().position(u8::is_ascii_digit) else {
                    return;
                };
                let begin = from + begin;
                let digits = bytes[begin..].iter().take_while(|b| b.is_ascii_digit());
                let end = begin + digits.count();
                bytes.splice(begin..end, number.get(&NUMBERS).bytes());
            }
            Damage::MoveLine(from, to) => {
                let mut lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
                if !lines.is_empty() {
                    let line = lines.remove(from.index(lines.len()));
                    lines.insert(to.index(lines.len() + 1), line);
                    *bytes = lines.concat();
                }
            }
            Damage::Splice(other, cut, at) => {
                let other = other.get(&self.inputs);
                let tail = &other[cut.index(other.len() + 1)..];
                bytes.truncate(place(at));
                bytes.extend_from_slice(tail);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Overwrite(at, byte)),
        (at(), any::<u8>()).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (at(), at()).prop_map(|(at, word)| Damage::Insert(at, word)),
        (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Damage::InsertBytes(at, bytes)),
        (at(), 1usize..40).prop_map(|(at, length)| Damage::Remove(at, length)),
        (at(), 1usize..40, prop_oneof![2u16..8, 1000u16..8000])
            .prop_map(|(at, length, times)| Damage::Repeat(at, length, times)),
        at().prop_map(Damage::Truncate),
        (at(), at()).prop_map(|(at, number)| Damage::Number(at, number)),
        (at(), at()).prop_map(|(from, to)| Damage::MoveLine(from, to)),
        (at(), at(), at()).prop_map(|(other, cut, at)| Damage::Splice(other, cut, at)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{strategy::ValueTree, test_runner::TestRunner};

    #[test]
    fn damage_changes_most_inputs_and_keeps_them_bounded() {
        let corpus = Corpus::new(["rules:\n  - {id: a, banned: [x1]}\n"], ["mode"]);
        let strategy = corpus.damaged();
        let mut runner = TestRunner::deterministic();
        let damaged: std::collections::HashSet<Input> = (0..1000)
            .map(|_| strategy.new_tree(&mut runner).expect("a value").current())
            .collect();
        assert!(damaged.len() > 600, "{}", damaged.len());
        assert!(damaged.iter().all(|input| input.0.len() <= MOST_BYTES));
        assert!(damaged.iter().any(|input| input.0.len() > 10_000));
    }
}
