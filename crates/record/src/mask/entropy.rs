//! Long strings that look random: keys and tokens that no pattern knows.

use std::ops::Range;

/// Shorter strings are too often names.
const LEAST: usize = 32;

/// Random hexadecimal has about 10 of the 16 digits in 32 characters; numbers in names repeat few.
const LEAST_DISTINCT_HEX: usize = 8;

/// Finds runs of 32 or more characters of the base64 alphabets that look random.
pub(super) fn find(text: &str, spans: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let length = bytes[start..]
            .iter()
            .take_while(|&&byte| is_token(byte))
            .count();
        if length >= LEAST
            && (is_random(&bytes[start..start + length])
                || has_random_part(&bytes[start..start + length]))
        {
            spans.push(start..start + length);
        }
        start += length.max(1);
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-')
}

/// A path or a name may hold a key as one of its parts.
fn has_random_part(run: &[u8]) -> bool {
    run.split(|byte| matches!(byte, b'/' | b'_' | b'-'))
        .any(|part| part.len() >= LEAST && is_random(part))
}

fn is_random(run: &[u8]) -> bool {
    let has = |test: fn(&u8) -> bool| run.iter().any(test);
    let digits = has(u8::is_ascii_digit);
    if run.iter().all(u8::is_ascii_hexdigit) {
        return digits && has(u8::is_ascii_alphabetic) && distinct(run) >= LEAST_DISTINCT_HEX;
    }
    let mixed = digits && has(u8::is_ascii_alphabetic)
        || has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    // In words and paths a character is mostly followed by one of its own kind; in random text it mostly is not. The
    // measured shares are about 0.15 for paths, 0.4 for random base 36 and 0.6 for random base 64.
    mixed && changes(run) * 4 >= run.len()
}

fn distinct(run: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in run {
        seen[usize::from(byte.to_ascii_lowercase())] = true;
    }
    seen.iter().filter(|&&seen| seen).count()
}

/// How often a letter or digit is of another kind (upper case, lower case, digit) than the one before it. Signs are left
/// out: paths have as many of them as keys.
fn changes(run: &[u8]) -> usize {
    let kinds: Vec<(bool, bool)> = run
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(|byte| (byte.is_ascii_digit(), byte.is_ascii_uppercase()))
        .collect();
    kinds.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(text: &str) -> bool {
        let mut spans = Vec::new();
        find(text, &mut spans);
        !spans.is_empty()
    }

    #[test]
    fn keys_are_found() {
        for key in [
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "d41d8cd98f00b204e9800998ecf8427e",
            "wJalrXUtnFEMIxK7MDENGxbPxRfiCYzEXAMPLEKEY",
            "c3VwZXJzZWNyZXQ6aHVudGVyMjpmb29iYXI6YmF6cXV4",
            "/srv/data/9f86d081884c7d659a2feaa0c55ad015/file",
        ] {
            assert!(finds(key), "{key}");
        }
    }

    #[test]
    fn names_are_left_alone() {
        for name in [
            "/home/jovyan/work/some-project/scripts/train_model",
            "/usr/lib/x86_64-linux-gnu/gtk/modules/canberra",
            "00000000000000000000000000000000000000",
            "python-dateutil-and-a-very-long-package-name",
            "KubernetesContainerRuntimeServiceFactory",
            "--ServerApp-allow-remote-access-of-everyone",
        ] {
            assert!(!finds(name), "{name}");
        }
    }
}
