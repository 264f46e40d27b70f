//! What operators ask for: bans, their end, and who is allowed.

use std::{collections::BTreeSet, time::Duration};

use hayward_model::{BanOrigin, BanStrength};
use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    Allow, Ban, Inner, Ledger, LedgerError, Refusal,
    entry::{Line, plain, shown},
    left,
};

/// So many may be allowed.
const MOST_ALLOWED: usize = 1024;
/// So many notes are made.
const MOST_NOTES: usize = 20;

/// A ban that somebody asks for.
#[derive(Debug, Clone)]
pub struct BanOrder {
    /// Of whom.
    pub nets: Vec<IpNet>,
    /// For how long; none for ever.
    pub time: Option<Duration>,
    /// What is dropped.
    pub strength: BanStrength,
    /// By hand, or from a list. What a list bans never shortens a ban that there is.
    pub origin: BanOrigin,
    /// Why.
    pub comment: Option<String>,
    /// Who asks.
    pub actor: Option<String>,
    /// How many bans there may be.
    pub most: usize,
    /// Bans the others where some are never banned.
    pub skip_refused: bool,
    /// Checks everything, and does nothing.
    pub dry_run: bool,
}

/// What was banned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ordered {
    /// The bans.
    pub bans: Vec<Ban>,
    /// So many were banned for longer already.
    pub unchanged: usize,
    /// What is never banned.
    pub refused: Vec<Refusal>,
    /// What whoever asked should know.
    pub notes: Vec<String>,
}

/// What is banned no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lifted {
    /// These were, in the ledger or in the kernel alone.
    pub nets: Vec<IpNet>,
    /// Why others were not.
    pub unknown: Vec<String>,
    /// What whoever asked should know.
    pub notes: Vec<String>,
}

/// Somebody who is not to be banned.
#[derive(Debug, Clone)]
pub struct AllowOrder {
    /// Who.
    pub nets: Vec<IpNet>,
    /// For how long; none until it is removed.
    pub time: Option<Duration>,
    /// Why.
    pub comment: Option<String>,
    /// Who asks.
    pub actor: Option<String>,
}

impl Ledger {
    /// Bans whoever is named: all of them, or nobody where one of them cannot be.
    ///
    /// # Errors
    /// Where some of it is never banned, there is no room, or it could not be kept.
    pub fn ban(&self, order: &BanOrder) -> Result<Ordered, LedgerError> {
        self.lock().ban(order, Timestamp::now())
    }

    /// Ends bans of just these sources and prefixes. That they were banned before is forgotten.
    ///
    /// # Errors
    /// Where that cannot be kept, or the kernel says no.
    pub fn lift(&self, nets: &[IpNet]) -> Result<Lifted, LedgerError> {
        self.lock().lift(nets)
    }

    /// Ends all bans, those of the kernel's own too. Says how many.
    ///
    /// # Errors
    /// As of [`Self::lift`].
    pub fn flush(&self) -> Result<usize, LedgerError> {
        self.lock().flush(Timestamp::now())
    }

    /// Has nobody of these be banned, and ends their bans.
    ///
    /// # Errors
    /// As of [`Self::lift`], and where too many are allowed.
    pub fn allow(&self, order: &AllowOrder) -> Result<Lifted, LedgerError> {
        self.lock().allow(order, Timestamp::now())
    }

    /// Has these be banned like anybody else.
    ///
    /// # Errors
    /// As of [`Self::lift`].
    pub fn disallow(&self, nets: &[IpNet]) -> Result<Lifted, LedgerError> {
        self.lock().disallow(nets)
    }
}

impl Inner {
    fn ban(&mut self, order: &BanOrder, now: Timestamp) -> Result<Ordered, LedgerError> {
        self.map()?;
        let until = until(order.time, now)?;
        let mut done = Ordered::default();
        let nets: BTreeSet<IpNet> = order.nets.iter().copied().map(plain).collect();
        let mut added = 0;
        for net in nets {
            if let Some(why) = self.refusal(net, now) {
                done.refused.push(Refusal { net, why });
                continue;
            }
            let before = self.book.ban(net);
            let keeps = |ban: &Ban| ban.outlasts(until) && ban.strength == BanStrength::Full;
            if order.origin == BanOrigin::Import && before.is_some_and(keeps) {
                done.unchanged += 1;
                continue;
            }
            added += usize::from(before.is_none());
            let ban = Ban {
                net,
                origin: order.origin,
                strength: order.strength,
                made: now,
                until,
                times: self.book.times(net, super::LONGEST_MEMORY, now) + 1,
                record: None,
                reason: order.comment.clone(),
                actor: order.actor.clone(),
            };
            done.notes.extend(self.adds_nothing(&ban));
            done.bans.push(ban);
        }
        if !done.refused.is_empty() && !order.skip_refused {
            return Err(LedgerError::Refused(done.refused));
        }
        shorten(&mut done.notes);
        let there = self.book.ban_count();
        if there + added > order.most {
            let most = order.most;
            return Err(LedgerError::Full { there, most });
        }
        if !order.dry_run {
            self.put_in_force(&done.bans, now)?;
        }
        Ok(done)
    }

