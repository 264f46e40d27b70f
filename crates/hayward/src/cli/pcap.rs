//! `hayward judge pcap`.

use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

use super::ConfigArgument;

const EXAMPLES: &str = "Examples: hayward judge pcap node.pcapng --inside 10.42.0.0/16; tcpdump -w - -U | hayward judge pcap - --json

Each file is judged by itself, as if the guards knew nobody yet, in the time that it says. Limits and domains are those of the settings, whether \
these list the guards or not. Nobody is stopped, so what is found is what came of it without the guards.";

/// A capture, and whose packets are judged.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PcapArguments {
    /// Captures (pcap, pcapng); `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Each address of this prefix is a workload. As often as needed; without, private, shared (CGNAT), link-local and unique local
    /// addresses, and in a file that has none of these, whoever sends.
    #[arg(long, value_name = "CIDR")]
    pub(crate) inside: Vec<IpNet>,
    #[command(flatten)]
    pub(crate) config: ConfigArgument,
}
