//! Settings of the guard `egress`.

use std::{collections::BTreeSet, net::IpAddr};

use hayward_model::{Mode, Response, covers};
use hayward_rules::Widest;
use hayward_yaml::{Spanned, line_of};
use ipnet::IpNet;

use super::Checker;
use crate::{
    BanSettings, Between, EgressList, EgressSettings, Reach,
    entry::{Entries, Place, entry_or_name, net_of, net_or_name},
    raw::{RawEgress, RawWidest},
};

/// The kernel tells twice as many apart, since old ones hold until new ones do.
const MOST_LISTS: u16 = 2_048;
/// Half of what the kernel has room for, for the same reason.
const MOST_NAMES: usize = 4_096;
/// `EGRESS_PATTERNS` of the kernel programs.
const MOST_WIDER: usize = 4;
/// Where a workload talks to itself.
const ALWAYS: [&str; 2] = ["127.0.0.0/8", "::1"];
/// Where clouds hand out credentials: of AWS, Azure, Google and others, of AWS over IPv6, and of Google over IPv6.
const NEVER: [&str; 3] = ["169.254.169.254", "fd00:ec2::254", "fd20:ce::254"];

/// As much as a list may ban at once. Of IPv4, what once one organization could have had: a 256th of all. Of IPv6, what some
/// ban with reason, 6to4 as a whole (2002::/16); what registries give to the largest networks is narrower.
const WIDEST: Widest = Widest { v4: 8, v6: 16 };

impl Checker {
    pub(super) fn egress(&mut self, raw: RawEgress) -> EgressSettings {
        let line = raw.policy.as_ref().map_or(0, line_of);
        let reach = Reach {
            policy: raw.policy.map(|policy| policy.value).unwrap_or_default(),
            allow: Entries::of(self.entries(raw.allow, &[], entry_or_name)),
            always: Entries::of(self.entries(raw.always, &ALWAYS, entry_or_name)),
            never: self.entries(raw.never, &NEVER, net_of),
            between: raw.between_workloads.map(|it| it.value).unwrap_or_default(),
            workload_networks: self.entries(raw.workload_networks, &[], net_of),
        };
        self.checked(line, reach.lists());
        let exceptions = raw.never_banned.map(|entries| entries.value);
        let exceptions = self.entries(exceptions, &[], net_or_name);
        let (exceptions, exception_names) = Place::apart(exceptions);
        let resolvers = raw
            .resolvers
            .map(|it| self.entries(Some(it.value), &[], address));
        let bans = BanSettings {
            lists: raw.ban_lists.map_or_else(Vec::new, |lists| lists.value),
            exceptions,
            exception_names,
            widest: self.widest(raw.widest_ban),
        };
        EgressSettings {
            enabled: true,
            bans,
            resolvers,
            may_cut_node: raw.may_cut_node.is_some_and(|may| may.value),
            mode: raw.mode.unwrap_or(Mode::Enforce),
            response: raw.response.unwrap_or(Response::Deny),
            reach,
        }
    }

    /// An override says all of what may be reached where it says anything of it, and takes the rest over.
    pub(super) fn overridden_egress(
        &mut self,
        general: EgressSettings,
        raw: RawEgress,
    ) -> EgressSettings {
        let line = raw.policy.as_ref().map_or(0, line_of);
        let says = |entries: &Option<Vec<Spanned<String>>>| entries.is_some();
        let (allow, always, never) = (says(&raw.allow), says(&raw.always), says(&raw.never));
        let (mode, response) = (raw.mode, raw.response);
        let between = raw.between_workloads.as_ref().map(|it| it.value);
        let networks = says(&raw.workload_networks);
        let policy = raw.policy.as_ref().map(|policy| policy.value);
        let own = self.egress(raw);
        let old = general.reach;
        let reach = Reach {
            policy: policy.unwrap_or(old.policy),
            allow: if allow { own.reach.allow } else { old.allow },
            always: if always { own.reach.always } else { old.always },
            never: if never { own.reach.never } else { old.never },
            between: between.unwrap_or(old.between),
            workload_networks: if networks {
                own.reach.workload_networks
            } else {
                old.workload_networks
            },
        };
        self.checked(line, reach.lists());
        EgressSettings {
            mode: mode.unwrap_or(general.mode),
            response: response.unwrap_or(general.response),
            reach,
            ..general
        }
    }