    /// Where a wider ban drops as much for as long already.
    fn adds_nothing(&self, ban: &Ban) -> Option<String> {
        let mut wider = self.book.bans_around(ban.net);
        let wider = wider.find(|wider| {
            let as_strong =
                wider.strength == BanStrength::Full || ban.strength == BanStrength::Soft;
            wider.net != ban.net && as_strong && wider.outlasts(ban.until)
        })?;
        Some(format!(
            "{} adds nothing: {} is banned for as long",
            shown(ban.net),
            wider.net
        ))
    }

    /// All of them, or none.
    fn put_in_force(&mut self, bans: &[Ban], now: Timestamp) -> Result<(), LedgerError> {
        let mut done = Ok(());
        let mut put = 0;
        for ban in bans {
            let remaining = ban.until.map(|until| left(until, now));
            if let Err(source) = self.map()?.put(ban.net, remaining, ban.strength) {
                done = Err(LedgerError::Ban {
                    net: ban.net,
                    source,
                });
                break;
            }
            put += 1;
        }
        if done.is_ok() {
            done = self.enter(bans.iter().cloned().map(Line::Ban).collect());
        }
        if done.is_err() {
            for ban in bans[..put].iter().rev() {
                if let Err(error) = self.agree(ban.net, now) {
                    tracing::error!("what was banned too much is not undone: {error}");
                }
            }
        }
        done
    }

    /// Has the kernel do what the ledger says of a source.
    fn agree(&mut self, net: IpNet, now: Timestamp) -> Result<(), LedgerError> {
        match self.book.ban(net).cloned() {
            Some(ban) => {
                let remaining = ban.until.map(|until| left(until, now));
                self.map()?.put(net, remaining, ban.strength)?;
            }
            None => {
                self.map()?.remove(net)?;
            }
        }
        Ok(())
    }

    fn lift(&mut self, nets: &[IpNet]) -> Result<Lifted, LedgerError> {
        let nets: BTreeSet<IpNet> = nets.iter().copied().map(plain).collect();
        let mut done = Lifted::default();
        let mut lines = Vec::new();
        for net in nets {
            let in_ledger = self.book.ban(net).is_some();
            let map = self.map.as_ref();
            let in_kernel = map.map_or(Ok(None), |map| map.get(net))?.is_some();
            if in_ledger {
                lines.push(Line::Lifted(net));
            }
            let mut wider = self.book.bans_around(net);
            let wider = wider.find(|wider| wider.net != net).map(|wider| wider.net);
            match (in_ledger || in_kernel, wider) {
                (true, Some(wider)) => {
                    let note = format!("{} stays banned with {wider}", shown(net));
                    done.notes.push(note);
                }
                (true, None) => {}
                (false, Some(wider)) => done.unknown.push(format!(
                    "{} is not banned by itself: {wider} is",
                    shown(net)
                )),
                (false, None) => done.unknown.push(format!("{} is not banned", shown(net))),
            }
            if in_ledger || in_kernel {
                done.nets.push(net);
            }
        }
        shorten(&mut done.notes);
        self.enter(lines)?;
        if let Some(map) = &mut self.map {
            for net in &done.nets {
                map.remove(*net)?;
            }
        }
        Ok(done)
    }

    fn flush(&mut self, now: Timestamp) -> Result<usize, LedgerError> {
        let mut nets: BTreeSet<IpNet> = self.book.bans().map(|ban| ban.net).collect();
        nets.extend(self.map.iter().flat_map(|map| map.all()).map(|ban| ban.net));
        self.enter(vec![Line::Flushed(now)])?;
        if let Some(map) = &mut self.map {
            for net in &nets {
                map.remove(*net)?;
            }
        }
        Ok(nets.len())
    }

