//! What holds, by the lines that were read or written: no files and no kernel.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hayward_model::BanOrigin;
use ipnet::IpNet;
use jiff::Timestamp;

use super::entry::{Allow, Ban, Line, Past};

/// Sources of which it is known how often they were banned: beyond, those are forgotten whose bans ended first.
pub(crate) const MOST_PAST: usize = 65_536;

/// Bans, who is allowed, and what is known of earlier bans.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Book {
    bans: BTreeMap<IpNet, Ban>,
    /// By their ends.
    ends: BTreeSet<(Timestamp, IpNet)>,
    allows: BTreeMap<IpNet, Allow>,
    past: BTreeMap<IpNet, Past>,
    past_ends: BTreeSet<(Timestamp, IpNet)>,
}

impl Book {
    pub(crate) fn apply(&mut self, line: Line) {
        match line {
            Line::Ban(ban) => {
                let past = Past {
                    net: ban.net,
                    times: ban.times,
                    until: ban.until.unwrap_or(Timestamp::MAX),
                };
                if ban.origin == BanOrigin::Scan {
                    self.note(past);
                }
                self.strike(ban.net);
                self.ends.extend(ban.until.map(|until| (until, ban.net)));
                self.bans.insert(ban.net, ban);
            }
            Line::Lifted(net) => {
                self.strike(net);
                self.forget(net);
            }
            Line::Flushed(_) => {
                let nets: Vec<IpNet> = self.bans.keys().copied().collect();
                for net in nets {
                    self.apply(Line::Lifted(net));
                }
            }
            Line::Allow(allow) => {
                self.allows.insert(allow.net, allow);
            }
            Line::Disallow(net) => {
                self.allows.remove(&net);
            }
            Line::Past(past) => self.note(past),
        }
    }

    fn strike(&mut self, net: IpNet) {
        if let Some(until) = self.bans.remove(&net).and_then(|ban| ban.until) {
            self.ends.remove(&(until, net));
        }
    }

    fn note(&mut self, past: Past) {
        self.forget(past.net);
        self.past.insert(past.net, past);
        self.past_ends.insert((past.until, past.net));
        if self.past.len() > MOST_PAST
            && let Some((_, net)) = self.past_ends.pop_first()
        {
            self.past.remove(&net);
        }
    }

    fn forget(&mut self, net: IpNet) {
        if let Some(past) = self.past.remove(&net) {
            self.past_ends.remove(&(past.until, net));
        }
    }

    /// Takes out the bans that are over, in the order in which they ended.
    pub(crate) fn end(&mut self, now: Timestamp) -> Vec<Ban> {
        let mut over = Vec::new();
        while let Some((until, net)) = self.ends.first().copied() {
            if now < until {
                break;
            }
            self.ends.pop_first();
            over.extend(self.bans.remove(&net));
        }
        over
    }

    /// The same of who is allowed.
    pub(crate) fn end_allows(&mut self, now: Timestamp) -> Vec<Allow> {
        let over = self.allows.values().filter(|allow| !allow.holds(now));
        let over: Vec<Allow> = over.cloned().collect();
        for allow in &over {
            self.allows.remove(&allow.net);
        }
        over
    }

    /// Forgets those who were banned last so long ago.
    pub(crate) fn forget_older(&mut self, age: Duration, now: Timestamp) {
        let Ok(oldest) = now.checked_sub(age) else {
            return;
        };
        while let Some((until, net)) = self.past_ends.first().copied() {
            if oldest <= until {
                break;
            }
            self.past_ends.pop_first();
            self.past.remove(&net);
        }
    }

    /// How often a source was banned for scans, as far as is remembered for so long beyond the end.
    pub(crate) fn times(&self, net: IpNet, memory: Duration, now: Timestamp) -> u32 {
        let past = self.past.get(&net);
        let past = past.filter(|past| {
            let forgotten = past.until.checked_add(memory);
            forgotten.map_or(true, |forgotten| now < forgotten)
        });
        past.map_or(0, |past| past.times)
    }

    /// What is known of a source's earlier bans.
    pub(crate) fn past(&self, net: IpNet) -> Option<Past> {
        self.past.get(&net).copied()
    }

    pub(crate) fn ban(&self, net: IpNet) -> Option<&Ban> {
        self.bans.get(&net)
    }

    pub(crate) fn allow(&self, net: IpNet) -> Option<&Allow> {
        self.allows.get(&net)
    }

    pub(crate) fn bans(&self) -> impl Iterator<Item = &Ban> {
        self.bans.values()
    }

    pub(crate) fn allows(&self) -> impl Iterator<Item = &Allow> {
        self.allows.values()
    }

    pub(crate) fn ban_count(&self) -> usize {
        self.bans.len()
    }

    pub(crate) fn allow_count(&self) -> usize {
        self.allows.len()
    }

    /// Bans of a prefix and of those around it, the narrowest first.
    pub(crate) fn bans_around(&self, net: IpNet) -> impl Iterator<Item = &Ban> {
        around(net).filter_map(|net| self.bans.get(&net))
    }

    /// The same of who is allowed.
    pub(crate) fn allows_around(&self, net: IpNet) -> impl Iterator<Item = &Allow> {
        around(net).filter_map(|net| self.allows.get(&net))
    }

    /// The same of earlier bans.
    pub(crate) fn past_around(&self, net: IpNet) -> impl Iterator<Item = Past> {
        around(net).filter_map(|net| self.past.get(&net).copied())
    }

    /// Bans of a prefix and of what lies within it.
    pub(crate) fn bans_within(&self, net: IpNet) -> impl Iterator<Item = &Ban> {
        self.bans.range(net..=last(net)).map(|(_, ban)| ban)
    }

    /// The same of who is allowed.
    pub(crate) fn allows_within(&self, net: IpNet) -> impl Iterator<Item = &Allow> {
        self.allows.range(net..=last(net)).map(|(_, allow)| allow)
    }

    /// How many lines say all of it.
    pub(crate) fn len(&self) -> usize {
        self.bans.len() + self.allows.len() + self.past.len()
    }

    /// The lines that say all of it. What is past comes first: a ban for a scan says the same again.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Line> {
        let past = self.past_ends.iter().filter_map(|(_, net)| {
            let past = self.past.get(net)?;
            Some(Line::Past(*past))
        });
        let bans = self.bans.values().cloned().map(Line::Ban);
        let allows = self.allows.values().cloned().map(Line::Allow);
        past.chain(bans).chain(allows)
    }
}

/// A prefix and those that hold it, the narrowest first.
fn around(net: IpNet) -> impl Iterator<Item = IpNet> {
    (0..=net.prefix_len())
        .rev()
        .filter_map(move |length| Some(IpNet::new(net.addr(), length).ok()?.trunc()))
}

/// Of the prefixes within one, the last in their order.
fn last(net: IpNet) -> IpNet {
    net.broadcast().into()
}
