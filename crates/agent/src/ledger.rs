//! The ledger of the guard `inbound`: who is banned, until when and why, who never is, and how often a source was banned before.
//! It is kept in a file, and the kernel's map is brought into agreement with it.

mod acts;
mod book;
mod entry;
mod error;
mod file;
mod map;
mod order;
mod sweep;
mod time;
mod view;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hayward_kernel::{KernelBan, KernelError};
use hayward_model::{BanOrigin, BanStrength, InboundEvent, InboundVerdict};
use hayward_policy::InboundSettings;
use ipnet::IpNet;
use jiff::Timestamp;

use book::Book;
use entry::{Line, plain};
use file::LedgerFile;
pub(crate) use map::BanMap;
use map::NeverMap;
use sweep::Passing;

pub use acts::{
    AllowReport, AllowRequest, BanRequest, BansReport, LiftReport, LiftRequest, RefusedNet,
};
pub use entry::{Allow, Ban, Past, parse_source};
pub use error::{LedgerError, Refusal};
pub use order::{AllowOrder, BanOrder, Lifted, Ordered};
pub use sweep::Ended;
pub use view::{ListedBan, Never, WhyBanned};

/// A source is forgotten in any case so long after its last ban, which is as long as `memory` may be.
const LONGEST_MEMORY: Duration = Duration::from_secs(30 * 24 * 3600);

/// Bans, and who is never banned.
#[derive(Debug)]
pub struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    book: Book,
    file: LedgerFile,
    /// Who is never banned, beside those whom operators allow, and why.
    never: Vec<(IpNet, String)>,
    map: Option<Box<dyn BanMap>>,
    never_map: Option<Box<dyn NeverMap>>,
    /// Bans that the kernel made by itself and that are not kept.
    passing: Passing,
    /// The file could not be written when it was tried last.
    is_unwritten: bool,
}

/// What was done at the start, to bring the kernel's map and the file into agreement.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Bans of the file that the kernel obeys.
    pub restored: usize,
    /// Bans that the kernel made while no agent ran, and that are kept from now on.
    pub taken_up: usize,
    /// Bans in the kernel that the file does not know.
    pub removed: usize,
    /// What did not work.
    pub problems: Vec<String>,
}

impl Ledger {
    /// Opens the ledger in the journal's folder. Bans that are over are left out. Says what was wrong with its file.
    pub fn beside(journal: &Path) -> (Self, Option<String>) {
        let (mut file, mut book, mut problem) = LedgerFile::open(journal);
        let now = Timestamp::now();
        book.end(now);
        book.end_allows(now);
        book.forget_older(LONGEST_MEMORY, now);
        let exists = journal.join(file::NAME).exists();
        if exists && problem.is_none() {
            problem = file.compact(&book).err().map(|error| {
                format!("bans are not kept over a restart: their ledger cannot be written: {error}")
            });
        }
        let inner = Inner {
            book,
            file,
            never: Vec::new(),
            map: None,
            never_map: None,
            passing: Passing::default(),
            is_unwritten: false,
        };
        let inner = Mutex::new(inner);
        (Self { inner }, problem)
    }

    /// Has bans obeyed by the kernel from now on, and brings its map and the file into agreement: what the file says is put, what
    /// the kernel has banned meanwhile is taken up, and whatever else is there is removed.
    pub(crate) fn attach(&self, map: impl BanMap + 'static) -> Attached {
        self.lock().attach(Box::new(map), Timestamp::now())
    }

    /// Has the kernel know who is never banned, from now on.
    ///
    /// # Errors
    /// Where the map cannot be written.
    pub(crate) fn attach_never(&self, map: impl NeverMap + 'static) -> Result<(), KernelError> {
        let mut inner = self.lock();
        inner.never_map = Some(Box::new(map));
        inner.write_never()
    }

    /// Who is never banned beside those whom operators allow, each with why: `this host's own address`, `this host's gateway`. A
    /// ban that there is already stays.
    ///
    /// # Errors
    /// Where the kernel cannot be told; here it holds all the same.
    pub fn set_never(&self, never: Vec<(IpNet, String)>) -> Result<(), KernelError> {
        let mut inner = self.lock();
        let never = never.into_iter().map(|(net, what)| (plain(net), what));
        inner.never = never.collect();
        inner.write_never()
    }

