//! Where the guard looks: which interfaces settings mean, by what their packets are to be seen, and what came of that.

use std::collections::{BTreeMap, HashSet};

use hayward_kernel::{Hook, KernelError};
use hayward_policy::{Attach, InboundSettings, InterfaceSelector};
use serde::{Deserialize, Serialize};

use super::links::Links;
use crate::firewall::TablePlan;

/// An interface that settings mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceReport {
    /// What it is called; where there is none, what settings call it.
    pub name: String,
    /// By what its packets are seen: `tc`, `xdp-native` or `xdp-generic`; by `nftables` they are only dropped. None where they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// Why they are not, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl InterfaceReport {
    fn unseen(name: &str, reason: String) -> Self {
        Self {
            name: name.to_owned(),
            hook: None,
            reason: Some(reason),
        }
    }
}

/// What settings mean, of the interfaces that there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Those to look at: what they are called, by their numbers.
    pub(crate) wanted: BTreeMap<u32, String>,
    /// Those that cannot be.
    pub(crate) unseen: Vec<InterfaceReport>,
}

/// The hooks to try, in this order. A program of somebody else's is never replaced.
pub(crate) fn hooks(attach: Attach) -> &'static [Hook] {
    match attach {
        Attach::Auto | Attach::Tc => &[Hook::Tc],
        Attach::Native => &[Hook::Native],
        Attach::Generic => &[Hook::Generic],
        Attach::Nftables => &[],
    }
}

/// Finds the interfaces that settings mean. `uplinks` are those of default routes.
pub(crate) fn select(
    selectors: &[InterfaceSelector],
    links: &Links,
    uplinks: &HashSet<&str>,
) -> Selection {
    let mut selection = Selection::default();
    let mut waiting = Vec::new();
    for selector in selectors {
        let mut meant = links.iter().filter(|(_, link)| {
            let name = link.name.as_str();
            selector.selects(name, uplinks.contains(name))
        });
        let is_glob = *selector != InterfaceSelector::DefaultRoute && selector.exact().is_none();
        let mut found = false;
        for (number, link) in meant.by_ref() {
            found = true;
            if link.ethernet {
                selection.wanted.insert(*number, link.name.clone());
            } else if !is_glob {
                // A glob means those that can be looked at.
                let reason = "its packets have no Ethernet header, and only those that have are read: name the interface beneath it in `interfaces`";
                let unseen = InterfaceReport::unseen(&link.name, reason.to_owned());
                selection.unseen.push(unseen);
            }
        }
        match selector.exact() {
            _ if found => {}
            Some(name) => {
                let reason = format!(
                    "waits for {name}, which is not there; correct `interfaces` where it is called otherwise"
                );
                selection.unseen.push(InterfaceReport::unseen(name, reason));
            }
            None if is_glob => waiting.push(selector),
            None => {
                let reason = "waits for a default route, of which there is none; name the interface in `interfaces` where there never is";
                let unseen = InterfaceReport::unseen("default", reason.to_owned());
                selection.unseen.push(unseen);
            }
        }
    }
    // A glob that means nothing is no problem while there is anything else to look at.
    if selection.wanted.is_empty() && selection.unseen.is_empty() {
        let unseen = waiting.into_iter().map(|selector| {
            let reason = format!("waits for an interface of a name such as `{selector}`");
            InterfaceReport::unseen(&selector.to_string(), reason)
        });
        selection.unseen.extend(unseen);
    }
    // Two selectors may mean the same.
    let mut told = HashSet::new();
    let is_first = |report: &InterfaceReport| told.insert(report.name.clone());
    selection.unseen.retain(is_first);
    selection
}

