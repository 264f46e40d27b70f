//! Names of domains, as DNS has them.

use std::collections::BTreeMap;

use crate::Allowed;

/// A name without the dot at its end (RFC 1035, 2.3.4), and one of its labels.
const MOST_NAME: usize = 253;
const MOST_LABEL: usize = 63;
/// FNV-1a of 64 bits; `NAME_START` and `NAME_FACTOR` of `bpf/layout.h`.
const START: u64 = 0xcbf2_9ce4_8422_2325;
const FACTOR: u64 = 0x100_0000_01b3;

/// What may be reached by names: `example.org`, or with `*.` before it whatever is below.
pub type NamedList = BTreeMap<String, Allowed>;

/// The name in small letters, without a dot at its end; none where it is no name of two labels or more.
pub fn domain(text: &str) -> Option<String> {
    let domain = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_good = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=MOST_LABEL).contains(&label.len()) && label.bytes().all(known)
    };
    let numeric = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let last = domain.rsplit('.').next().unwrap_or_default();
    let is_name = domain.len() <= MOST_NAME && domain.contains('.') && !numeric(last);
    (is_name && domain.split('.').all(is_good)).then_some(domain)
}

/// By what number the kernel knows a name.
pub fn domain_hash(domain: &str) -> u64 {
    let put = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(FACTOR);
    domain.bytes().fold(START, put)
}

/// Whether all names that fall under one pattern fall under a wider one too.
pub fn covers(wide: &str, narrow: &str) -> bool {
    let below = wide.strip_prefix('*');
    wide == narrow || below.is_some_and(|end| narrow.trim_start_matches("*.").ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_labels_in_whatever_letters() {
        assert_eq!(
            domain("Pool.Example.ORG.").as_deref(),
            Some("pool.example.org")
        );
        for text in [
            "",
            ".",
            "org",
            "a..b",
            "*.example.org",
            "a b.org",
            "a/b.org",
            "ä.org",
            "192.0.2.1",
            "example.org..",
        ] {
            assert_eq!(domain(text), None, "{text}");
        }
        assert_eq!(domain(&format!("{}.org", "a".repeat(64))), None);
        assert_eq!(domain(&"a.".repeat(127)).map(|name| name.len()), Some(253));
        assert_eq!(domain(&"a.".repeat(128)), None);
    }

    #[test]
    fn a_pattern_covers_what_is_below() {
        for (wide, narrow, expected) in [
            ("example.org", "example.org", true),
            ("*.example.org", "*.example.org", true),
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "a.b.example.org", true),
            ("*.example.org", "*.b.example.org", true),
            ("*.example.org", "example.org", false),
            ("*.example.org", "badexample.org", false),
            ("*.b.example.org", "*.example.org", false),
            ("example.org", "*.example.org", false),
            ("example.org", "a.example.org", false),
        ] {
            assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        }
    }
}
