//! Why something was not done about bans.

use std::io;

use hayward_kernel::KernelError;
use ipnet::IpNet;

use super::entry::shown;

/// So many refusals are told.
const MOST_TOLD: usize = 20;

/// A ban that is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of whom.
    pub net: IpNet,
    /// Why, as a whole sentence.
    pub why: String,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Nobody looks at bans.
    #[error(
        "the guard inbound is off, and nothing is banned: list it under `guards` in the settings and restart the agent"
    )]
    Off,
    /// What was asked for cannot be meant.
    #[error("{0}")]
    Request(String),
    /// Some of it is never banned.
    #[error("nothing was banned: {}", told(.0))]
    Refused(Vec<Refusal>),
    /// There is no room.
    #[error(
        "nothing was banned: there are {there} bans of at most {most}; remove some, join them into prefixes, or raise `most_bans` in the settings of the guard `inbound`"
    )]
    Full {
        /// How many there are.
        there: usize,
        /// How many there may be.
        most: usize,
    },
    /// There are too many that are allowed.
    #[error("nobody was allowed: {most} are already; remove some, or join them into prefixes")]
    TooManyAllowed {
        /// How many there may be.
        most: usize,
    },
    /// The file cannot be written.
    #[error(
        "nothing was done, since it would not hold after a restart: the ledger of bans cannot be written: {0}; make room or mend the file, and try again"
    )]
    File(#[from] io::Error),
    /// The kernel says no.
    #[error("{} is not banned: {source}", shown(*.net))]
    Ban {
        /// Who was to be banned.
        net: IpNet,
        /// What the kernel says.
        source: KernelError,
    },
    /// The kernel says no to something else.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

fn told(refusals: &[Refusal]) -> String {
    let mut told: Vec<&str> = refusals
        .iter()
        .take(MOST_TOLD)
        .map(|refusal| refusal.why.as_str())
        .collect();
    let more = refusals.len().saturating_sub(MOST_TOLD);
    let more = format!("and {more} more");
    if refusals.len() > MOST_TOLD {
        told.push(&more);
    }
    told.join("; ")
}
