//! What operators do to bans through the local API, and what becomes of it in the journal.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::AtomicBool},
    thread::JoinHandle,
    time::Duration,
};

use hayward_kernel::{Cell, InboundBans, InboundNever, KernelError, Pins};
use hayward_model::{Action, Actor, BanOrigin, BanStrength, Guard, Record};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Allow, AllowOrder, BanOrder, Lifted, ListedBan, WhyBanned,
    entry::{parse_source, shown},
    error::LedgerError,
};
use crate::agent::{Agent, AgentError};

/// How often bans that are over are ended.
const TICK: Duration = Duration::from_secs(1);
/// The longest comment, in bytes.
const LONGEST_COMMENT: usize = 1000;
/// So many sources are named in a record.
const MOST_NAMED: usize = 10;

/// Body of `POST /v1/inbound/bans`. A misspelt key must not ban for ever.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BanRequest {
    /// Addresses and prefixes.
    pub nets: Vec<String>,
    /// For how long; none for ever.
    #[serde(default)]
    pub seconds: Option<u64>,
    /// Only first contacts are dropped.
    #[serde(default)]
    pub soft: bool,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
    /// `operator`, which is what holds without, or `import`.
    #[serde(default)]
    pub origin: Option<BanOrigin>,
    /// Ban the others where some are never banned.
    #[serde(default)]
    pub skip_refused: bool,
    /// Check everything, and only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What is never banned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedNet {
    /// Who.
    pub net: IpNet,
    /// Why.
    pub why: String,
}

/// What was banned, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BansReport {
    /// How many sources and prefixes.
    pub banned: usize,
    /// Until when; none for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// So many were banned for longer already.
    pub unchanged: usize,
    /// What is never banned.
    #[serde(default)]
    pub refused: Vec<RefusedNet>,
    /// What operators should know.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Nothing was done.
    pub dry_run: bool,
}

/// Body of `POST /v1/inbound/bans/lift` and of `DELETE /v1/inbound/allow`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftRequest {
    /// Addresses and prefixes, just as they were banned.
    pub nets: Vec<String>,
}

/// What is banned, or allowed, no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiftReport {
    /// These.
    pub nets: Vec<IpNet>,
    /// Why others were not.
    #[serde(default)]
    pub unknown: Vec<String>,
    /// What operators should know.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl From<Lifted> for LiftReport {
    fn from(lifted: Lifted) -> Self {
        Self {
            nets: lifted.nets,
            unknown: lifted.unknown,
            notes: lifted.notes,
        }
    }
}

/// Body of `POST /v1/inbound/allow`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowRequest {
    /// Addresses and prefixes.
    pub nets: Vec<String>,
    /// For how long; none until it is removed.
    #[serde(default)]
    pub seconds: Option<u64>,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
}