    fn allow(&mut self, order: &AllowOrder, now: Timestamp) -> Result<Lifted, LedgerError> {
        let until = until(order.time, now)?;
        let nets: BTreeSet<IpNet> = order.nets.iter().copied().map(plain).collect();
        let new = nets.iter().filter(|net| self.book.allow(**net).is_none());
        if self.book.allow_count() + new.count() > MOST_ALLOWED {
            let most = MOST_ALLOWED;
            return Err(LedgerError::TooManyAllowed { most });
        }
        let mut done = Lifted::default();
        let mut lines = Vec::new();
        let mut lifted: BTreeSet<IpNet> = BTreeSet::new();
        for net in &nets {
            lines.push(Line::Allow(Allow {
                net: *net,
                made: now,
                until,
                comment: order.comment.clone(),
                actor: order.actor.clone(),
            }));
            lifted.extend(self.book.bans_within(*net).map(|ban| ban.net));
            let mut wider = self.book.bans_around(*net);
            if let Some(wider) = wider.find(|wider| wider.net != *net) {
                done.notes.push(format!(
                    "{} comes in from now on, though {} is banned",
                    shown(*net),
                    wider.net
                ));
            }
        }
        // Bans that the kernel made by itself end too.
        let there = self.map.iter().flat_map(|map| map.all());
        lifted.extend(
            there
                .filter(|ban| nets.iter().any(|net| net.contains(&ban.net)))
                .map(|ban| ban.net),
        );
        lines.extend(lifted.iter().copied().map(Line::Lifted));
        self.enter(lines)?;
        self.write_never()?;
        if let Some(map) = &mut self.map {
            for net in &lifted {
                map.remove(*net)?;
            }
        }
        done.nets = lifted.into_iter().collect();
        Ok(done)
    }

    fn disallow(&mut self, nets: &[IpNet]) -> Result<Lifted, LedgerError> {
        let nets: BTreeSet<IpNet> = nets.iter().copied().map(plain).collect();
        let mut done = Lifted::default();
        for net in nets {
            if self.book.allow(net).is_some() {
                done.nets.push(net);
            } else {
                let wider = self.book.allows_around(net).next();
                let wider = wider.map(|wider| format!(" by itself: {} is", wider.net));
                done.unknown.push(format!(
                    "{} is not allowed{}",
                    shown(net),
                    wider.unwrap_or_default()
                ));
            }
        }
        self.enter(done.nets.iter().copied().map(Line::Disallow).collect())?;
        self.write_never()?;
        Ok(done)
    }

    /// Why a source or a prefix cannot be banned, where it cannot.
    pub(super) fn refusal(&self, net: IpNet, now: Timestamp) -> Option<String> {
        let overlaps = |other: IpNet| net.contains(&other) || other.contains(&net);
        let place = |other: IpNet| {
            if other.contains(&net) && other != net {
                format!("within {other}, which is ")
            } else if other == net {
                String::new()
            } else {
                format!("around {}, which is ", shown(other))
            }
        };
        let mut never = self.never.iter();
        if let Some((other, what)) = never.find(|(other, _)| overlaps(*other)) {
            return Some(format!(
                "{} is never banned: it is {}{what}",
                shown(net),
                place(*other)
            ));
        }
        let mut allows = self
            .book
            .allows_around(net)
            .chain(self.book.allows_within(net));
        let allow = allows.find(|allow| allow.holds(now))?;
        let by = allow.actor.as_deref().map(|actor| format!(" by {actor}"));
        let until = allow.until.map_or("it is removed".to_owned(), |until| {
            until.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
        });
        let comment = allow.comment.as_deref().map(|text| format!(" ({text})"));
        Some(format!(
            "{} is not banned: it is {}allowed{} until {until}{}; `hayward bans allow remove {}` ends that",
            shown(net),
            place(allow.net),
            by.unwrap_or_default(),
            comment.unwrap_or_default(),
            shown(allow.net)
        ))
    }
}

fn until(time: Option<Duration>, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
    if time.is_some_and(|time| time.is_zero()) {
        let message = "a time of 0 s is over at once: name a longer one, or none for ever";
        return Err(LedgerError::Request(message.to_owned()));
    }
    time.map(|time| {
        now.checked_add(time).map_err(|_| {
            let message = "the time ends later than years can be counted: name none for ever";
            LedgerError::Request(message.to_owned())
        })
    })
    .transpose()
}

fn shorten(notes: &mut Vec<String>) {
    let more = notes.len().saturating_sub(MOST_NOTES);
    if more > 0 {
        notes.truncate(MOST_NOTES);
        notes.push(format!("and {more} more notes"));
    }
}
