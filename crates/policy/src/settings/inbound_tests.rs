//! Settings of the guard `inbound`: what is refused, and what holds.

use hayward_model::Guard;

use super::*;
use crate::InterfaceSelector;

#[test]
fn each_error_says_what_to_do() {
    for (text, expected) in [
        (
            "guards: {inbound: {interfaces: []}}\n",
            "`inbound` names no interfaces",
        ),
        (
            "guards: {inbound: {interfaces: [a/b]}}\n",
            "`a/b` is no name of an interface",
        ),
        (
            "guards: {inbound: {interfaces: [lo]}}\n",
            "`lo` is not looked at",
        ),
        (
            "guards: {inbound: {interfaces: [e], attach: xdp}}\n",
            "known are auto, native, generic, tc, nftables",
        ),
        (
            "guards: {inbound: {interfaces: [e], failures: 4}}\n",
            "write a number from 5 to 10000",
        ),
        (
            "guards: {inbound: {interfaces: [e], sources: 100000000}}\n",
            "write a number from 1024 to 4194304",
        ),
        (
            "guards: {inbound: {interfaces: [e], most_bans: 0}}\n",
            "`most_bans: 0` is out of bounds",
        ),
        (
            "guards: {inbound: {interfaces: [e], ban_rate: 0}}\n",
            "`ban_rate: 0` is out of bounds",
        ),
        (
            "guards: {inbound: {interfaces: [e], ban: 100ms}}\n",
            "`ban` is out of bounds",
        ),
        (
            "guards: {inbound: {interfaces: [e], longest_ban: 366d}}\n",
            "`longest_ban` is out of bounds",
        ),
        (
            "guards: {inbound: {interfaces: [e], soft_ban: 2h}}\n",
            "write a time from 1s to 3600s",
        ),
        (
            "guards: {inbound: {interfaces: [e], memory: 31d}}\n",
            "`memory` is out of bounds",
        ),
        (
            "guards: {inbound: {interfaces: [e], ban: soon}}\n",
            "`soon` is no duration",
        ),
        (
            "guards: {inbound: {interfaces: [e], outputs: [{nftables: banned}]}}\n",
            "`banned` is no set of nftables",
        ),
        (
            "guards: {inbound: {interfaces: [e], outputs: [{ipset: {ipv4: a b}}]}}\n",
            "`a b` is no name of a set of ipset",
        ),
        (
            "guards: {inbound: {interfaces: [e], outputs: [{}]}}\n",
            "an entry of `outputs` names no set, or two",
        ),
        (
            "guards: {inbound: {interfaces: [e], outputs: [{ipset: a}, {ipset: a}]}}\n",
            "`a` is named twice in `outputs`",
        ),
        (
            "guards: {inbound: {interfaces: [e], ipv6_prefix: 63}}\n",
            "`ipv6_prefix: 63` tells no sources apart",
        ),
        (
            "guards: {inbound: {interfaces: [e], never: [10.0.0.0/33]}}\n",
            "10.0.0.0/33",
        ),
        (
            "guards: {inbound: {interfaces: [e], ports: 3}}\n",
            "`ports` is a setting of a profile, and none is set",
        ),
        (
            "guards: {inbound: {interfaces: [e], within: 1m}}\n",
            "`within` is a setting of a profile, and none is set",
        ),
        (
            "guards: {inbound: {interfaces: [e], profile: scanblocker, ports: 16}}\n",
            "write a number from 1 to 15",
        ),
        (
            "guards: {inbound: {interfaces: [e], profile: scanblocker, within: 13h}}\n",
            "`within` is out of bounds",
        ),
        (
            "guards: {inbound: {interfaces: [e], profile: scanblocka}}\n",
            "scanblocker",
        ),
        (
            "guards: {inbound: {interfaces: [e]}}\noverrides:\n- {match: /a, guards: {inbound: {ban: 1h}}}\n",
            "the guard `inbound` is of the host, and of no workload",
        ),
    ] {
        let problems = Policy::parse("h.yaml", text).expect_err(text).to_string();
        assert!(problems.contains(expected), "{text}: {problems}");
        assert!(problems.contains("h.yaml:"), "{text}: {problems}");
    }
}

#[test]
fn a_first_ban_is_never_longer_than_the_longest() {
    let text = "guards: {inbound: {interfaces: [e], ban: 30d}}";
    let policy = Policy::parse("h.yaml", text).expect("good");
    assert_eq!(policy.inbound.longest_ban, policy.inbound.ban);
}

