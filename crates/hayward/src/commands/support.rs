//! `hayward support`: what a bug report needs, and nothing that identifies anybody.

use std::{fs, path::Path};

use hayward_agent::StatusReport;

use crate::{client, failure::Failure, show};

pub(crate) fn support(socket: &Path) -> Result<(), Failure> {
    let status: Result<StatusReport, Failure> = client::get(socket, "/v1/status");
    let features: Vec<_> = hayward_kernel::probe()
        .into_iter()
        .map(|f| serde_json::json!({"name": f.name, "present": f.present, "detail": f.detail}))
        .collect();
    let read = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    show::json(&serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "architecture": std::env::consts::ARCH,
        "features": features,
        "status": status.map_or_else(|failure| failure.to_string().into(), |s| serde_json::json!(s)),
    }))
}
