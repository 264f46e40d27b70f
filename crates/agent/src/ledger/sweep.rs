//! What ends by itself: bans that are over leave the ledger and the kernel's map.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hayward_model::BanStrength;
use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    Ban, Inner, Ledger, LedgerError,
    entry::{Allow, Line},
    left,
};

/// Bans that are removed from the kernel's map at a time, beside those of the ledger.
const MOST_AT_ONCE: usize = 4096;
/// Bans of the kernel's own whose ends are remembered; the others are found by looking at all.
const MOST_PASSING: usize = 65_536;
/// How often all are looked at.
const SWEEP: Duration = Duration::from_secs(60);

/// Bans that the kernel made by itself and that only run out.
#[derive(Debug, Default)]
pub(super) struct Passing {
    ends: BTreeMap<IpNet, Timestamp>,
    order: BTreeSet<(Timestamp, IpNet)>,
    /// When the whole map was looked at last.
    swept: Option<Timestamp>,
    /// What was found there to be over.
    over: Vec<IpNet>,
}

impl Passing {
    pub(super) fn note(&mut self, net: IpNet, ns: u64, now: Timestamp) {
        if let Some(until) = self.ends.remove(&net) {
            self.order.remove(&(until, net));
        }
        let until = now.checked_add(Duration::from_nanos(ns));
        if let Ok(until) = until
            && self.ends.len() < MOST_PASSING
        {
            self.ends.insert(net, until);
            self.order.insert((until, net));
        }
    }

    fn take_over(&mut self, now: Timestamp) -> Vec<IpNet> {
        let at = self.over.len().saturating_sub(MOST_AT_ONCE);
        let mut over = self.over.split_off(at);
        while over.len() < MOST_AT_ONCE
            && let Some((until, net)) = self.order.first().copied()
            && until <= now
        {
            self.order.pop_first();
            self.ends.remove(&net);
            over.push(net);
        }
        over
    }
}

/// What is over.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Bans of the ledger.
    pub bans: Vec<Ban>,
    /// Those who were allowed for a time.
    pub allows: Vec<Allow>,
    /// Bans that the kernel had made by itself and that were not kept.
    pub passing: usize,
}

impl Ledger {
    /// Ends what is over at a time. To be called every second.
    ///
    /// # Errors
    /// Where the kernel says no; what is over is over in the ledger all the same, and in the kernel too, which knows the time.
    pub fn tick(&self, now: Timestamp) -> Result<Ended, LedgerError> {
        self.lock().tick(now)
    }
}

impl Inner {
    fn tick(&mut self, now: Timestamp) -> Result<Ended, LedgerError> {
        let mut ended = Ended {
            bans: self.book.end(now),
            allows: self.book.end_allows(now),
            passing: 0,
        };
        let mut result = Ok(());
        if !ended.allows.is_empty() {
            result = self.write_never().map_err(LedgerError::from);
        }
        let Some(map) = &mut self.map else {
            return result.map(|()| ended);
        };
        let passing = self.passing.take_over(now);
        let kept = ended.bans.iter().map(|ban| (ban.net, true));
        for (net, was_kept) in kept.chain(passing.into_iter().map(|net| (net, false))) {
            // It may have been banned anew meanwhile, by the kernel or by hand.
            let there = map.get(net).ok().flatten();
            let is_over = there.is_some_and(|ban| {
                ban.remaining.is_some_and(|left| left.is_zero()) || (was_kept && !ban.by_kernel)
            });
            if is_over && (was_kept || self.book.ban(net).is_none()) {
                match map.remove(net) {
                    Ok(removed) => ended.passing += usize::from(removed && !was_kept),
                    Err(error) => result = Err(error.into()),
                }
            }
        }
        let is_due = |swept: Timestamp| left(now, swept) >= SWEEP || now < swept;
        if self.passing.swept.is_none_or(is_due) {
            self.passing.swept = Some(now);
            self.sweep(now)?;
        }
        result.map(|()| ended)
    }

    /// Looks at all that the kernel has: events may have been lost, and clocks set.
    fn sweep(&mut self, now: Timestamp) -> Result<(), LedgerError> {
        let all = self.map()?.all();
        let mut lines = Vec::new();
        let mut over = Vec::new();
        let mut result = Ok(());
        for there in all {
            let is_over = there.remaining.is_some_and(|left| left.is_zero());
            match self.book.ban(there.net).cloned() {
                Some(ban) if is_over => {
                    let remaining = ban.until.map(|until| left(until, now));
                    if let Err(error) = self.map()?.put(ban.net, remaining, ban.strength) {
                        result = Err(error.into());
                    }
                }
                Some(_) => {}
                None if there.by_kernel && is_over => over.push(there.net),
                None if there.by_kernel && there.strength == BanStrength::Full => {
                    if self.refusal(there.net, now).is_none() {
                        lines.push(Line::Ban(self.taken_up(&there, now)));
                    }
                }
                None if there.by_kernel => {}
                // It was lifted, and could not be removed then.
                None => {
                    if let Err(error) = self.map()?.remove(there.net) {
                        result = Err(error.into());
                    }
                }
            }
        }
        self.passing.over = over;
        self.enter_in_any_case(lines);
        result
    }
}
