//! The `pool` guard's detector. The kernel has decided; what it tells is a finding each time.

use hayward_model::{Evidence, Finding, Guard, PoolEvent, PoolEvidence};

use crate::network;

/// The finding of a connection on which somebody mines.
pub fn pool(event: PoolEvent) -> Finding {
    let direction = if event.sent { "sent" } else { "received" };
    let evidence = Evidence {
        judged_at: Some("packet".to_owned()),
        pool: Some(PoolEvidence {
            dialect: event.dialect,
            direction: direction.to_owned(),
            message: String::from_utf8_lossy(&event.message).into_owned(),
        }),
        ..Evidence::default()
    };
    network::finding(Guard::Pool, event.sender, evidence)
}
