//! `hayward bans`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;

use super::values::duration;

const EXAMPLES: &str = "Examples: hayward bans list\n          hayward bans add 192.0.2.7 198.51.100.0/24 --for 7d --comment \"ticket 4711\"\n          hayward bans why 192.0.2.7\n          hayward bans remove 192.0.2.7\n          hayward bans allow add 203.0.113.0/24 --for 30d --comment \"pen test\"\n\nBans are of sources that probe this host (the guard `inbound`); `lists` alone is about where workloads may not go (the guard `egress`).";

/// What is done about bans.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum BansCommand {
    /// List the ban lists of the guard `egress` in force: where from, of when, and what each has refused.
    Lists,
    /// List the sources that are banned by the guard `inbound`.
    List,
    /// Ban sources: nothing of them comes in any more.
    #[command(
        after_help = "Examples: hayward bans add 192.0.2.7 --for 1h\n          hayward bans add 198.51.100.0/24 2001:db8::/32 --comment \"abuse letter of 11 May\"\n\nAll of them are banned, or nobody. Who is never banned (this host's own addresses, its gateways, what `never` in the settings and `hayward bans allow` name) is refused."
    )]
    Add {
        /// An address or a prefix. As many as needed.
        #[arg(required = true, value_name = "NET", value_parser = source)]
        nets: Vec<IpNet>,
        /// For how long; without, until it is removed.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
        /// Drop first contacts alone: connections that are open go on.
        #[arg(long)]
        soft: bool,
        /// Why, for those who look at it later.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
    /// Ban sources no more, and forget that they were.
    #[command(
        after_help = "Example: hayward bans remove 192.0.2.7 198.51.100.0/24\n\nA ban is removed as it was made: an address does not leave a prefix that is banned. `hayward bans allow add` has it never banned."
    )]
    Remove {
        /// An address or a prefix, just as it is listed. As many as needed.
        #[arg(required = true, value_name = "NET", value_parser = source)]
        nets: Vec<IpNet>,
    },
    /// Say why an address is banned, or is not; exit code 6 where it is not.
    #[command(after_help = "Example: hayward bans why 192.0.2.7")]
    Why {
        /// The address.
        address: std::net::IpAddr,
    },
    /// Ban what a list names: an address or a prefix in each line, with comments behind # or ;.
    #[command(
        after_help = "Examples: hayward bans import drop.txt --for 7d\n          curl -fsS https://lists.example/drop.txt | hayward bans import - --dry-run\n\nEvery line that is wrong, or names who is never banned, is told with its number, and nothing is imported unless --skip-bad says so. What is banned for longer already stays as it is."
    )]
    Import {
        /// The list; `-` for standard input.
        file: PathBuf,
        /// For how long.
        #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "30d")]
        time: Duration,
        /// Check everything, and only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Import the other lines where some are wrong.
        #[arg(long)]
        skip_bad: bool,
    },
    /// Print what is banned, for another host or a firewall. Bans of first contacts alone are in `json` only.
    #[command(
        after_help = "Examples: hayward bans export > bans.txt   # what `hayward bans import` reads\n          hayward bans export --format nft | ssh other sudo nft -f -\n          hayward bans export --format ipset | ssh other sudo ipset restore"
    )]
    Export {
        /// As what.
        #[arg(long, default_value = "plain")]
        format: ExportFormat,
    },
    /// Remove all bans. Who is allowed stays so.
    #[command(after_help = "Example: hayward bans flush --yes")]
    Flush {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Work on who is never banned.
    Allow {
        #[command(subcommand)]
        command: AllowCommand,
    },
}

/// What is done about who is never banned.
#[derive(Debug, Subcommand)]
pub(crate) enum AllowCommand {
    /// Never ban these, and end the bans that they have.
    #[command(
        after_help = "Example: hayward bans allow add 203.0.113.0/24 --for 30d --comment \"pen test\""
    )]
    Add(AllowArguments),
    /// List who is allowed.
    List,
    /// Ban these like anybody else.
    #[command(after_help = "Example: hayward bans allow remove 203.0.113.0/24")]
    Remove {
        /// An address or a prefix, just as it is listed. As many as needed.
        #[arg(required = true, value_name = "NET", value_parser = source)]
        nets: Vec<IpNet>,
    },
}

/// Who is allowed.
#[derive(Debug, Args)]
pub(crate) struct AllowArguments {
    /// An address or a prefix. As many as needed.
    #[arg(required = true, value_name = "NET", value_parser = source)]
    pub(crate) nets: Vec<IpNet>,
    /// For how long; without, until it is removed.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) time: Option<Duration>,
    /// Why, for those who look at it later.
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
}

/// As what bans are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// An address or a prefix in each line, and behind it why.
    Plain,
    /// All that is known, as `hayward bans list --json`.
    Json,
    /// A table of nftables that drops them.
    Nft,
    /// Two sets of ipset.
    Ipset,
}

fn source(text: &str) -> Result<IpNet, String> {
    hayward_agent::parse_source(text)
}
