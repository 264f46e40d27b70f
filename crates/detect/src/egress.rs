//! The `egress` guard's detector. The kernel has decided; what it tells is a finding each time.

use hayward_model::{EgressEvent, Evidence, Finding, Guard};

use crate::network;

/// The finding of something that a workload wanted to reach.
pub fn egress(event: EgressEvent) -> Finding {
    let evidence = Evidence {
        judged_at: Some(event.hook.name().to_owned()),
        quarantined: event.quarantined,
        other_workload: event.of_another,
        name: event.name,
        ..Evidence::default()
    };
    network::finding(Guard::Egress, event.sender, evidence)
}
