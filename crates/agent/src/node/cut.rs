//! Whether settings would cut this host off.

use std::{net::IpAddr, path::Path};

use hayward_model::{Guard, Mode, prefix};
use hayward_policy::{EgressList, Policy, SettingsError};
use hayward_rules::{BanList, bans};
use hayward_yaml::Problem;
use ipnet::IpNet;

use super::{DNS, Needed, needed};

/// Services of a host without which it is lost, where systems put them, and whether they need its cluster. What runs containers
/// is in no scope.
const SERVICES: [(&str, bool); 6] = [
    ("/system.slice/kubelet.service", true),
    ("/system.slice/k3s-agent.service", true),
    ("/system.slice/rke2-agent.service", true),
    ("/system.slice/systemd-resolved.service", false),
    ("/system.slice/dnsmasq.service", false),
    ("/system.slice/unbound.service", false),
];
const FORCE: &str = "or set `may_cut_node: true` for the guard `egress`";

/// Refuses settings of the guard `egress` that would keep this host's own services, or workloads, from what the host cannot do
/// without, unless settings say that this is meant. Returns what operators should know.
pub fn refuse_cutting_node(
    policy: &Policy,
    lists: &[BanList],
) -> Result<Vec<String>, SettingsError> {
    if !policy.lists(Guard::Egress) || policy.egress.may_cut_node {
        return Ok(Vec::new());
    }
    let needed = needed(Path::new("/"), |name| std::env::var(name).ok());
    let (problems, notes) = cuts(policy, lists, &needed);
    if problems.is_empty() {
        Ok(notes)
    } else {
        Err(SettingsError { problems })
    }
}

fn cuts(policy: &Policy, lists: &[BanList], needed: &[Needed]) -> (Vec<Problem>, Vec<String>) {
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    let mut refuse = |file: String, message: String, help: String| {
        problems.push(Problem {
            file,
            line: 0,
            message,
            help,
        });
    };
    let settings = || "guards.egress".to_owned();
    let all: Vec<_> = policy.egress_settings().collect();
    for Needed { address, what, .. } in needed {
        let mut told: Vec<IpNet> = Vec::new();
        for never in all.iter().flat_map(|settings| &settings.reach.never) {
            if !never.contains(address) || told.contains(never) {
                continue;
            }
            told.push(*never);
            let message = format!("`never: {never}` holds {address}, {what}");
            // Where a cloud's name server is where it hands out credentials.
            if hayward_policy::is_default_never(never) {
                notes.push(format!(
                    "{message}: workloads cannot reach it; write `never` without it where they have to"
                ));
            } else {
                refuse(
                    settings(),
                    message,
                    format!("write `never` without it, {FORCE}"),
                );
            }
        }
        if let Some((list, net)) = banned_by(policy, lists, *address) {
            refuse(
                list.to_owned(),
                format!("`{net}` holds {address}, {what}"),
                format!("add {address} to `never_banned`, {FORCE}"),
            );
        }
    }
    for (path, needs_cluster) in SERVICES {
        let decided = policy.scope_rules().by_path(path).policy;
        if decided.mode(Guard::Egress) != Some(Mode::Enforce) {
            continue;
        }
        let list = policy
            .egress_lists()
            .get(usize::from(decided.egress_list()));
        let lacks = |needed: &&Needed| {
            needed.service.is_some_and(|(port, protocol)| {
                (port == DNS || needs_cluster)
                    && !list.is_some_and(|list: &EgressList| {
                        list.reaches(needed.address, port, protocol)
                    })
            })
        };
        if let Some(Needed { address, what, .. }) = needed.iter().find(lacks) {
            refuse(
                settings(),
                format!("{path} is in scope, and may not reach {address}, {what}"),
                format!("exclude it from the scope, allow {address} for it, {FORCE}"),
            );
        }
    }
    (problems, notes)
}

/// The list that bans an address for workloads in general, and the prefix by which it does.
fn banned_by<'a>(
    policy: &Policy,
    lists: &'a [BanList],
    address: IpAddr,
) -> Option<(&'a str, IpNet)> {
    let always = &policy.egress.reach.always.nets;
    if always.iter().any(|entry| entry.net.contains(&address)) {
        return None;
    }
    let host = prefix(IpNet::from(address));
    let exceptions = &policy.egress.bans.exceptions;
    let number = |name: &str| {
        let number = lists.iter().position(|list| list.name == name)?;
        u8::try_from(number).ok()
    };
    // Only those that hold it, of perhaps a hundred thousand.
    let holding: Vec<BanList> = lists
        .iter()
        .map(|list| BanList {
            nets: list
                .nets
                .iter()
                .filter(|net| net.contains(&host))
                .copied()
                .collect(),
            ..list.empty()
        })
        .collect();
    let bans = bans(&holding, exceptions, number);
    let longest = bans.iter().filter(|(net, _)| net.contains(&host));
    let (net, list) = longest.max_by_key(|(net, _)| net.prefix_len())?;
    let list = lists.get(usize::from((*list)?))?;
    let v4 = net
        .addr()
        .to_ipv4_mapped()
        .zip(net.prefix_len().checked_sub(96));
    let v4 = v4.and_then(|(address, bits)| IpNet::new(address.into(), bits).ok());
    Some((&list.name, v4.unwrap_or(IpNet::V6(*net))))
}

