//! What settings say of mining traffic, and the domains of pools that are known here.

use std::collections::BTreeSet;

use hayward_model::{Mode, Response};

const KNOWN: &str = include_str!("../pools.txt");
/// The kernel compares the last so many.
const MOST_LABELS: usize = 8;

/// The `pool` guard.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// It is listed under `guards`.
    pub enabled: bool,
    /// Its mode.
    pub mode: Mode,
    /// What enforcing does.
    pub response: Response,
    /// Domains that are not to be reached, with all below them: small letters, no dot at the end.
    pub domains: BTreeSet<String>,
}

/// The domains that are known here.
pub(crate) fn known() -> BTreeSet<String> {
    let lines = KNOWN.lines().map(|line| line.split('#').next());
    let domains = lines.filter_map(|domain| domain.map(str::trim));
    let domains = domains.filter(|domain| !domain.is_empty());
    domains.map(str::to_owned).collect()
}

/// Reads a domain.
pub(crate) fn domain(text: &str) -> Result<String, String> {
    let is_short = |domain: &String| domain.split('.').count() <= MOST_LABELS;
    hayward_model::domain(text).filter(is_short).ok_or_else(|| {
        format!(
            "`{text}` is no domain of two to {MOST_LABELS} labels; write one such as pool.example.org, which holds for all below it, or builtin"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_here_is_domains_in_order_each_with_its_reason() {
        let lines: Vec<&str> = KNOWN
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        for line in &lines {
            let (name, reason) = line.split_once('#').expect(line);
            assert_eq!(domain(name.trim()).as_deref(), Ok(name.trim()));
            assert!(reason.len() > 3, "{line}");
        }
        assert!(lines.is_sorted());
        assert_eq!(known().len(), lines.len());
    }

    #[test]
    fn a_domain_is_a_name_of_as_many_labels_as_the_kernel_compares() {
        for (text, expected) in [
            ("Pool.Example.ORG.", Some("pool.example.org")),
            ("1.2.3.4.5.6.7.org", Some("1.2.3.4.5.6.7.org")),
            ("1.2.3.4.5.6.7.8.org", None),
            ("*.example.org", None),
        ] {
            assert_eq!(domain(text).ok().as_deref(), expected, "{text}");
        }
    }
}