    /// The number of a list, which is added where no other says the same.
    pub(super) fn number(&mut self, lists: &mut Vec<EgressList>, settings: &EgressSettings) -> u16 {
        // What is wrong with it has been told.
        let list = settings.reach.lists().unwrap_or_default();
        let known = lists.iter().position(|known| *known == list);
        let number = known.unwrap_or_else(|| {
            lists.push(list);
            lists.len() - 1
        });
        let number = u16::try_from(number)
            .ok()
            .filter(|number| *number < MOST_LISTS);
        let message = format!("overrides of `egress` say more than {MOST_LISTS} different things");
        self.checked(0, number.ok_or(message)).unwrap_or(0)
    }

    /// The kernel tells so many names apart, and of those that a name falls under at once.
    pub(super) fn refuse_many_names(&mut self, lists: &[EgressList]) {
        let names = |list: &EgressList| list.reached.names.len() + list.always.names.len();
        let entries: usize = lists.iter().map(names).sum();
        let patterns = lists.iter().flat_map(|list| list.reached.names.keys());
        let patterns: BTreeSet<&String> = patterns.collect();
        if patterns.len() > MOST_NAMES || entries > 2 * MOST_NAMES {
            let message = format!(
                "`allow` and `always` have more than {MOST_NAMES} names, or overrides have twice as many"
            );
            self.problem(0, message, "allow what is below a name: *.example.org");
            return;
        }
        for pattern in &patterns {
            let wider = patterns.iter().filter(|wide| covers(wide, pattern)).count();
            if wider > MOST_WIDER {
                let message = format!(
                    "`{pattern}` falls under {wider} names of `allow` and `always`, and the kernel tells {MOST_WIDER} apart"
                );
                self.problem(0, message, "leave out those in between");
            }
        }
    }

    fn widest(&mut self, raw: Option<Spanned<RawWidest>>) -> Widest {
        let Some(raw) = raw else {
            return WIDEST;
        };
        let widest = Widest {
            v4: raw.value.ipv4.unwrap_or(WIDEST.v4),
            v6: raw.value.ipv6.unwrap_or(WIDEST.v6),
        };
        if widest.v4 > 32 || widest.v6 > 128 {
            let message = format!(
                "`widest_ban: {{ipv4: {}, ipv6: {}}}` are no lengths of prefixes",
                widest.v4, widest.v6
            );
            let help = "write up to 32 bits for IPv4 and 128 for IPv6";
            self.problem(line_of(&raw), message, help);
        }
        widest
    }

    pub(super) fn entries<T>(
        &mut self,
        raw: Option<Vec<Spanned<String>>>,
        default: &[&str],
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let Some(raw) = raw else {
            return default.iter().filter_map(|text| parse(text).ok()).collect();
        };
        let entries = raw.into_iter();
        let parsed = entries.filter_map(|text| self.checked(line_of(&text), parse(&text.value)));
        parsed.collect()
    }
}

/// Whether it is never reached where settings say nothing of that.
pub fn is_default_never(net: &IpNet) -> bool {
    NEVER.iter().any(|text| net_of(text).as_ref() == Ok(net))
}

pub(super) fn no_egress() -> EgressSettings {
    EgressSettings {
        enabled: false,
        mode: Mode::Observe,
        response: Response::Observe,
        reach: Reach {
            policy: crate::EgressPolicy::Open,
            allow: Entries::default(),
            always: Entries::default(),
            never: Vec::new(),
            between: Between::Allow,
            workload_networks: Vec::new(),
        },
        bans: BanSettings {
            lists: Vec::new(),
            exceptions: Vec::new(),
            exception_names: Vec::new(),
            widest: WIDEST,
        },
        resolvers: None,
        may_cut_node: false,
    }
}

/// Reads the address of a name server.
fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no address of a name server; write one such as 10.96.0.10 or fd00::a")
    })
}

impl RawEgress {
    /// Keys that are one for all workloads, with their lines.
    pub(super) fn of_all(&self) -> [(&'static str, Option<usize>); 5] {
        [
            ("ban_lists", self.ban_lists.as_ref().map(line_of)),
            ("never_banned", self.never_banned.as_ref().map(line_of)),
            ("resolvers", self.resolvers.as_ref().map(line_of)),
            ("widest_ban", self.widest_ban.as_ref().map(line_of)),
            ("may_cut_node", self.may_cut_node.as_ref().map(line_of)),
        ]
    }
}