/// Who is allowed from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowReport {
    /// These.
    pub allowed: Vec<IpNet>,
    /// Whose bans ended by that.
    pub lifted: Vec<IpNet>,
    /// What operators should know.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl Agent {
    /// Has the kernel obey the ledger from now on, and ends what is over, where the guard is in the kernel.
    ///
    /// # Errors
    /// Where the guard's maps are not there, or no thread can be had.
    pub(crate) fn keep_bans(
        self: &Arc<Self>,
        stop: &Arc<AtomicBool>,
    ) -> Result<Option<JoinHandle<()>>, AgentError> {
        if !self.policy().lists(Guard::Inbound) || !self.carries(Guard::Inbound) {
            return Ok(None);
        }
        self.attach_bans()?;
        let thread = self.clone().every(TICK, stop, "bans", Self::end_bans)?;
        Ok(Some(thread))
    }

    /// Has the kernel obey the ledger from now on.
    fn attach_bans(&self) -> Result<(), KernelError> {
        let policy = self.policy();
        let pins = Pins::new(&policy.pins);
        let ledger = &self.pipeline.ledger;
        ledger.attach_never(InboundNever::open(&pins)?)?;
        let map = InboundBans::open(&pins, policy.inbound.ipv6_prefix)?;
        let attached = ledger.attach(self.followed(map));
        if attached.taken_up + attached.removed > 0 {
            tracing::info!(
                "{} bans were restored, {} that the kernel made meanwhile taken up, and {} that are not known removed",
                attached.restored,
                attached.taken_up,
                attached.removed
            );
        }
        if let Some(first) = attached.problems.first() {
            let more = attached.problems.len() - 1;
            let notice = format!("bans could not be restored: {first} (and {more} more)");
            tracing::error!("{notice}");
            if let Ok(mut notices) = self.notices.lock() {
                notices.push(notice);
            }
        }
        Ok(())
    }

    /// Ends bans that are over.
    fn end_bans(&self) {
        // The kernel makes no more by itself than there is room for.
        let count = u64::try_from(self.pipeline.ledger.count()).unwrap_or(u64::MAX);
        let told = self.with_kernel(|kernel| kernel.cells().set(Cell::InboundBans, count));
        if let Err(error) = told {
            tracing::error!("{error}");
        }
        match self.pipeline.ledger.tick(Timestamp::now()) {
            Ok(ended) => {
                // A list of very many may end at once, and is one line. Bans for a moment are none: records say when they end.
                let bans: Vec<IpNet> = ended.bans.iter().map(|ban| ban.net).collect();
                if !bans.is_empty() {
                    tracing::info!("banned no more, since the time is over: {}", named(&bans));
                }
                let allows: Vec<IpNet> = ended.allows.iter().map(|allow| allow.net).collect();
                if !allows.is_empty() {
                    tracing::info!(
                        "allowed no more, since the time is over: {}",
                        named(&allows)
                    );
                }
            }
            Err(error) => tracing::error!("bans that are over cannot be removed: {error}"),
        }
    }

    /// Bans whoever is named, and records who asked for it.
    pub(crate) fn ban_sources(
        &self,
        request: &BanRequest,
        actor: Actor,
    ) -> Result<BansReport, LedgerError> {
        let origin = request.origin.unwrap_or(BanOrigin::Operator);
        if origin == BanOrigin::Scan {
            let message = "a scan is found and not asked for: write operator or import as `origin`";
            return Err(LedgerError::Request(message.to_owned()));
        }
        let most = self.policy().inbound.most_bans;
        let order = BanOrder {
            nets: sources(&request.nets)?,
            time: request.seconds.map(Duration::from_secs),
            strength: if request.soft {
                BanStrength::Soft
            } else {
                BanStrength::Full
            },
            origin,
            comment: comment(request.comment.as_deref())?,
            actor: Some(actor.to_string()),
            most: usize::try_from(most).unwrap_or(usize::MAX),
            skip_refused: request.skip_refused,
            dry_run: request.dry_run,
        };
        let done = self.pipeline.ledger.ban(&order)?;
        let nets: Vec<IpNet> = done.bans.iter().map(|ban| ban.net).collect();
        let until = done.bans.first().and_then(|ban| ban.until);
        if !request.dry_run && !nets.is_empty() {
            let mut detail = format!("{} {}", named(&nets), until_text(until));
            if request.soft {
                detail.push_str(", first contacts alone");
            }
            if let Some(comment) = &order.comment {
                detail.push_str(&format!(": {comment}"));
            }
            self.record_ban(Action::Banned, &nets, actor, detail);
        }
        Ok(BansReport {
            banned: nets.len(),
            until,
            unchanged: done.unchanged,
            refused: done
                .refused
                .into_iter()
                .map(|refusal| RefusedNet {
                    net: refusal.net,
                    why: refusal.why,
                })
                .collect(),
            notes: done.notes,
            dry_run: request.dry_run,
        })
    }

    /// Ends bans, and records who asked for it.
    pub(crate) fn lift_bans(
        &self,
        request: &LiftRequest,
        actor: Actor,
    ) -> Result<LiftReport, LedgerError> {
        let lifted = self.pipeline.ledger.lift(&sources(&request.nets)?)?;
        if !lifted.nets.is_empty() {
            self.record_ban(Action::Unbanned, &lifted.nets, actor, named(&lifted.nets));
        }
        Ok(lifted.into())
    }

    /// Ends all bans, and records who asked for it.
    pub(crate) fn flush_bans(&self, actor: Actor) -> Result<usize, LedgerError> {
        let count = self.pipeline.ledger.flush()?;
        self.record_ban(Action::Unbanned, &[], actor, format!("all {count} bans"));
        Ok(count)
    }

    /// Has nobody of these be banned, and records who asked for it.
    pub(crate) fn allow_sources(
        &self,
        request: &AllowRequest,
        actor: Actor,
    ) -> Result<AllowReport, LedgerError> {
        let order = AllowOrder {
            nets: sources(&request.nets)?,
            time: request.seconds.map(Duration::from_secs),
            comment: comment(request.comment.as_deref())?,
            actor: Some(actor.to_string()),
        };
        let done = self.pipeline.ledger.allow(&order)?;
        let until = order
            .time
            .and_then(|time| Timestamp::now().checked_add(time).ok());
        let mut detail = format!("{} {}", named(&order.nets), until_text(until));
        if let Some(comment) = &order.comment {
            detail.push_str(&format!(": {comment}"));
        }
        self.record_ban(Action::Allowed, &order.nets, actor, detail);
        Ok(AllowReport {
            allowed: order.nets,
            lifted: done.nets,
            notes: done.notes,
        })
    }

    /// Has these be banned like anybody else, and records who asked for it.
    pub(crate) fn disallow_sources(
        &self,
        request: &LiftRequest,
        actor: Actor,
    ) -> Result<LiftReport, LedgerError> {
        let done = self.pipeline.ledger.disallow(&sources(&request.nets)?)?;
        if !done.nets.is_empty() {
            self.record_ban(Action::Disallowed, &done.nets, actor, named(&done.nets));
        }
        Ok(done.into())
    }

    /// All bans.
    pub(crate) fn inbound_bans(&self) -> Vec<ListedBan> {
        self.pipeline.ledger.list()
    }

    /// Who is allowed.
    pub(crate) fn allowed_sources(&self) -> Vec<Allow> {
        self.pipeline.ledger.allowed()
    }

    /// Why an address is banned, or is not.
    pub(crate) fn why_banned(&self, address: &str) -> Result<WhyBanned, LedgerError> {
        let address: IpAddr = address.parse().map_err(|_| {
            let message =
                format!("`{address}` is no address: write one such as 192.0.2.7 or 2001:db8::7");
            LedgerError::Request(message)
        })?;
        self.pipeline.ledger.why(address)
    }

    fn record_ban(&self, action: Action, nets: &[IpNet], actor: Actor, detail: String) {
        self.pipeline.recorder.record(&Record {
            guard: Some(Guard::Inbound),
            actor: Some(actor),
            nets: nets.iter().take(MOST_NAMED).copied().collect(),
            detail: Some(detail),
            ..Self::new_record(action)
        });
    }
}

fn sources(texts: &[String]) -> Result<Vec<IpNet>, LedgerError> {
    if texts.is_empty() {
        let message = "name at least one address or prefix".to_owned();
        return Err(LedgerError::Request(message));
    }
    let nets = texts.iter().map(|text| parse_source(text));
    nets.collect::<Result<_, _>>().map_err(LedgerError::Request)
}

fn comment(text: Option<&str>) -> Result<Option<String>, LedgerError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.len() > LONGEST_COMMENT) {
        let message = format!("the comment is longer than {LONGEST_COMMENT} bytes: shorten it");
        return Err(LedgerError::Request(message));
    }
    Ok(text.map(ToOwned::to_owned))
}

/// The first of them, and how many more there are.
fn named(nets: &[IpNet]) -> String {
    let first: Vec<String> = nets.iter().take(MOST_NAMED).copied().map(shown).collect();
    match nets.len().saturating_sub(MOST_NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn until_text(until: Option<Timestamp>) -> String {
    until.map_or("for ever".to_owned(), |until| {
        until.strftime("until %Y-%m-%d %H:%M:%S UTC").to_string()
    })
}
