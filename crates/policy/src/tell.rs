//! Who is told of records, as settings name them.

use std::{path::PathBuf, time::Duration};

use hayward_model::Action;
use http::Uri;

/// One entry of `tell`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TellSettings {
    /// What it is called in metrics, status and log: the program's or the host's name, and a number where an earlier entry
    /// has it. Nothing of it is secret.
    pub name: String,
    /// Who is told.
    pub target: TellTarget,
    /// What it is told of; none for all that [`Action::is_deed`] says of.
    pub actions: Option<Vec<Action>>,
    /// Of one workload, one message in this time; zero for all.
    pub every: Duration,
    /// How long one try may take.
    pub timeout: Duration,
}

impl TellSettings {
    /// Whether it is told of this.
    pub fn tells(&self, action: Action) -> bool {
        let named = self.actions.as_ref();
        named.map_or(action.is_deed(), |actions| actions.contains(&action))
    }
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TellTarget {
    /// A program, by its whole path, and its arguments.
    Command(Vec<String>),
    /// A server that takes JSON.
    Webhook {
        /// Where.
        url: Uri,
        /// File of further header lines.
        headers: Option<PathBuf>,
    },
}

impl TellTarget {
    /// `command` or `webhook`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Command(_) => "command",
            Self::Webhook { .. } => "webhook",
        }
    }
}
