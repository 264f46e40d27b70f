//! Masking: what looks like a secret in a command line becomes `•••` before anything is written.
//!
//! It errs on the side of masking: a journal outlives the process, is copied to other machines, and is read by people
//! who were not meant to have a user's password. What it cannot see: arguments joined by spaces have lost their borders, so of a
//! password with spaces in it only the first word is masked.

mod bytes;
mod entropy;
mod patterns;

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use bytes::mask_bytes;

/// What stands in the place of a secret.
pub const MASK: &str = "•••";

/// Only so many bytes of a command line are looked at and recorded; the mask stands for the rest, from the word that the
/// cut would go through.
pub const RECORDED_BYTES: usize = 16 * 1024;

/// Passes over the text before a line is taken for one that was built to confuse, and masked whole.
const PASSES: usize = 8;

/// How much of a command line is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandLines {
    /// All but the matches of secret rules.
    Full,
    /// All but the matches of secret rules and whatever looks like a secret.
    #[default]
    Masked,
    /// Nothing.
    None,
}

/// The command line as it may be recorded.
///
/// `secret_ranges` are the byte ranges that secret rules matched: they are masked whatever `how` says. Masking twice
/// changes nothing more. Lines longer than [`RECORDED_BYTES`] are cut.
pub fn mask(command_line: &str, how: CommandLines, secret_ranges: &[Range<usize>]) -> String {
    if how == CommandLines::None {
        return String::new();
    }
    let cut = cut(command_line);
    let spans = secret_ranges
        .iter()
        .map(|range| snap(command_line, range))
        .filter(|range| range.start < cut.len())
        .map(|range| range.start..range.end.min(cut.len()))
        .collect();
    let text = replace(cut, spans);
    let text = if how == CommandLines::Masked {
        mask_secrets(text)
    } else {
        text
    };
    if cut.len() < command_line.len() {
        return format!("{text}{MASK}");
    }
    text
}

fn mask_secrets(mut text: String) -> String {
    for _ in 0..PASSES {
        let mut spans = Vec::new();
        patterns::find(&text, &mut spans);
        entropy::find(&text, &mut spans);
        let masked = replace(&text, spans);
        if masked == text {
            return text;
        }
        text = masked;
    }
    MASK.to_owned()
}

/// The part that is recorded, cut between words where there are any.
fn cut(text: &str) -> &str {
    // Room is left for the mask at the end, so that what was cut once is not cut again.
    const ROOM: usize = 64;
    if text.len() <= RECORDED_BYTES {
        return text;
    }
    let head = &text[..boundary(text, RECORDED_BYTES - ROOM)];
    head.rfind(char::is_whitespace).map_or("", |place| {
        let space = head[place..].chars().next().map_or(0, char::len_utf8);
        &head[..place + space]
    })
}

/// The range within the text, widened to whole characters.
fn snap(text: &str, range: &Range<usize>) -> Range<usize> {
    let start = boundary(text, range.start);
    let end = range.end.min(text.len());
    let end = (end..text.len())
        .find(|&place| text.is_char_boundary(place))
        .unwrap_or(text.len());
    start..end.max(start)
}

/// The last place up to `place` where a character begins or the text ends.
fn boundary(text: &str, place: usize) -> usize {
    (0..=place.min(text.len()))
        .rev()
        .find(|&place| text.is_char_boundary(place))
        .unwrap_or(0)
}

/// The text with every span, overlapping ones as one, replaced by the mask.
fn replace(text: &str, mut spans: Vec<Range<usize>>) -> String {
    spans.retain(|span| !span.is_empty());
    spans.sort_by_key(|span| span.start);
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for span in spans {
        if span.start >= done {
            result.push_str(&text[done..span.start]);
            result.push_str(MASK);
        }
        done = done.max(span.end);
    }
    result.push_str(&text[done..]);
    result
}

/// The text with control characters spelt out, for logs and terminals: what a stranger's process calls itself must not
/// be able to move the cursor or begin a new line.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let spell = |character: char| -> String {
            if character.is_control() {
                character.escape_default().collect()
            } else {
                character.to_string()
            }
        };
        Cow::Owned(text.chars().map(spell).collect())
    } else {
        Cow::Borrowed(text)
    }
}