#[test]
fn the_profile_of_scanblocker_bans_at_the_fourth_port_within_a_minute() {
    let limit = |text: &str| {
        let text = format!("guards: {{inbound: {{interfaces: [e]{text}}}}}");
        let policy = Policy::parse("h.yaml", &text).expect("good");
        let limit = policy.inbound.ports;
        limit.map(|limit| (limit.ports, limit.within.as_secs()))
    };
    assert_eq!(limit(""), None);
    assert_eq!(limit(", profile: scanblocker"), Some((3, 60)));
    let own = ", profile: scanblocker, ports: 5, within: 10s";
    assert_eq!(limit(own), Some((5, 10)));
}

/// The block of the embedded file that is a comment: what it says holds where nothing is said.
#[test]
fn what_the_embedded_file_says_in_a_comment_is_what_holds() {
    let lines = DEFAULT_SETTINGS.lines();
    let block = lines.skip_while(|line| !line.starts_with("  # inbound:"));
    let block = block.take_while(|line| line.starts_with("  #"));
    let text = block.map(|line| line.replacen("  # ", "  ", 1) + "\n");
    // The profile is off until it is set.
    let is_of_profile = |line: &String| {
        ["profile:", "ports:", "within:"]
            .iter()
            .any(|key| line.trim().starts_with(key))
    };
    let text: String = text.filter(|line| !is_of_profile(line)).collect();
    let said = Policy::parse("said", &format!("guards:\n{text}")).expect("good");
    let unsaid = "guards: {inbound: {interfaces: [default]}}";
    let unsaid = Policy::parse("unsaid", unsaid).expect("good");
    assert_eq!(said.inbound, unsaid.inbound);
}

#[test]
fn interfaces_of_the_command_line_take_the_place_of_those_of_settings() {
    let named = [InterfaceSelector::parse("ens4").expect("a good one")];
    let at = |text: &str, named: &[InterfaceSelector]| {
        let policy = Policy::parse("h.yaml", text).expect("good");
        policy.at_interfaces(named)
    };
    let listed = "guards: {inbound: {interfaces: [eth0], failures: 9}}";
    let inbound = at(listed, &named).inbound;
    assert_eq!(inbound.interfaces, named);
    assert_eq!((inbound.failures, inbound.mode), (9, Mode::Enforce));
    let inbound = at("", &named).inbound;
    assert_eq!(inbound.interfaces, named);
    assert_eq!((inbound.enabled, inbound.mode), (true, Mode::Observe));
    assert_eq!(inbound.ports.map(|limit| limit.ports), Some(3));
    let policy = at("", &named);
    assert_eq!(policy.guard_mode(Guard::Inbound).0, Mode::Observe);
    assert_eq!(policy.named_interfaces(), named);
    assert!(!at("", &[]).inbound.enabled);
    let unchanged = at(listed, &[]).inbound;
    assert_eq!(unchanged.interfaces[0].to_string(), "eth0");
}

#[test]
fn scanblockers_lines_and_its_metric_are_there_where_settings_say_so() {
    let listens = |text: &str| {
        let policy = Policy::parse("h.yaml", text).expect("good");
        policy.compat_scanblocker.map(|address| address.to_string())
    };
    assert_eq!(listens(""), None);
    let both = "compat: [cryptnono, scanblocker]";
    assert_eq!(listens(both).as_deref(), Some("0.0.0.0:8080"));
    let own = "compat: [scanblocker]\nmetrics: {scanblocker: \"127.0.0.1:9\"}";
    assert_eq!(listens(own).as_deref(), Some("127.0.0.1:9"));
    let bad = "metrics: {scanblocker: here}";
    let problems = Policy::parse("h.yaml", bad).expect_err(bad).to_string();
    assert!(
        problems.contains("write one such as 0.0.0.0:8080"),
        "{problems}"
    );
}

#[test]
fn sets_of_a_firewall_are_named_for_one_family_or_for_both() {
    let text = "guards: {inbound: {interfaces: [e], outputs: [{ipset: banned}, {nftables: {ipv4: inet f four, ipv6: inet f six}}]}}";
    let outputs = Policy::parse("h.yaml", text).expect("good").inbound.outputs;
    let named = |output: &crate::Output| (output.set.to_string(), output.family);
    let named: Vec<_> = outputs.iter().map(named).collect();
    assert_eq!(
        named,
        [
            ("banned".to_owned(), None),
            ("inet f four".to_owned(), Some(crate::AddressFamily::Ipv4)),
            ("inet f six".to_owned(), Some(crate::AddressFamily::Ipv6)),
        ]
    );
}
