//! What ends a command without success, and the exit code that says so to programs.

use std::{path::Path, process::ExitCode};

use hayward_agent::AgentError;
use hayward_kernel::KernelError;
use hayward_record::JournalError;
use hayward_yaml::Problem;

/// Reads a file that was named on the command line.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let message = format!("cannot be read: {error}");
        bad_file(path, message, "check the path and its permissions")
    })
}

/// A file that was named on the command line, and cannot be used.
pub(crate) fn bad_file(path: &Path, message: String, help: &str) -> Failure {
    bad_line(path, 0, message, help)
}

/// The same, because of one of its lines.
pub(crate) fn bad_line(path: &Path, line: usize, message: String, help: &str) -> Failure {
    let problem = Problem {
        file: path.display().to_string(),
        line,
        message,
        help: help.to_owned(),
    };
    Failure::BadInput(problem.to_string())
}

/// A failure with its exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// 1: anything that the others are not.
    Other(anyhow::Error),
    /// 3: no agent answers.
    NoAgent(String),
    /// 4: settings or rules are bad.
    BadInput(String),
    /// 5: the kernel, or the lack of privileges, stands in the way.
    Kernel(String),
    /// 6: something that was asked about is not so, such as a wait that ended without success.
    NotSo(String),
}

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Other(_) => 1,
            Self::NoAgent(_) => 3,
            Self::BadInput(_) => 4,
            Self::Kernel(_) => 5,
            Self::NotSo(_) => 6,
        })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Other(error) => write!(f, "{error}"),
            Self::NoAgent(text) | Self::BadInput(text) | Self::Kernel(text) | Self::NotSo(text) => {
                f.write_str(text)
            }
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error: anyhow::Error = error.into();
        if let Some(agent) = error.downcast_ref::<AgentError>() {
            return match agent {
                AgentError::Settings(_)
                | AgentError::Rules(_)
                | AgentError::Table(_)
                | AgentError::Tell(_)
                | AgentError::Kernel(KernelError::TableTooLarge { .. }) => {
                    Self::BadInput(agent.to_string())
                }
                AgentError::Kernel(_)
                | AgentError::NoCgroup2
                | AgentError::Journal(JournalError::InUse { .. }) => {
                    Self::Kernel(agent.to_string())
                }
                _ => Self::Other(error),
            };
        }
        if let Some(kernel) = error.downcast_ref::<KernelError>() {
            if let KernelError::TableTooLarge { .. } = kernel {
                return Self::BadInput(kernel.to_string());
            }
            return Self::Kernel(kernel.to_string());
        }
        let bad_input = error
            .downcast_ref::<hayward_policy::SettingsError>()
            .is_some()
            || error.downcast_ref::<hayward_rules::RulesError>().is_some()
            || error.downcast_ref::<hayward_tell::TellError>().is_some()
            || error
                .downcast_ref::<hayward_rules::table::TableError>()
                .is_some();
        if bad_input {
            Self::BadInput(error.to_string())
        } else {
            Self::Other(error)
        }
    }
}
