//! Whose packets are judged.

use std::net::{IpAddr, Ipv6Addr};

use hayward_model::prefix;
use ipnet::{IpNet, Ipv6Net};

/// Addresses that are somebody's own: private, shared by customers (CGNAT), of one link, and unique local ones.
pub const PRIVATE: [&str; 7] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "fe80::/10",
    "fc00::/7",
];

/// Each of these is a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inside {
    /// Addresses of these prefixes.
    Of(Vec<Ipv6Net>),
    /// Whoever gets in touch with somebody.
    All,
}

impl Inside {
    /// Those of some prefixes.
    pub fn of(nets: impl IntoIterator<Item = IpNet>) -> Self {
        Self::Of(nets.into_iter().map(prefix).collect())
    }

    /// Those of [`PRIVATE`].
    pub fn private() -> Self {
        Self::of(PRIVATE.iter().filter_map(|net| net.parse().ok()))
    }

    /// The prefixes.
    pub fn nets(&self) -> &[Ipv6Net] {
        match self {
            Self::Of(nets) => nets,
            Self::All => &[],
        }
    }

    /// Whether an address is one; those of all or of nobody never are.
    pub fn holds(&self, address: Ipv6Addr) -> bool {
        let is_one = match address.to_canonical() {
            IpAddr::V4(ipv4) => {
                !(ipv4.is_unspecified() || ipv4.is_multicast() || ipv4.is_broadcast())
            }
            IpAddr::V6(ipv6) => !(ipv6.is_unspecified() || ipv6.is_multicast()),
        };
        is_one
            && match self {
                Self::Of(nets) => nets.iter().any(|net| net.contains(&address)),
                Self::All => true,
            }
    }
}
