//! What settings say that a workload may reach, as the list that the kernel programs go by.

use std::{collections::BTreeMap, net::IpAddr};

use hayward_model::{
    Allowed, Destinations, List, MOST_RANGES, Mode, NamedList, Range, Response, prefix,
};
use hayward_rules::Widest;
use ipnet::{IpNet, Ipv6Net};
use serde::Deserialize;

use crate::entry::{Entries, Entry, NamedEntry};

/// The `egress` guard.
#[derive(Debug, Clone)]
pub struct EgressSettings {
    /// It is listed under `guards`.
    pub enabled: bool,
    /// Its mode.
    pub mode: Mode,
    /// What enforcing does.
    pub response: Response,
    /// What may be reached.
    pub reach: Reach,
    /// What nobody may reach, by lists that others publish.
    pub bans: BanSettings,
    /// Name servers whose answers are believed; none are those of the host.
    pub resolvers: Option<Vec<IpAddr>>,
    /// They are meant, though they keep something from what the host needs.
    pub may_cut_node: bool,
}

/// Lists of what nobody may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanSettings {
    /// Files and globs.
    pub lists: Vec<String>,
    /// What is not banned, whatever lists say.
    pub exceptions: Vec<IpNet>,
    /// Names that are not, with all below them.
    pub exception_names: Vec<String>,
    /// How wide a prefix in a list may be.
    pub widest: Widest,
}

/// What holds in a part of the scope, as the kernel keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressList {
    /// What may be reached.
    pub reached: Destinations,
    /// Of that, what may be reached though it is banned.
    pub always: Destinations,
}

impl EgressList {
    /// Whether the list allows it, as the kernel looks: the longest prefix that holds an address decides.
    pub fn reaches(&self, address: IpAddr, port: u16, protocol: u8) -> bool {
        let host = prefix(IpNet::from(address));
        let holding = self
            .reached
            .list
            .iter()
            .filter(|(net, _)| net.contains(&host));
        match holding.max_by_key(|(net, _)| net.prefix_len()) {
            None | Some((_, Allowed::Nothing | Allowed::Never)) => false,
            Some((_, Allowed::All)) => true,
            Some((_, Allowed::Ranges(ranges))) => ranges.iter().any(|range| {
                let (first, last) = range.ports;
                (first..=last).contains(&port) && range.protocol.is_none_or(|it| it == protocol)
            }),
        }
    }
}

/// What may be reached, in general.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EgressPolicy {
    /// Everything but what is under `never`.
    #[default]
    Open,
    /// Nothing but what is under `always`.
    Deny,
    /// What is under `allow` and `always`.
    Allow,
}

/// Whether a workload may reach others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Between {
    /// As anything else.
    #[default]
    Allow,
    /// It may not.
    Refuse,
}

/// What may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// In general.
    pub policy: EgressPolicy,
    /// Where the policy is to allow.
    pub allow: Entries,
    /// Whatever the policy.
    pub always: Entries,
    /// What may not be reached, whatever else is said.
    pub never: Vec<IpNet>,
    /// What belongs to other workloads.
    pub between: Between,
    /// Where other workloads have addresses.
    pub workload_networks: Vec<IpNet>,
}

impl Reach {
    /// The list that says so, and what of it holds against bans.
    pub(crate) fn lists(&self) -> Result<EgressList, String> {
        let names = self.in_force().flat_map(|entries| &entries.names);
        Ok(EgressList {
            reached: Destinations {
                list: self.list()?,
                names: named(names.collect())?,
            },
            always: self.always.destinations()?,
        })
    }

    /// What the policy has be reached.
    fn in_force(&self) -> impl Iterator<Item = &Entries> {
        let allow = (self.policy == EgressPolicy::Allow).then_some(&self.allow);
        allow.into_iter().chain([&self.always])
    }

    /// The list that says so. The longest prefix that holds an address decides alone, so each has what all say that hold
    /// its addresses.
    pub(crate) fn list(&self) -> Result<List, String> {
        let entries = self.in_force().flat_map(|entries| &entries.nets);
        let entries: Vec<(Ipv6Net, &[Range])> = entries.map(Entry::both).collect();
        let never: Vec<Ipv6Net> = self.never.iter().copied().map(prefix).collect();
        let others: Vec<Ipv6Net> = match self.between {
            Between::Allow => Vec::new(),
            Between::Refuse => self.workload_networks.iter().copied().map(prefix).collect(),
        };
        let all = Ipv6Net::default();
        let mut list = BTreeMap::new();
        for net in entries
            .iter()
            .map(|(net, _)| *net)
            .chain(never.clone())
            .chain(others.clone())
            .chain([all])
        {
            let allowed = if never.iter().any(|never| never.contains(&net)) {
                Allowed::Never
            } else if self.policy == EgressPolicy::Open
                && !others.iter().any(|other| other.contains(&net))
            {
                Allowed::All
            } else {
                let holding = entries.iter().filter(|(holding, _)| holding.contains(&net));
                together(net, holding.map(|(_, ranges)| *ranges))?
            };
            list.insert(net, allowed);
        }
        Ok(list)
    }
}