/// What came of it, with what the kernel side says of each.
pub(crate) fn reports(
    selection: Selection,
    mut looked: BTreeMap<u32, Result<Hook, KernelError>>,
) -> Vec<InterfaceReport> {
    let wanted = selection.wanted.into_iter();
    let wanted = wanted.map(|(number, name)| match looked.remove(&number) {
        Some(Ok(hook)) => InterfaceReport {
            name,
            hook: Some(hook_name(hook).to_owned()),
            reason: None,
        },
        Some(Err(error)) => InterfaceReport::unseen(&name, error.to_string()),
        None => InterfaceReport::unseen(&name, NOT_YET.to_owned()),
    });
    let mut all: Vec<_> = wanted.chain(selection.unseen).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// What stands for a hook where a table drops.
pub(crate) const TABLE: &str = "nftables";

/// Where a table of nftables is to drop: where settings say so, or where there is a program at none of the interfaces.
pub(crate) fn table_plan(
    settings: &InboundSettings,
    selection: &Selection,
    looked: &BTreeMap<u32, Result<Hook, KernelError>>,
) -> Option<TablePlan> {
    let why = match settings.attach {
        Attach::Nftables => "`attach: nftables` is set".to_owned(),
        Attach::Auto => {
            let mut failures = selection.wanted.iter().map(|(number, name)| {
                let error = looked.get(number)?.as_ref().err()?;
                Some(format!("no program can be attached at {name}: {error}"))
            });
            failures.by_ref().collect::<Option<Vec<_>>>()?.join("; ")
        }
        _ => return None,
    };
    let interfaces = selection.wanted.values().cloned().collect();
    (!selection.wanted.is_empty()).then_some(TablePlan {
        interfaces,
        cut_replies: settings.cut_replies,
        why,
    })
}

/// Has reports of interfaces without a program say that a table drops there.
pub(crate) fn by_table(reports: &mut [InterfaceReport], plan: &TablePlan) {
    for report in reports
        .iter_mut()
        .filter(|it| plan.interfaces.contains(&it.name))
    {
        report.hook = Some(TABLE.to_owned());
        report.reason = None;
    }
}

/// Of what is wanted and was not tried.
const NOT_YET: &str =
    "it is not looked at yet; restart the agent, and report it with `hayward support` if it stays";

/// As the status spells it.
const fn hook_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Native => "xdp-native",
        Hook::Generic => "xdp-generic",
        Hook::Tc => "tc",
    }
}

/// What is wrong with any of them, and which are seen all the same, for one line of the status.
pub(crate) fn shortfall(reports: &[InterfaceReport]) -> Option<String> {
    let wrong = reports.iter().filter_map(|report| {
        let reason = report.reason.as_ref()?;
        Some(format!("{}: {reason}", report.name))
    });
    let wrong: Vec<String> = wrong.collect();
    (!wrong.is_empty()).then(|| format!("{}; {}", in_words(reports), wrong.join("; ")))
}

