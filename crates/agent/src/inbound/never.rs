//! Who is never banned: this host, whom it cannot do without, whom it has called, and whom settings name. Sources can be made
//! up, and nobody shall have this host cut itself off by pretending to be one of these.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::Path,
};

use hayward_model::source_of;
use hayward_policy::InboundSettings;
use ipnet::IpNet;

use crate::{node, routes::gateways};

/// What no source on a wire can be, or can be told apart by.
const NOBODY: [(&str, &str); 9] = [
    ("0.0.0.0/8", "it is no address"),
    ("127.0.0.0/8", "it is this host itself"),
    ("169.254.0.0/16", "it is of the link alone"),
    ("224.0.0.0/4", "it is a group"),
    ("255.255.255.255/32", "it is everybody"),
    ("::/128", "it is no address"),
    ("::1/128", "it is this host itself"),
    ("fe80::/10", "it is of the link alone"),
    ("ff00::/8", "it is a group"),
];

/// Private and shared addresses (RFC 1918, RFC 4193, RFC 6598).
const PRIVATE: [&str; 5] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
];

/// Those never banned, with a word of why.
pub(crate) type Never = BTreeMap<IpNet, String>;

/// All but the peers of connections: by settings, and by what the host says whose file system is below `root`.
pub(crate) fn never(
    root: &Path,
    environment: impl Fn(&str) -> Option<String>,
    settings: &InboundSettings,
) -> Never {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let mut never = Never::new();
    for (net, why) in NOBODY {
        never.extend(net.parse().ok().map(|net: IpNet| (net, why.to_owned())));
    }
    if !settings.ban_private {
        let private = PRIVATE.iter().filter_map(|net| net.parse::<IpNet>().ok());
        let why = "it is private, and `ban_private` is not set".to_owned();
        never.extend(private.map(|net| (net, why.clone())));
    }
    let mut add = |net: IpNet, why: String| {
        never.entry(whole(net, settings.ipv6_prefix)).or_insert(why);
    };
    for net in &settings.never {
        add(*net, "settings name it under `never`".to_owned());
    }
    for needed in node::needed(root, environment) {
        add(needed.address.into(), format!("it is {}", needed.what));
    }
    for address in node::resolvers(root) {
        add(address.into(), "it is a name server".to_owned());
    }
    let (ipv4, ipv6) = (read("proc/net/route"), read("proc/net/ipv6_route"));
    for address in gateways(&ipv4, &ipv6) {
        add(address.into(), "it is this host's gateway".to_owned());
    }
    never
}

/// The same with those that this host has called.
pub(crate) fn with_peers(never: &Never, peers: &BTreeSet<IpAddr>, ipv6_prefix: u8) -> Never {
    let mut all = never.clone();
    for peer in peers {
        all.entry(whole((*peer).into(), ipv6_prefix))
            .or_insert_with(|| "this host has opened a connection to it".to_owned());
    }
    all
}

/// Why a source is never banned, by the narrowest prefix that says so.
pub(crate) fn why(never: &Never, source: IpNet) -> Option<&str> {
    let covering = never.iter().filter(|(net, _)| net.contains(&source));
    let narrowest = covering.max_by_key(|(net, _)| net.prefix_len());
    narrowest.map(|(_, why)| why.as_str())
}

