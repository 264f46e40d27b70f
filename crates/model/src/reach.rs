//! What a workload may reach, as the kernel programs keep it.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv6Net};

use crate::NamedList;

/// What may be reached, by addresses that begin alike. Of the prefixes that hold an address, the longest decides alone.
/// IPv4 addresses are those of `::ffff:0:0/96`.
pub type List = BTreeMap<Ipv6Net, Allowed>;

/// What may be reached by addresses, and by names beside that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destinations {
    /// By addresses.
    pub list: List,
    /// By names.
    pub names: NamedList,
}

impl Destinations {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.names.is_empty()
    }
}

/// So many ranges may be allowed at the addresses of one prefix.
pub const MOST_RANGES: usize = 8;

/// What may be reached at an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Allowed {
    /// Everything.
    All,
    /// These: one at least, and [`MOST_RANGES`] at most.
    Ranges(Vec<Range>),
    /// Nothing.
    Nothing,
    /// Nothing, whatever name it has.
    Never,
}

/// Ports of a protocol that may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The first port and the last. Where the protocol has no ports, they say nothing.
    pub ports: (u16, u16),
    /// `IPPROTO_*`; none is any.
    pub protocol: Option<u8>,
}

/// The prefix of both families, as lists have it.
pub fn prefix(net: IpNet) -> Ipv6Net {
    match net {
        IpNet::V6(net) => net.trunc(),
        // It has 96 bits more, of which there is room for 128.
        IpNet::V4(net) => {
            Ipv6Net::new_assert(net.addr().to_ipv6_mapped(), net.prefix_len() + 96).trunc()
        }
    }
}