#[cfg(test)]
mod tests {
    use hayward_rules::{Widest, parse_bans};

    use super::*;

    fn host() -> Vec<Needed> {
        let one = |address: &str, service, what: &str| Needed {
            address: address.parse().expect("an address"),
            service,
            what: what.to_owned(),
        };
        vec![
            one("10.0.0.53", Some((53, 17)), "a name server"),
            one("192.0.2.2", None, "this host's own address"),
            one("fd00::1", Some((443, 6)), "the cluster's API"),
            one("169.254.169.254", Some((53, 17)), "a name server"),
        ]
    }

    fn told(settings: &str, list: &str) -> (Vec<String>, Vec<String>) {
        let policy = Policy::parse("h.yaml", settings).expect(settings);
        let widest = Widest { v4: 8, v6: 8 };
        let list = parse_bans("a.txt", list.as_bytes(), widest).expect("a good list");
        let (problems, notes) = cuts(&policy, &[list], &host());
        let problems = problems.iter().map(ToString::to_string);
        (problems.collect(), notes)
    }

    fn egress(settings: &str) -> String {
        format!("guards: {{egress: {{never: [], {settings}}}}}\n")
    }

    #[test]
    fn what_the_host_needs_is_neither_never_reached_nor_banned() {
        for (settings, list, parts) in [
            (egress("policy: open"), "", &[][..]),
            (egress("policy: deny"), "8.0.0.0/8\n", &[]),
            (
                "guards: {egress: {never: [10.0.0.0/8, fd00::1]}}\n".to_owned(),
                "",
                &["`never: 10.0.0.0/8` holds 10.0.0.53, a name server", "fd00::1"],
            ),
            (
                "guards: {egress: {never: []}}\noverrides: [{match: /a, guards: {egress: {never: [192.0.2.0/24]}}}]\n".to_owned(),
                "",
                &["this host's own address"],
            ),
            (egress("policy: open"), "10.0.0.0/16\n", &["a.txt: `10.0.0.0/16` holds 10.0.0.53"]),
            (egress("policy: open"), "fd00::/8\n", &["`fd00::/8` holds fd00::1"]),
            (egress("never_banned: [10.0.0.53]"), "10.0.0.0/16\n", &[]),
            (egress("always: [10.0.0.0/24 53]"), "10.0.0.0/16\n", &[]),
        ] {
            let (problems, notes) = told(&settings, list);
            assert_eq!(problems.len(), parts.len(), "{settings}: {problems:?}");
            for (problem, part) in problems.iter().zip(parts) {
                assert!(problem.contains(part), "{part}: {problem}");
                assert!(problem.contains("may_cut_node"), "{problem}");
            }
            assert_eq!(notes, [""; 0]);
        }
        // Nobody wrote that, and clouds have their name servers there.
        let (problems, notes) = told("guards: {egress: {}}\n", "");
        assert_eq!(problems, [""; 0]);
        assert!(
            notes[0].contains("169.254.169.254, a name server"),
            "{notes:?}"
        );
    }

    #[test]
    fn the_hosts_own_services_reach_what_they_need() {
        let scoped = |settings: &str| {
            let scope = "scope: {host: true, include: [\"/system.slice/**\"]}\n";
            told(&format!("{scope}{}", egress(settings)), "").0
        };
        assert_eq!(scoped("policy: open"), [""; 0]);
        assert_eq!(scoped("policy: deny, mode: observe"), [""; 0]);
        let problems = scoped("policy: allow, allow: [10.0.0.0/8 53, 169.254.169.254]");
        assert!(!problems.is_empty());
        assert!(
            problems[0].contains("k3s-agent.service is in scope, and may not reach fd00::1"),
            "{problems:?}"
        );
        let all = "policy: allow, allow: [10.0.0.0/8 53, 169.254.169.254, fd00::1 443/tcp]";
        assert_eq!(scoped(all), [""; 0]);
    }
}