impl Entries {
    /// What they have be reached, and nothing else.
    pub(crate) fn destinations(&self) -> Result<Destinations, String> {
        let mut list = List::new();
        let entries: Vec<(Ipv6Net, &[Range])> = self.nets.iter().map(Entry::both).collect();
        for (net, _) in &entries {
            let holding = entries.iter().filter(|(holding, _)| holding.contains(net));
            let allowed = together(*net, holding.map(|(_, ranges)| *ranges))?;
            list.insert(*net, allowed);
        }
        let names = named(self.names.iter().collect())?;
        Ok(Destinations { list, names })
    }
}

/// What may be reached by names.
fn named(entries: Vec<&NamedEntry>) -> Result<NamedList, String> {
    let mut named = NamedList::new();
    for NamedEntry { pattern, .. } in &entries {
        let same = entries.iter().filter(|other| other.pattern == *pattern);
        let allowed = together(pattern, same.map(|entry| entry.ranges.as_slice()))?;
        named.insert(pattern.clone(), allowed);
    }
    Ok(named)
}

/// What several entries allow together.
fn together<'a>(
    place: impl std::fmt::Display,
    entries: impl Iterator<Item = &'a [Range]>,
) -> Result<Allowed, String> {
    let mut ranges = Vec::new();
    for entry in entries {
        if entry.is_empty() {
            return Ok(Allowed::All);
        }
        ranges.extend(entry);
    }
    ranges.sort_unstable();
    ranges.dedup();
    if ranges.len() > MOST_RANGES {
        return Err(format!(
            "{} ranges of ports are allowed at {place}, and the kernel's list holds {MOST_RANGES}: write wider ones",
            ranges.len()
        ));
    }
    Ok(if ranges.is_empty() {
        Allowed::Nothing
    } else {
        Allowed::Ranges(ranges)
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use hayward_fuzz::{Corpus, throw};
    use proptest::prelude::*;

    use super::*;
    use crate::entry::{entry_or_name, net_of};

    fn entries(texts: &[&str]) -> Entries {
        let parsed = texts.iter().map(|text| entry_or_name(text));
        Entries::of(parsed.collect::<Result<_, _>>().expect("good entries"))
    }

    fn reach(policy: EgressPolicy, allow: &[&str], never: &[&str]) -> Reach {
        Reach {
            policy,
            allow: entries(allow),
            always: entries(&["127.0.0.0/8"]),
            never: never
                .iter()
                .map(|text| net_of(text).expect("a net"))
                .collect(),
            between: Between::Allow,
            workload_networks: Vec::new(),
        }
    }

    /// As the kernel looks: the longest prefix decides.
    fn reaches(list: &List, address: &str, port: u16, protocol: u8) -> bool {
        let list = EgressList {
            reached: Destinations {
                list: list.clone(),
                ..Destinations::default()
            },
            ..EgressList::default()
        };
        list.reaches(address.parse().expect("an address"), port, protocol)
    }

    #[test]
    fn what_is_written_for_a_wide_prefix_holds_in_a_narrow_one_too() {
        let allow = [
            "10.0.0.0/8 443/tcp",
            "10.1.0.0/16 22",
            "2001:db8::/32 53/udp,53/tcp",
        ];
        let list = reach(EgressPolicy::Allow, &allow, &["10.1.2.3"])
            .list()
            .expect("a list");
        for (address, port, protocol, expected) in [
            ("10.2.0.1", 443, 6, true),
            ("10.2.0.1", 443, 17, false),
            ("10.2.0.1", 22, 6, false),
            ("10.1.0.1", 443, 6, true),
            ("10.1.0.1", 22, 6, true),
            ("10.1.2.3", 22, 6, false),
            ("10.1.2.4", 22, 6, true),
            ("11.0.0.1", 443, 6, false),
            ("2001:db8::1", 53, 17, true),
            ("2001:db8::1", 54, 17, false),
            ("127.0.0.1", 9, 6, true),
        ] {
            let what = format!("{address} {port}/{protocol}");
            assert_eq!(reaches(&list, address, port, protocol), expected, "{what}");
        }
    }

    #[test]
    fn the_policy_says_what_holds_elsewhere() {
        for (policy, expected) in [
            (EgressPolicy::Open, [true, false, true]),
            (EgressPolicy::Deny, [false, false, true]),
            (EgressPolicy::Allow, [true, false, true]),
        ] {
            let reach = reach(policy, &["192.0.2.0/24"], &["192.0.2.7"]);
            let list = reach.list().expect("a list");
            let found = ["192.0.2.1", "192.0.2.7", "127.0.0.1"]
                .map(|address| reaches(&list, address, 80, 6));
            assert_eq!(found, expected, "{policy:?}");
        }
    }

    #[test]
    fn where_other_workloads_are_what_is_listed_alone_is_reached() {
        for (policy, expected) in [
            (EgressPolicy::Open, [true, true, false, true, false]),
            (EgressPolicy::Deny, [false, true, false, false, false]),
        ] {
            let reach = Reach {
                between: Between::Refuse,
                workload_networks: vec![net_of("10.42.0.0/16").expect("a net")],
                always: entries(&["10.42.0.7 8081/tcp", "10.0.0.0/8 53"]),
                ..reach(policy, &[], &["192.0.2.7"])
            };
            let list = reach.list().expect("a list");
            let found = [
                ("198.51.100.1", 80),
                ("10.42.0.7", 8081),
                ("10.42.0.7", 80),
                ("10.43.0.1", 80),
                ("192.0.2.7", 80),
            ]
            .map(|(address, port)| reaches(&list, address, port, 6));
            assert_eq!(found, expected, "{policy:?}");
            assert!(reaches(&list, "10.42.0.9", 53, 17));
        }
    }

    #[test]
    fn names_are_those_of_always_and_where_the_policy_says_so_those_of_allow() {
        for (policy, expected) in [
            (EgressPolicy::Open, vec![("b.example", "443")]),
            (EgressPolicy::Deny, vec![("b.example", "443")]),
            (
                EgressPolicy::Allow,
                vec![("*.a.example", "80"), ("b.example", "80,443")],
            ),
        ] {
            let reach = Reach {
                always: entries(&["b.example 443"]),
                ..reach(policy, &["*.a.example 80", "b.example 80"], &[])
            };
            let lists = reach.lists().expect("lists");
            let named = |texts: &[(&str, &str)]| {
                let texts: Vec<String> = texts
                    .iter()
                    .map(|it| format!("{} {}", it.0, it.1))
                    .collect();
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                entries(&texts).destinations().expect("names").names
            };
            assert_eq!(lists.reached.names, named(&expected), "{policy:?}");
            assert_eq!(lists.always.names, named(&[("b.example", "443")]));
        }
    }

    #[test]
    fn what_is_wrong_says_what_to_write() {
        for (text, part) in [
            ("", "is no address"),
            ("10.0.0.1/8", "write 10.0.0.0/8"),
            ("10.0.0.0/33", "is no address"),
            ("example.org", "is no address"),
            ("10.0.0.0/8 99999", "is no port"),
            ("10.0.0.0/8 90-80", "is no port"),
            ("10.0.0.0/8 80/ip", "or a protocol: icmp, tcp"),
        ] {
            let error = Entry::parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        let many: Vec<String> = (1..=9).map(|port| format!("10.0.0.0/8 {port}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let error = reach(EgressPolicy::Allow, &many, &[]).list();
        assert!(error.expect_err("too many").contains("write wider ones"));
    }

    #[test]
    fn parsing_damaged_entries_never_panics() {
        let seeds = [
            "10.0.0.0/8 443/tcp,8000-8999/tcp",
            "2001:db8::/32 53",
            "::/0",
        ];
        let corpus = Corpus::new(seeds, ["/", "-", ",", " ", ":", "65536"]);
        throw(500, &corpus.damaged(), |input| {
            let _ = Entry::parse(&String::from_utf8_lossy(&input.0));
            Ok(())
        });
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let ranges = prop::collection::vec((0..20_u16, 0..20_u16, prop::option::of(Just(6))), 0..2);
        (any::<[u8; 2]>(), 0..=32_u8, ranges).prop_map(|(bytes, bits, ranges)| {
            let address = Ipv6Addr::new(
                0x2001,
                0xdb8,
                u16::from(bytes[0] % 4),
                u16::from(bytes[1] % 4),
                0,
                0,
                0,
                0,
            );
            let net = IpNet::new(address.into(), 32 + bits)
                .expect("a net")
                .trunc();
            let ranges = ranges.into_iter().map(|(one, other, protocol)| Range {
                ports: (one.min(other), one.max(other)),
                protocol,
            });
            Entry {
                net,
                ranges: ranges.collect(),
            }
        })
    }

    proptest! {
        #[test]
        fn an_address_is_reached_where_some_entry_says_so(
            allow in prop::collection::vec(any_entry(), 0..4),
            never in prop::collection::vec(any_entry(), 0..2),
            at in any::<[u8; 2]>(), port in 0..20_u16,
        ) {
            let address = IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, u16::from(at[0] % 4), u16::from(at[1] % 4), 0, 0, 0, 1));
            let says = |entry: &Entry| {
                let in_range = |range: &Range| (range.ports.0..=range.ports.1).contains(&port);
                entry.net.contains(&address) && (entry.ranges.is_empty() || entry.ranges.iter().any(in_range))
            };
            let expected = allow.iter().any(says) && !never.iter().any(|entry| entry.net.contains(&address));
            let reach = Reach {
                policy: EgressPolicy::Allow,
                allow: Entries {
                    nets: allow,
                    names: Vec::new(),
                },
                always: Entries::default(),
                never: never.into_iter().map(|entry| entry.net).collect(),
                between: Between::Allow,
                workload_networks: Vec::new(),
            };
            let list = reach.list().expect("a list");
            prop_assert_eq!(reaches(&list, &address.to_string(), port, 6), expected);
        }
    }
}
