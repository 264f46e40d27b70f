//! What the ledger shows: bans with what they dropped, and all that is known of one address.

use std::{collections::BTreeMap, net::IpAddr};

use hayward_model::{BanOrigin, BanStrength};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Allow, Ban, Inner, Ledger, LedgerError, entry::Past};

/// A ban, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedBan {
    /// What the ledger says.
    #[serde(flatten)]
    pub ban: Ban,
    /// Packets that were dropped by it; none where the kernel does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
    /// It is not kept over a restart: the kernel made it by itself, for a moment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
}

/// Addresses that are never banned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Never {
    /// Which.
    pub net: IpNet,
    /// Why.
    pub why: String,
}

/// Why an address is banned, or is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyBanned {
    /// The address.
    pub address: IpAddr,
    /// Bans that cover it, the narrowest first.
    pub bans: Vec<ListedBan>,
    /// By what it is allowed, the narrowest first.
    pub allows: Vec<Allow>,
    /// Why it is never banned, whatever operators say.
    pub never: Vec<Never>,
    /// Earlier bans for scans, and the end of the last.
    pub past: Vec<Past>,
}

impl Ledger {
    /// All bans, those that the kernel made by itself too.
    pub fn list(&self) -> Vec<ListedBan> {
        self.lock().list(Timestamp::now())
    }

    /// Who is allowed.
    pub fn allowed(&self) -> Vec<Allow> {
        let now = Timestamp::now();
        let inner = self.lock();
        let allows = inner.book.allows().filter(|allow| allow.holds(now));
        allows.cloned().collect()
    }

    /// Whether operators allow a source.
    pub(crate) fn allows(&self, net: IpNet) -> bool {
        let now = Timestamp::now();
        let inner = self.lock();
        let mut allows = inner.book.allows_around(net);
        allows.any(|allow| allow.holds(now))
    }

    /// How many bans the ledger holds.
    pub fn count(&self) -> usize {
        self.lock().book.ban_count()
    }

    /// How many bans of each strength and origin the ledger holds. Those that only the kernel has are not looked for: whoever asks
    /// for metrics asks often.
    pub fn tally(&self) -> Vec<(BanStrength, BanOrigin, usize)> {
        let now = Timestamp::now();
        let mut counts = [[0; BanOrigin::ALL.len()]; BanStrength::ALL.len()];
        for ban in self.lock().book.bans().filter(|ban| ban.holds(now)) {
            counts[ban.strength as usize][ban.origin as usize] += 1;
        }
        let mut tally = Vec::new();
        for (strength, counts) in BanStrength::ALL.into_iter().zip(counts) {
            for (origin, count) in BanOrigin::ALL.into_iter().zip(counts) {
                tally.push((strength, origin, count));
            }
        }
        tally
    }

    /// All that is known of an address.
    ///
    /// # Errors
    /// Where the kernel cannot be asked.
    pub fn why(&self, address: IpAddr) -> Result<WhyBanned, LedgerError> {
        self.lock().why(address.to_canonical(), Timestamp::now())
    }
}

impl Inner {
    fn list(&self, now: Timestamp) -> Vec<ListedBan> {
        let there = self.map.iter().flat_map(|map| map.all());
        let mut there: BTreeMap<IpNet, _> = there.map(|ban| (ban.net, ban)).collect();
        let bans = self.book.bans().filter(|ban| ban.holds(now));
        let mut list: Vec<ListedBan> = bans
            .map(|ban| ListedBan {
                ban: ban.clone(),
                dropped: there.remove(&ban.net).map(|ban| ban.dropped),
                passing: false,
            })
            .collect();
        let others = there.into_values();
        let others = others.filter_map(|ban| passing(&ban, now));
        list.extend(others);
        list.sort_by_key(|one| one.ban.net);
        list
    }

    fn why(&self, address: IpAddr, now: Timestamp) -> Result<WhyBanned, LedgerError> {
        let net = IpNet::from(address);
        let mut bans = Vec::new();
        for length in (0..=net.prefix_len()).rev() {
            let around = IpNet::new(address, length).map_or(net, |net| net.trunc());
            let there = self.map.as_ref().map_or(Ok(None), |map| map.get(around))?;
            match self.book.ban(around).filter(|ban| ban.holds(now)) {
                Some(ban) => bans.push(ListedBan {
                    ban: ban.clone(),
                    dropped: there.map(|ban| ban.dropped),
                    passing: false,
                }),
                None => bans.extend(there.and_then(|ban| passing(&ban, now))),
            }
        }
        let allows = self.book.allows_around(net).filter(|it| it.holds(now));
        let never = self.never.iter().filter(|(net, _)| net.contains(&address));
        Ok(WhyBanned {
            address,
            bans,
            allows: allows.cloned().collect(),
            never: never
                .map(|(net, why)| Never {
                    net: *net,
                    why: why.clone(),
                })
                .collect(),
            past: self.book.past_around(net).collect(),
        })
    }
}

/// A ban that only the kernel has and that is not over.
fn passing(ban: &hayward_kernel::KernelBan, now: Timestamp) -> Option<ListedBan> {
    if ban.remaining.is_some_and(|left| left.is_zero()) {
        return None;
    }
    let reason = match ban.strength {
        BanStrength::Soft => "it may be somebody else's address: only first contacts are dropped",
        BanStrength::Full => "banned by the kernel just now",
    };
    Some(ListedBan {
        ban: Ban {
            net: ban.net,
            origin: BanOrigin::Scan,
            strength: ban.strength,
            made: now,
            until: ban.remaining.and_then(|left| now.checked_add(left).ok()),
            times: 1,
            record: None,
            reason: Some(reason.to_owned()),
            actor: None,
        },
        dropped: Some(ban.dropped),
        passing: true,
    })
}