/// What is spared for the sake of a prefix: of IPv6 all that is one source with it, for a ban would be of all that.
fn whole(net: IpNet, ipv6_prefix: u8) -> IpNet {
    match net.trunc() {
        IpNet::V6(net)
            if net.addr().to_ipv4_mapped().is_none() && net.prefix_len() > ipv6_prefix =>
        {
            source_of(net.addr().into(), ipv6_prefix)
        }
        net if net.prefix_len() == net.max_prefix_len() => source_of(net.addr(), ipv6_prefix),
        net => net,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> InboundSettings {
        let text = format!("guards: {{inbound: {{interfaces: [eth0], {text}}}}}");
        let policy = hayward_policy::Policy::parse("h.yaml", &text).expect("good settings");
        policy.inbound
    }

    fn source(text: &str) -> IpNet {
        source_of(text.parse().expect("an address"), 64)
    }

    fn host() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in [
            ("etc/resolv.conf", "nameserver 198.51.100.53\n"),
            (
                "var/lib/kubelet/config.yaml",
                "clusterDNS:\n- 203.0.113.53\n",
            ),
            (
                "etc/kubernetes/kubelet.conf",
                "    server: https://203.0.113.9:6443\n",
            ),
            (
                "proc/net/fib_trie",
                "  |-- 192.0.2.2\n     /32 host LOCAL\n  |-- 192.0.2.3\n     /32 host LOCAL\n",
            ),
            (
                "proc/net/if_inet6",
                "20010db8000000010000000000000002 04 40 00 80 eth0\n",
            ),
            (
                "proc/net/route",
                "Iface\teth0\neth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n",
            ),
            (
                "proc/net/ipv6_route",
                "00000000000000000000000000000000 00 00000000000000000000000000000000 00 20010db8000000020000000000000001 00000400 00000001 00000000 00000003 eth0\n",
            ),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        root
    }

    #[test]
    fn whom_a_host_cannot_do_without_is_never_banned() {
        let root = host();
        let never = never(root.path(), |_| None, &settings("never: [198.18.0.0/15]"));
        for (address, expected) in [
            ("192.0.2.2", "own address"),
            ("192.0.2.3", "own address"),
            ("2001:db8:0:1::2", "own address"),
            ("192.0.2.1", "gateway"),
            ("2001:db8:0:2::1", "gateway"),
            ("198.51.100.53", "name server"),
            ("203.0.113.53", "name server"),
            ("203.0.113.9", "cluster's API"),
            ("198.19.1.2", "settings"),
            ("10.1.2.3", "private"),
            ("100.64.0.1", "private"),
            ("172.31.0.1", "private"),
            ("192.168.9.9", "private"),
            ("fd12::1", "private"),
            ("127.0.0.53", "this host itself"),
            ("169.254.1.1", "link"),
            ("fe80::1", "link"),
            ("224.0.0.1", "group"),
            ("ff02::1", "group"),
            ("0.0.0.0", "no address"),
        ] {
            let why = why(&never, source(address)).unwrap_or_default();
            assert!(why.contains(expected), "{address}: {why}");
        }
        let itself = "::1/128".parse().expect("a prefix");
        assert!(why(&never, itself).is_some());
        for address in ["192.0.2.4", "198.51.100.1", "172.32.0.1", "2001:db8:0:3::1"] {
            assert_eq!(why(&never, source(address)), None, "{address}");
        }
    }

    #[test]
    fn private_addresses_are_banned_where_settings_say_so_but_those_that_are_needed() {
        let root = tempfile::tempdir().expect("a folder");
        let own = root.path().join("etc/resolv.conf");
        fs::create_dir_all(own.parent().expect("a folder")).expect("a folder");
        fs::write(own, "nameserver 10.0.0.53\n").expect("a file");
        let never = never(root.path(), |_| None, &settings("ban_private: true"));
        assert_eq!(why(&never, source("10.0.0.9")), None);
        assert!(why(&never, source("10.0.0.53")).is_some());
    }

    #[test]
    fn of_ipv6_all_that_is_one_source_is_spared_together() {
        let settings =
            settings("never: [\"2001:db8:5::7\", \"2001:db8:6::/48\", \"2001:db8:8::/100\"]");
        let root = tempfile::tempdir().expect("a folder");
        let never = never(root.path(), |_| None, &settings);
        let peers = ["2001:db8:7::9", "203.0.113.4"].map(|text| text.parse().expect("one"));
        let all = with_peers(&never, &peers.into(), 64);
        for (address, is_spared) in [
            ("2001:db8:5::8", true),
            ("2001:db8:6:1::1", true),
            ("2001:db8:7::1", true),
            ("2001:db8:8:0:1::1", true),
            ("2001:db8:7:1::1", false),
            ("203.0.113.4", true),
            ("203.0.113.5", false),
        ] {
            assert_eq!(why(&all, source(address)).is_some(), is_spared, "{address}");
        }
        assert_eq!(why(&never, source("203.0.113.4")), None);
    }
}
