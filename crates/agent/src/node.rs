//! What this host cannot do without, by address: name servers, its own addresses, its gateway, its cluster. Settings that would
//! have it cut off are refused.

mod cut;

use std::{
    fs,
    net::{IpAddr, Ipv6Addr},
    path::Path,
};

pub use cut::refuse_cutting_node;

use crate::routes::gateways;

/// Where the addresses of name servers stand. The second has those that systemd's own server asks.
const RESOLVERS: [&str; 2] = ["etc/resolv.conf", "run/systemd/resolve/resolv.conf"];
/// Where a node's agent of a cluster is told where its API is.
const KUBECONFIGS: [&str; 4] = [
    "etc/kubernetes/kubelet.conf",
    "var/lib/kubelet/kubeconfig",
    "etc/rancher/k3s/k3s.yaml",
    "etc/rancher/rke2/rke2.yaml",
];

/// Where a kubelet is told what name servers its pods have.
const KUBELET: &str = "var/lib/kubelet/config.yaml";

/// An address that is needed, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needed {
    pub(crate) address: IpAddr,
    /// The port and the protocol, where one alone is needed of the host's own services.
    pub(crate) service: Option<(u16, u8)>,
    pub(crate) what: String,
}

const DNS: u16 = 53;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// What a host needs whose file system is below `root`. What cannot be read is not known, and nothing is refused for it.
pub(crate) fn needed(root: &Path, environment: impl Fn(&str) -> Option<String>) -> Vec<Needed> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let mut all = Vec::new();
    for file in RESOLVERS {
        for address in name_servers(&read(file)) {
            let what = format!("a name server of /{file}");
            all.push((address, Some((DNS, UDP)), what));
        }
    }
    let (v4, v6) = (read("proc/net/fib_trie"), read("proc/net/if_inet6"));
    for address in own_ipv4(&v4).chain(own_ipv6(&v6)) {
        all.push((address, None, "this host's own address".to_owned()));
    }
    for address in gateways(&read("proc/net/route"), "") {
        all.push((address, None, "this host's gateway".to_owned()));
    }
    for file in KUBECONFIGS {
        for (address, port) in api_servers(&read(file)) {
            let what = format!("the cluster's API by /{file}");
            all.push((address, Some((port, TCP)), what));
        }
    }
    let host = environment("KUBERNETES_SERVICE_HOST").and_then(|host| host.parse().ok());
    let port = environment("KUBERNETES_SERVICE_PORT").and_then(|port| port.parse().ok());
    if let Some(address) = host {
        let what = "the cluster's API by $KUBERNETES_SERVICE_HOST".to_owned();
        all.push((address, Some((port.unwrap_or(443), TCP)), what));
    }
    let mut found: Vec<Needed> = Vec::new();
    for (address, service, what) in all {
        let known = found.iter().any(|other| other.address == address);
        // A service of its own on the host itself is reached without leaving it.
        if !known && !address.is_loopback() && !address.is_unspecified() {
            found.push(Needed {
                address,
                service,
                what,
            });
        }
    }
    found
}

/// Name servers of a host and of its cluster, by the files below `root`: those that it asks itself, and those that the kubelet
/// names to pods.
pub(crate) fn resolvers(root: &Path) -> Vec<IpAddr> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let own = RESOLVERS
        .iter()
        .flat_map(|file| name_servers(&read(file)).collect::<Vec<_>>());
    let mut all: Vec<IpAddr> = own.chain(cluster_dns(&read(KUBELET))).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The list under `clusterDNS:`.
fn cluster_dns(text: &str) -> Vec<IpAddr> {
    let lines = text
        .lines()
        .skip_while(|line| line.trim_end() != "clusterDNS:");
    let items = lines
        .skip(1)
        .map_while(|line| line.trim_start().strip_prefix('-'));
    let addresses = items.filter_map(|item| item.trim().trim_matches(['"', '\'']).parse().ok());
    addresses.collect()
}