    /// Takes what the kernel has found. A source that is known to exist is banned for as long as it deserves, which is returned;
    /// one that makes no first contacts for a while is not worth a line.
    ///
    /// # Errors
    /// Where there is no room, or the kernel says no: then its own ban holds, for the first time's length. That the file cannot
    /// be written is no error, since the ban holds.
    pub fn found(
        &self,
        settings: &InboundSettings,
        event: &InboundEvent,
        record: &str,
    ) -> Result<Option<Ban>, LedgerError> {
        let now = Timestamp::now();
        let net = plain(event.evidence.source);
        let mut inner = self.lock();
        match event.verdict {
            InboundVerdict::SoftBanned => {
                inner.passing.note(net, event.banned_ns, now);
                if let Some(map) = &mut inner.map {
                    let time = Duration::from_nanos(event.banned_ns);
                    map.noticed(net, time, BanStrength::Soft);
                }
                return Ok(None);
            }
            InboundVerdict::Banned => {}
            _ => return Ok(None),
        }
        if inner.refusal(net, now).is_some() {
            // The kernel did not know it yet.
            inner.map()?.remove(net)?;
            return Ok(None);
        }
        let past = inner.book.times(net, settings.memory, now);
        let before = inner.book.ban(net).filter(|ban| ban.holds(now)).cloned();
        // What was found while no agent ran is taken up before its event is read.
        let is_told_late = before
            .as_ref()
            .is_some_and(|ban| ban.origin == BanOrigin::Scan && ban.record.is_none());
        let times = if is_told_late { past.max(1) } else { past + 1 };
        let time = time::doubled(settings.ban, settings.longest_ban, times);
        let until = now.checked_add(time).ok();
        if let Some(before) = &before
            && before.strength == BanStrength::Full
            && before.outlasts(until)
            && !is_told_late
        {
            // The kernel's own ban took its place there.
            let remaining = before.until.map(|until| left(until, now));
            inner.map()?.put(net, remaining, before.strength)?;
            return Ok(None);
        }
        let most = usize::try_from(settings.most_bans).unwrap_or(usize::MAX);
        let there = inner.book.ban_count();
        if before.is_none() && there >= most {
            return Err(LedgerError::Full { there, most });
        }
        let put = inner.map()?.put(net, Some(time), BanStrength::Full);
        put.map_err(|source| LedgerError::Ban { net, source })?;
        let ban = Ban {
            net,
            origin: BanOrigin::Scan,
            strength: BanStrength::Full,
            made: now,
            until,
            times,
            record: Some(record.to_owned()),
            reason: Some(reason(event)),
            actor: None,
        };
        inner.enter_in_any_case(vec![Line::Ban(ban.clone())]);
        Ok(Some(ban))
    }

