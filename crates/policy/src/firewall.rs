//! Sets of the operator's own firewall, into which bans are entered.

use std::fmt;

/// Families of tables of nftables.
const FAMILIES: [&str; 5] = ["inet", "ip", "ip6", "netdev", "bridge"];
/// The longest names: `NFT_NAME_MAXLEN`, and `IPSET_MAXNAMELEN` with its end.
const LONGEST_NFTABLES: usize = 255;
const LONGEST_IPSET: usize = 31;

/// Which addresses a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressFamily {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// A set, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FirewallSet {
    /// Of nftables.
    Nftables {
        /// The family of its table, such as `inet`.
        family: String,
        /// Its table.
        table: String,
        /// Its own name.
        set: String,
    },
    /// Of ipset.
    Ipset {
        /// Its name.
        name: String,
    },
}

impl FirewallSet {
    /// Reads one of nftables: family, table and set.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn nftables(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no set of nftables: write its family, table and name, such as \"inet filter banned\""
            )
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [family, table, set] = words.as_slice() else {
            return Err(wrong());
        };
        let begins =
            |name: &str| name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
        let is_name = |name: &str| begins(name) && is_plain(name, LONGEST_NFTABLES);
        if !FAMILIES.contains(family) || !is_name(table) || !is_name(set) {
            return Err(wrong());
        }
        Ok(Self::Nftables {
            family: (*family).to_owned(),
            table: (*table).to_owned(),
            set: (*set).to_owned(),
        })
    }

    /// Reads the name of one of ipset.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn ipset(text: &str) -> Result<Self, String> {
        if !is_plain(text, LONGEST_IPSET) || text.starts_with('-') {
            return Err(format!(
                "`{text}` is no name of a set of ipset: write one such as banned, of letters, digits, `_`, `-` and `.`, at most {LONGEST_IPSET}"
            ));
        }
        let name = text.to_owned();
        Ok(Self::Ipset { name })
    }
}

/// Nothing that means anything to the programs that read it.
fn is_plain(name: &str, longest: usize) -> bool {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
    !name.is_empty() && name.len() <= longest && name.chars().all(is_plain)
}

impl fmt::Display for FirewallSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nftables { family, table, set } => write!(f, "{family} {table} {set}"),
            Self::Ipset { name } => f.write_str(name),
        }
    }
}

/// A set into which bans are entered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Output {
    /// Which.
    pub set: FirewallSet,
    /// Of which addresses settings say that it is; otherwise it is the set that says so.
    pub family: Option<AddressFamily>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sets_hold_nothing_that_a_program_would_obey() {
        let set = FirewallSet::nftables("inet  filter banned").expect("a good one");
        assert_eq!(set.to_string(), "inet filter banned");
        for bad in [
            "",
            "filter banned",
            "inet filter banned x",
            "all filter banned",
            "inet filter banned;",
            "inet fil{ter banned",
            "inet filter 9banned",
            "inet filter @banned",
        ] {
            FirewallSet::nftables(bad).expect_err(bad);
        }
        FirewallSet::ipset("banned-4").expect("a good one");
        for bad in ["", "-x", "a b", "a\nb", "a\"b", &"a".repeat(32)] {
            FirewallSet::ipset(bad).expect_err(bad);
        }
    }
}
