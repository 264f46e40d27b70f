//! `hayward rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArgument;

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// List the rules of files, or of the settings. Secret rules show their ids alone.
    List {
        /// Rule files; without, those of the settings.
        files: Vec<String>,
        #[command(flatten)]
        keys: Keys,
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Check rule files down to the kernel's table.
    Test {
        /// Rule files.
        #[arg(required = true)]
        files: Vec<String>,
        #[command(flatten)]
        keys: Keys,
    },
    /// Compare two rule files.
    Diff {
        /// The old one.
        old: String,
        /// The new one.
        new: String,
        #[command(flatten)]
        keys: Keys,
    },
    /// Encrypt a file for age recipients, to standard output.
    Encrypt {
        /// The file.
        file: PathBuf,
        /// Public key (age1...); may be given several times.
        #[arg(long = "recipient", required = true)]
        recipients: Vec<String>,
    },
    /// Decrypt a file to standard output.
    Decrypt {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        keys: Keys,
    },
    /// Expand a recipe of lists and templates into a rule file, to standard output.
    Generate {
        /// The recipe; *.age is decrypted first.
        recipe: PathBuf,
        #[command(flatten)]
        keys: Keys,
    },
    /// Put rules of several files into one encrypted bundle, to standard output.
    Export {
        /// Rule files.
        #[arg(required = true)]
        files: Vec<String>,
        /// Public key (age1...); may be given several times.
        #[arg(long = "recipient", required = true)]
        recipients: Vec<String>,
        #[command(flatten)]
        keys: Keys,
    },
}

/// Where the age identities are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Keys {
    /// File of age identities, for *.age files.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
}