fn name_servers(text: &str) -> impl Iterator<Item = IpAddr> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let server = words.next().filter(|word| *word == "nameserver");
        let address = server.and(words.next())?;
        // What follows is the interface of a link-local address.
        address.split('%').next()?.parse().ok()
    })
}

/// `/proc/net/fib_trie`: an address stands in the line before `/32 host LOCAL`.
fn own_ipv4(text: &str) -> impl Iterator<Item = IpAddr> {
    text.lines()
        .zip(text.lines().skip(1))
        .filter_map(|(line, next)| {
            let is_own = next.trim() == "/32 host LOCAL";
            let address = line.trim().strip_prefix("|-- ").filter(|_| is_own)?;
            address.parse().ok()
        })
}

/// `/proc/net/if_inet6`: 32 hexadecimal digits, and more. Link-local addresses are every link's.
fn own_ipv6(text: &str) -> impl Iterator<Item = IpAddr> {
    let addresses = text.lines().filter_map(|line| {
        let digits = line.split_whitespace().next()?;
        let bits = u128::from_str_radix(digits, 16).ok()?;
        Some(Ipv6Addr::from(bits))
    });
    addresses
        .filter(|address| !address.is_unicast_link_local())
        .map(IpAddr::from)
}

/// Addresses in lines such as `server: https://10.0.0.1:6443`. Names are not looked up.
fn api_servers(text: &str) -> impl Iterator<Item = (IpAddr, u16)> {
    text.lines().filter_map(|line| {
        let url = line
            .trim()
            .strip_prefix("server:")?
            .trim()
            .trim_matches('"');
        let host = url.strip_prefix("https://")?.split('/').next()?;
        if let Ok(address) = host.parse::<std::net::SocketAddr>() {
            return Some((address.ip(), address.port()));
        }
        let address = host.trim_matches(['[', ']']).parse().ok()?;
        Some((address, 443))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_needs_is_read_from_where_it_says_so() {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in [
            (
                "etc/resolv.conf",
                "# nameserver 203.0.113.1\nsearch a.example\nnameserver 10.255.255.53\nnameserver fe80::1%eth0\nnameserver 127.0.0.53\n",
            ),
            (
                "proc/net/fib_trie",
                "Main:\n  |-- 192.0.2.0\n     /24 link UNICAST\n  |-- 192.0.2.2\n     /32 host LOCAL\nLocal:\n  |-- 192.0.2.2\n     /32 host LOCAL\n  |-- 127.0.0.1\n     /32 host LOCAL\n",
            ),
            (
                "proc/net/if_inet6",
                "00000000000000000000000000000001 01 80 10 80 lo\nfe8000000000000000fc00fffe000001 04 40 20 80 eth0\nfd000000000000000000000000000002 04 40 00 82 eth0\n",
            ),
            (
                "proc/net/route",
                "Iface\tDestination\tGateway\neth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\neth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n",
            ),
            (
                "etc/kubernetes/kubelet.conf",
                "clusters:\n- cluster:\n    server: https://10.0.0.1:6443\n    server: https://[fd00::9]\n    server: https://api.example:6443\n",
            ),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let environment =
            |name: &str| (name == "KUBERNETES_SERVICE_HOST").then(|| "10.96.0.1".to_owned());
        let found = needed(root.path(), environment);
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.address.to_string(), one.service.map(|(port, _)| port)))
            .collect();
        let expected = [
            ("10.255.255.53", Some(53)),
            ("fe80::1", Some(53)),
            ("192.0.2.2", None),
            ("fd00::2", None),
            ("192.0.2.1", None),
            ("10.0.0.1", Some(6443)),
            ("fd00::9", Some(443)),
            ("10.96.0.1", Some(443)),
        ];
        let expected = expected.map(|(address, port)| (address.to_owned(), port));
        assert_eq!(found, expected);
        let nowhere = root.path().join("none");
        assert_eq!(needed(&nowhere, |_| None), []);
    }
}