/// Where it looks, for one line of the status.
pub(crate) fn in_words(reports: &[InterfaceReport]) -> String {
    let seen = reports.iter().filter_map(|report| {
        let hook = report.hook.as_ref().filter(|hook| *hook != TABLE)?;
        Some(format!("{} by {hook}", report.name))
    });
    let seen: Vec<String> = seen.collect();
    match seen.as_slice() {
        [] => "looks at no interface".to_owned(),
        seen => format!("looks at {}", seen.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbound::links::Link;

    fn links() -> Links {
        let link = |name: &str, ethernet| Link {
            name: name.to_owned(),
            ethernet,
            up: true,
        };
        Links::from([
            (1, link("lo", false)),
            (2, link("eth0", true)),
            (3, link("ens4", true)),
            (4, link("ppp0", false)),
        ])
    }

    /// The names of those that are looked at, and of the others, with why.
    fn selected(selectors: &[&str], uplinks: &[&str]) -> (Vec<String>, Vec<(String, String)>) {
        let parse = |text: &&str| InterfaceSelector::parse(text).expect("a good one");
        let selectors: Vec<_> = selectors.iter().map(parse).collect();
        let uplinks = uplinks.iter().copied().collect();
        let selection = select(&selectors, &links(), &uplinks);
        let unseen = selection.unseen.into_iter();
        let unseen = unseen.map(|report| (report.name, report.reason.expect("a reason")));
        (selection.wanted.into_values().collect(), unseen.collect())
    }

    #[test]
    fn what_settings_mean_is_found_and_what_is_not_there_is_waited_for() {
        assert_eq!(
            selected(&["eth0", "e*"], &[]).0,
            ["eth0", "ens4"],
            "once each"
        );
        assert_eq!(
            selected(&["default"], &["ens4"]),
            (vec!["ens4".into()], vec![])
        );
        let (wanted, unseen) = selected(&["eth7", "eth0"], &[]);
        assert_eq!(wanted, ["eth0"]);
        assert!(unseen[0].0 == "eth7" && unseen[0].1.starts_with("waits for eth7"));
        let (_, unseen) = selected(&["default"], &[]);
        assert!(unseen[0].1.contains("default route"), "{unseen:?}");
    }

    #[test]
    fn an_interface_without_ethernet_is_told_unless_a_glob_means_it() {
        for (selector, uplinks) in [("ppp0", &[][..]), ("default", &["ppp0"])] {
            let (wanted, unseen) = selected(&[selector], uplinks);
            assert!(wanted.is_empty());
            assert!(unseen[0].0 == "ppp0" && unseen[0].1.contains("Ethernet"));
        }
        let all = (vec!["eth0".into(), "ens4".into()], vec![]);
        assert_eq!(selected(&["*"], &[]), all, "nor is lo");
    }

    #[test]
    fn a_glob_that_means_nothing_is_told_only_where_nothing_is_looked_at() {
        assert_eq!(selected(&["wl*", "eth0"], &[]).1, []);
        let (_, unseen) = selected(&["wl*"], &[]);
        assert!(unseen[0].0 == "wl*" && unseen[0].1.starts_with("waits for"));
    }

    #[test]
    fn the_status_says_by_what_each_is_seen_or_why_not() {
        let selectors = ["eth0", "ens4", "eth7"]
            .map(|text| InterfaceSelector::parse(text).expect("a good one"));
        let selection = select(&selectors, &links(), &HashSet::new());
        let looked = BTreeMap::from([(2, Ok(Hook::Tc)), (3, Err(KernelError::XdpTaken))]);
        let reports = reports(selection, looked);
        assert_eq!(in_words(&reports), "looks at eth0 by tc");
        let shortfall = shortfall(&reports).expect("two");
        assert!(shortfall.contains("ens4: ") && shortfall.contains("`attach: tc`"));
        assert!(shortfall.contains("eth7: waits for eth7"), "{shortfall}");
        assert_eq!(super::shortfall(&reports[2..2]), None);
    }

    #[test]
    fn xdp_is_tried_only_where_settings_say_so() {
        assert_eq!(hooks(Attach::Auto), [Hook::Tc]);
        assert_eq!(hooks(Attach::Tc), [Hook::Tc]);
        assert_eq!(hooks(Attach::Native), [Hook::Native]);
        assert_eq!(hooks(Attach::Generic), [Hook::Generic]);
    }

    #[test]
    fn a_table_drops_where_settings_say_so_or_no_program_can_be_attached_at_all() {
        let settings = |attach: &str| {
            let text = format!("guards: {{inbound: {{interfaces: [e], attach: {attach}}}}}");
            let policy = hayward_policy::Policy::parse("h.yaml", &text);
            policy.expect("good settings").inbound
        };
        let selection = Selection {
            wanted: [(2, "eth0".to_owned()), (3, "ens4".to_owned())].into(),
            unseen: Vec::new(),
        };
        let failed = || Err(KernelError::XdpTaken);
        let none = BTreeMap::from([(2, failed()), (3, failed())]);
        let one = BTreeMap::from([(2, failed()), (3, Ok(Hook::Tc))]);
        let plan = |attach, looked| table_plan(&settings(attach), &selection, looked);
        let table = plan("auto", &none).expect("a table");
        assert!(table.interfaces.contains("eth0") && table.why.contains("at ens4: "));
        assert_eq!(plan("auto", &one), None);
        assert_eq!(plan("tc", &none), None);
        assert!(plan("nftables", &one).is_some());
        let nothing = Selection::default();
        assert_eq!(table_plan(&settings("auto"), &nothing, &none), None);
    }
}
