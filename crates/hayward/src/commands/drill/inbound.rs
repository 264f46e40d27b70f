//! The guard `inbound` in the drill. A packet from outside comes from outside alone, so no scan is played: the agent shows at each
//! interface that its program drops whom it is to drop, and operators are told how to see the rest.

use std::{net::IpAddr, path::Path, time::Duration};

use hayward_agent::{InterfaceProof, ProofReport};
use hayward_model::{Guard, GuardStatus};
use jiff::SignedDuration;
use serde::Serialize;

use crate::{client, failure::Failure, show};

/// What came of it.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    report: ProofReport,
    scan_played: bool,
    /// What shows the rest, from another machine.
    #[serde(rename = "try")]
    command: Option<String>,
    #[serde(skip)]
    observes: bool,
}

impl Shown {
    pub(super) fn ask(socket: &Path, status: GuardStatus) -> Result<Self, Failure> {
        let report: ProofReport = client::post(socket, "/v1/inbound/prove", &())?;
        let mut proven = report.interfaces.iter().filter(|it| it.proven);
        Ok(Self {
            command: proven.find_map(command),
            report,
            scan_played: false,
            observes: status == GuardStatus::Observing,
        })
    }

    pub(super) fn show(&self) {
        for interface in &self.report.interfaces {
            let InterfaceProof { name, hook, .. } = interface;
            let hook = hook.as_deref().unwrap_or("no program");
            let text = if interface.proven {
                "its program dropped a packet of a banned source and let another's pass"
            } else {
                "it was NOT shown that a packet of a banned source is dropped"
            };
            show::line(&format!("{}: at {name} ({hook}) {text}", Guard::Inbound));
        }
        show::line(&format!(
            "{}: no scan was played, since none comes from outside but from outside",
            Guard::Inbound
        ));
        for text in self.help() {
            show::line(&format!("  {text}"));
        }
    }

    /// How to see a scan stopped.
    fn help(&self) -> Vec<String> {
        let Some(command) = &self.command else {
            return Vec::new();
        };
        let mut help = vec![format!("from another machine, try: {command}")];
        if self.observes {
            help.push("nobody is banned for it, and `hayward events` has a record".to_owned());
            return help;
        }
        let time = |seconds| SignedDuration::try_from(Duration::from_secs(seconds));
        let time =
            |seconds| time(seconds).map_or_else(|_| "long".to_owned(), |it| format!("{it:#}"));
        help.push(
            "after a few ports none answers any more, and `hayward bans list` names that machine"
                .to_owned(),
        );
        help.push(format!(
            "that machine is banned then: for {}, or for {} where it has connected to this one within the last hour, and longer each further time",
            time(self.report.soft_ban_seconds),
            time(self.report.ban_seconds)
        ));
        help.push("to let it in again, run here: hayward bans remove ADDRESS".to_owned());
        if !self.report.ban_private {
            help.push(
                "a private address is recorded and not banned, since `ban_private` is not set"
                    .to_owned(),
            );
        }
        help
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        let guard = Guard::Inbound;
        let mut interfaces = self.report.interfaces.iter();
        if let Some(interface) = interfaces.find(|it| !it.proven) {
            let reason = interface.reason.as_deref().unwrap_or("no reason is given");
            let text = format!("{guard}: nothing is proven at {}: {reason}", interface.name);
            return Some(Failure::NotSo(text));
        }
        self.observes.then(|| {
            Failure::NotSo(format!(
                "{guard}: whoever scans is seen and not banned, because the mode is observe; set `mode: enforce` for the agent and the guard, then `hayward reload`"
            ))
        })
    }
}

/// A scan of an interface; of IPv4 where it has such an address, since not everybody can reach the other.
fn command(interface: &InterfaceProof) -> Option<String> {
    let mut addresses: Vec<IpAddr> = interface.addresses.clone();
    addresses.sort_by_key(IpAddr::is_ipv6);
    let address = addresses.first()?;
    let six = if address.is_ipv6() { "-6 " } else { "" };
    Some(format!("nmap {six}-Pn -n -p 1-100 {address}"))
}
