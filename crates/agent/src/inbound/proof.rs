//! What the guard shows of itself when it is asked: at each interface, that its program drops whom it is to drop and nobody else.

use std::net::IpAddr;

use hayward_kernel::{InboundProof, KernelError};
use serde::{Deserialize, Serialize};

use super::{InterfaceReport, addresses::addresses, state::lock};
use crate::agent::Agent;

/// What came of `POST /v1/inbound/prove`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProofReport {
    /// Each interface that settings mean.
    pub interfaces: Vec<InterfaceProof>,
    /// For how long whoever is known to exist is banned the first time.
    pub ban_seconds: u64,
    /// For how long another makes no first contact.
    pub soft_ban_seconds: u64,
    /// Private addresses are banned too.
    pub ban_private: bool,
}

/// An interface, and what was shown there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InterfaceProof {
    /// What it is called.
    pub name: String,
    /// By what its packets are seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// Addresses at which others reach it.
    pub addresses: Vec<IpAddr>,
    /// The program there dropped a packet of a banned source, and let another's pass.
    pub proven: bool,
    /// Why that was not shown, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Agent {
    /// Has the programs at each interface judge packets that are on no wire, now.
    ///
    /// # Errors
    /// Where they cannot be run.
    pub fn prove_interfaces(&self) -> Result<ProofReport, KernelError> {
        // Nothing is attached or taken off meanwhile.
        let reports = lock(&self.pipeline.inbound.reports);
        let proofs = self.with_kernel(|kernel| kernel.prove_inbound_at())?;
        let links = self.pipeline.inbound.links();
        let all = addresses().unwrap_or_else(|error| {
            tracing::warn!("the addresses of interfaces cannot be listed: {error}");
            Default::default()
        });
        let interfaces = reports.iter().map(|report| {
            let mut all_links = links.iter();
            let link = all_links.find(|(_, link)| link.name == report.name);
            let number = link.map(|(number, _)| *number);
            let proof = number.and_then(|number| proofs.get(&number)).copied();
            let addresses = number.and_then(|number| all.get(&number)).cloned();
            proven(report, proof, addresses.unwrap_or_default())
        });
        let interfaces = interfaces.collect();
        let settings = &self.policy().inbound;
        Ok(ProofReport {
            interfaces,
            ban_seconds: settings.ban.as_secs(),
            soft_ban_seconds: settings.soft_ban.as_secs(),
            ban_private: settings.ban_private,
        })
    }
}

fn proven(
    report: &InterfaceReport,
    proof: Option<InboundProof>,
    addresses: Vec<IpAddr>,
) -> InterfaceProof {
    let reason = match proof {
        Some(InboundProof::Works) => None,
        Some(InboundProof::Fails) => Some(
            "its program did not drop a packet of a banned source, or dropped another: restart the agent, and report it with `hayward support`".to_owned(),
        ),
        Some(InboundProof::TakenOff) => Some(
            "its programs were taken off there by somebody else: the agent attaches them again within a minute".to_owned(),
        ),
        None => report.reason.clone().or_else(|| {
            Some("no program of it is there, and what nftables drops was not tried: see `hayward status`".to_owned())
        }),
    };
    InterfaceProof {
        name: report.name.clone(),
        hook: report.hook.clone(),
        addresses,
        proven: reason.is_none(),
        reason,
    }
}
