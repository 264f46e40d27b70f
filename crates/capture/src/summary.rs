//! What there was in a capture.

use std::collections::BTreeMap;

/// Why a packet is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unread {
    /// It is none of IP: ARP and the like.
    NoIp,
    /// Its headers say what cannot be: no host takes it.
    Damaged,
    /// Neither end is inside.
    Outside,
    /// The capture has kept too little of it.
    Short,
    /// Of this kind of link nothing is known here.
    Link(u32),
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoIp => f.write_str("not-ip"),
            Self::Damaged => f.write_str("damaged-header"),
            Self::Outside => f.write_str("outside"),
            Self::Short => f.write_str("cut-short"),
            Self::Link(link) => write!(f, "link-type-{link}"),
        }
    }
}

/// Kinds of links that are told apart where they are unknown.
const MOST_CAUSES: usize = 16;

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Packets.
    pub packets: u64,
    /// Addresses inside that sent or got any.
    pub workloads: u64,
    /// Connections and exchanges of datagrams of theirs.
    pub flows: u64,
    /// First contacts.
    pub contacts: u64,
    /// Of those, answered.
    pub answered: u64,
    /// Of those, refused.
    pub refused: u64,
    /// Findings.
    pub findings: u64,
    /// Findings that say of the same workload and the other end what one before has said, and are not told.
    pub repeated: u64,
    /// Packets that are not judged, by cause.
    pub unread: BTreeMap<Unread, u64>,
    /// Packets of which the capture kept a part, which is judged.
    pub cut: u64,
    /// Later fragments, which have no ports.
    pub fragments: u64,
    /// Packets whose time is before that of an earlier one; they count as of then.
    pub backwards: u64,
    /// Packets of addresses inside that are not judged, since there are more of them than the kernel has room for.
    pub no_room: u64,
    /// Connections and contacts that were forgotten, for others to have room.
    pub forgotten: u64,
    /// Time from the first packet to the last, in ns.
    pub lasted: u64,
}

impl Summary {
    /// Neither answered nor refused by the end.
    pub fn silent(&self) -> u64 {
        self.contacts.saturating_sub(self.answered + self.refused)
    }

    pub(crate) fn count_unread(&mut self, why: Unread) {
        let is_known = self.unread.contains_key(&why) || self.unread.len() < MOST_CAUSES;
        let cause = if is_known { why } else { Unread::NoIp };
        *self.unread.entry(cause).or_default() += 1;
    }
}
