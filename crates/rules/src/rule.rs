//! A validated rule, whatever file format it came from.

use hayward_model::{Mode, Response};
use jiff::Timestamp;

/// One rule, ready to be compiled into the kernel's table.
///
/// A rule matches when any of `banned` occurs as a whole word in the command line (ASCII case ignored) and any of
/// `executable` names the file that runs; a key that is empty does not constrain, and never are both empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Unique over all files.
    pub id: String,
    /// Strings of one byte or more.
    pub banned: Vec<Vec<u8>>,
    /// Globs over the absolute path of the executable, or base names (a glob without `/`).
    pub executable: Vec<String>,
    /// Regular expressions that spare a command line when one matches all of it: the file's and the rule's own.
    pub allow: Vec<String>,
    /// The file's mode and the rule's own, whichever is milder.
    pub mode: Mode,
    /// What enforcing does; none for the guard's own response.
    pub response: Option<Response>,
    /// Why it is banned, for operators.
    pub reason: Option<String>,
    /// Where the knowledge comes from.
    pub source: Option<String>,
    /// From then on the rule no longer counts.
    pub expires: Option<Timestamp>,
    /// Its text must never appear in logs, metrics, records or recorded command lines.
    pub secret: bool,
    /// Where it stands.
    pub origin: Origin,
}

impl Rule {
    /// A rule that enforces and names nothing yet.
    pub fn new(id: impl Into<String>, file: &str, line: usize) -> Self {
        Self {
            id: id.into(),
            banned: Vec::new(),
            executable: Vec::new(),
            allow: Vec::new(),
            mode: Mode::Enforce,
            response: None,
            reason: None,
            source: None,
            expires: None,
            secret: false,
            origin: Origin {
                file: file.to_owned(),
                line,
            },
        }
    }
}

/// Where a rule stands, for messages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The file's path, or `builtin`.
    pub file: String,
    /// Line in the file, from 1.
    pub line: usize,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
