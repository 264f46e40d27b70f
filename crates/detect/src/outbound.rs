//! The `outbound` guard's detector. The kernel counts and decides; what it tells is a finding each time.

use hayward_model::{Evidence, Finding, Guard, OutboundEvent};

use crate::network;

/// The finding of somebody who scans.
pub fn outbound(event: OutboundEvent) -> Finding {
    let refused_socket = event.scan.by_process && event.scan.limit.ends_with("-socket");
    let judged_at = if refused_socket { "socket" } else { "packet" };
    let evidence = Evidence {
        judged_at: Some(judged_at.to_owned()),
        scan: Some(event.scan),
        ..Evidence::default()
    };
    let mut finding = network::finding(Guard::Outbound, event.sender, evidence);
    // A socket that was not made leads nowhere, nor does a frame without an IP packet.
    let destination = &mut finding.evidence.destination;
    destination.take_if(|destination| destination.address.is_unspecified());
    finding
}
