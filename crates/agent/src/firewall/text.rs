//! What `nft` and `ipset` are told, as text.

use std::{fmt::Write, time::Duration};

use hayward_policy::FirewallSet;
use ipnet::IpNet;

use hayward_model::source_in_words;

/// So many elements are in one statement.
const IN_ONE: usize = 500;
/// The longest time that ipset counts, in seconds: such an element is entered anew before it ends.
pub(crate) const LONGEST_IPSET: u64 = 2_147_483;

/// One change of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Enters it, for so long; for ever with none.
    Put {
        net: IpNet,
        time: Option<Duration>,
        /// It is there with another time.
        replaces: bool,
    },
    /// Takes it out, whether it is over already or not.
    Take(IpNet),
}

/// The changes of a set, for the program that it is of.
pub(crate) fn text(set: &FirewallSet, changes: &[Change], mark: &str) -> String {
    match set {
        FirewallSet::Nftables { .. } => nftables(&set.to_string(), changes, mark),
        FirewallSet::Ipset { name } => ipset(name, changes, mark),
    }
}

/// What is taken out is entered first: of what has ended meanwhile, nothing could be taken out, and the whole would come to nothing.
fn nftables(set: &str, changes: &[Change], mark: &str) -> String {
    let gone = changes.iter().filter_map(|change| match change {
        Change::Take(net) => Some(source_in_words(*net)),
        Change::Put { net, replaces, .. } => replaces.then(|| source_in_words(*net)),
    });
    let gone: Vec<String> = gone.collect();
    let put = changes.iter().filter_map(|change| match change {
        Change::Put { net, time, .. } => {
            let time = time.map(|time| format!(" timeout {}s", seconds(time)));
            let (net, time) = (source_in_words(*net), time.unwrap_or_default());
            Some(format!("{net}{time} comment \"{mark}\""))
        }
        Change::Take(_) => None,
    });
    let put: Vec<String> = put.collect();
    let mut text = String::new();
    for (verb, elements) in [("add", &gone), ("delete", &gone), ("add", &put)] {
        for elements in elements.chunks(IN_ONE) {
            let elements = elements.join(", ");
            let _ = writeln!(text, "{verb} element {set} {{ {elements} }}");
        }
    }
    text
}

fn ipset(name: &str, changes: &[Change], mark: &str) -> String {
    let mut text = String::new();
    for change in changes {
        let _ = match change {
            Change::Take(net) => writeln!(text, "del {name} {net}"),
            Change::Put { net, time, .. } => {
                let time = time.map_or(0, |time| seconds(time).min(LONGEST_IPSET));
                writeln!(text, "add {name} {net} timeout {time} comment \"{mark}\"")
            }
        };
    }
    text
}

/// Whole seconds, rather too many.
fn seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(net: &str, seconds: u64, replaces: bool) -> Change {
        Change::Put {
            net: net.parse().expect("a prefix"),
            time: (seconds > 0).then(|| Duration::from_millis(seconds * 1000 - 100)),
            replaces,
        }
    }

    fn changes() -> [Change; 4] {
        [
            put("192.0.2.7/32", 3600, false),
            put("198.51.100.0/24", 0, true),
            put("2001:db8::/64", 31_536_000, false),
            Change::Take("192.0.2.8/32".parse().expect("a prefix")),
        ]
    }

    #[test]
    fn nft_is_told_in_one_transaction_that_cannot_fail_for_what_has_ended() {
        let set = FirewallSet::nftables("inet filter banned").expect("a set");
        assert_eq!(
            text(&set, &changes(), "hayward"),
            "add element inet filter banned { 198.51.100.0/24, 192.0.2.8 }\n\
             delete element inet filter banned { 198.51.100.0/24, 192.0.2.8 }\n\
             add element inet filter banned { 192.0.2.7 timeout 3600s comment \"hayward\", 198.51.100.0/24 comment \"hayward\", 2001:db8::/64 timeout 31536000s comment \"hayward\" }\n"
        );
    }

    #[test]
    fn ipset_is_told_line_by_line_and_no_longer_times_than_it_counts() {
        let set = FirewallSet::ipset("banned").expect("a set");
        assert_eq!(
            text(&set, &changes(), "hayward"),
            "add banned 192.0.2.7/32 timeout 3600 comment \"hayward\"\n\
             add banned 198.51.100.0/24 timeout 0 comment \"hayward\"\n\
             add banned 2001:db8::/64 timeout 2147483 comment \"hayward\"\n\
             del banned 192.0.2.8/32\n"
        );
    }

    #[test]
    fn what_is_over_at_once_is_not_for_ever() {
        assert_eq!(seconds(Duration::ZERO), 1);
        assert_eq!(seconds(Duration::from_millis(1001)), 2);
    }
}