    /// All bans that the kernel obeys, those of its own too.
    pub(crate) fn obeyed(&self) -> Vec<KernelBan> {
        let inner = self.lock();
        inner.map.iter().flat_map(|map| map.all()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn map(&mut self) -> Result<&mut Box<dyn BanMap>, LedgerError> {
        self.map.as_mut().ok_or(LedgerError::Off)
    }

    fn attach(&mut self, mut map: Box<dyn BanMap>, now: Timestamp) -> Attached {
        let mut attached = Attached::default();
        self.book.end(now);
        let mut lines = Vec::new();
        for ban in map.all() {
            let is_over = ban.remaining.is_some_and(|left| left.is_zero());
            if self.book.ban(ban.net).is_some() {
                continue;
            }
            if ban.by_kernel && !is_over && self.refusal(ban.net, now).is_none() {
                match ban.strength {
                    BanStrength::Full => lines.push(Line::Ban(self.taken_up(&ban, now))),
                    BanStrength::Soft => {
                        let ns = ban.remaining.map_or(u128::MAX, |left| left.as_nanos());
                        let ns = u64::try_from(ns).unwrap_or(u64::MAX);
                        self.passing.note(ban.net, ns, now);
                    }
                }
                continue;
            }
            match map.remove(ban.net) {
                Ok(_) => attached.removed += 1,
                Err(error) => attached.problems.push(error.to_string()),
            }
        }
        for ban in self.book.bans() {
            let remaining = ban.until.map(|until| left(until, now));
            match map.put(ban.net, remaining, ban.strength) {
                Ok(()) => attached.restored += 1,
                Err(source) => {
                    let net = ban.net;
                    let error = LedgerError::Ban { net, source };
                    attached.problems.push(error.to_string());
                }
            }
        }
        attached.taken_up = lines.len();
        self.map = Some(map);
        self.enter_in_any_case(lines);
        attached
    }

    /// A ban that the kernel made by itself, as the ledger has it.
    fn taken_up(&self, ban: &KernelBan, now: Timestamp) -> Ban {
        Ban {
            net: ban.net,
            origin: BanOrigin::Scan,
            strength: ban.strength,
            made: now,
            until: ban.remaining.and_then(|left| now.checked_add(left).ok()),
            times: self.book.times(ban.net, LONGEST_MEMORY, now) + 1,
            record: None,
            reason: Some("banned by the kernel while no agent looked".to_owned()),
            actor: None,
        }
    }

    /// Enters lines that hold whether they can be written or not.
    fn enter_in_any_case(&mut self, lines: Vec<Line>) {
        for line in &lines {
            self.book.apply(line.clone());
        }
        let written = self.file.append(&lines, &self.book);
        if let Err(error) = &written
            && !self.is_unwritten
        {
            tracing::error!(
                "bans hold and are not kept over a restart: their ledger cannot be written: {error}"
            );
        }
        self.is_unwritten = written.is_err();
    }

    /// Enters lines that are not to hold where they cannot be written.
    fn enter(&mut self, lines: Vec<Line>) -> Result<(), LedgerError> {
        let before = Undo::of(&self.book, &lines);
        for line in &lines {
            self.book.apply(line.clone());
        }
        let written = self.file.append(&lines, &self.book);
        self.is_unwritten = written.is_err();
        if written.is_err() {
            before.restore(&mut self.book);
        }
        Ok(written?)
    }

    fn write_never(&self) -> Result<(), KernelError> {
        let Some(map) = &self.never_map else {
            return Ok(());
        };
        let fixed = self.never.iter().map(|(net, _)| *net);
        let allowed = self.book.allows().map(|allow| allow.net);
        let nets: BTreeSet<IpNet> = fixed.chain(allowed).collect();
        map.set(&nets)
    }
}

/// What was there before lines that may not hold.
struct Undo(Vec<Line>);

impl Undo {
    fn of(book: &Book, lines: &[Line]) -> Self {
        let mut undo = Vec::new();
        let mut of_net = |net: IpNet| {
            undo.push(Line::Lifted(net));
            undo.extend(book.ban(net).cloned().map(Line::Ban));
            undo.extend(book.past(net).map(Line::Past));
        };
        for line in lines {
            match line {
                Line::Ban(ban) => of_net(ban.net),
                Line::Lifted(net) => of_net(*net),
                Line::Flushed(_) => {
                    for ban in book.bans() {
                        of_net(ban.net);
                    }
                }
                Line::Past(past) => of_net(past.net),
                Line::Allow(_) | Line::Disallow(_) => {}
            }
        }
        for line in lines {
            let net = match line {
                Line::Allow(allow) => allow.net,
                Line::Disallow(net) => *net,
                _ => continue,
            };
            let allow = book.allow(net).cloned();
            undo.push(allow.map_or(Line::Disallow(net), Line::Allow));
        }
        Self(undo)
    }

    fn restore(self, book: &mut Book) {
        for line in self.0 {
            book.apply(line);
        }
    }
}

/// For how long something still holds.
fn left(until: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}

/// A source's scan in a few words, for lists of bans.
fn reason(event: &InboundEvent) -> String {
    let evidence = &event.evidence;
    let kinds: Vec<&str> = evidence.kinds.iter().map(|kind| kind.name()).collect();
    format!(
        "{} first contacts ({}), {} failed",
        evidence.contacts,
        kinds.join(", "),
        evidence.failed
    )
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
