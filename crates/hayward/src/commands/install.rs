//! `hayward install` and `uninstall`: files on this host, pins in the kernel.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use hayward_kernel::Pins;
use hayward_policy::{DEFAULT_SETTINGS, Policy};

use crate::{cli::ConfigArgument, failure::Failure, show};

const UNIT: &str = include_str!("../../../../packaging/hayward.service");

/// Copies binary, unit and settings. Settings that are there already are kept.
pub(crate) fn install(root: &Path) -> Result<(), Failure> {
    let binary = root.join("usr/local/bin/hayward");
    place(&binary, &fs::read("/proc/self/exe")?, 0o755)?;
    let unit = UNIT.replace("/usr/bin/hayward", "/usr/local/bin/hayward");
    place(
        &root.join("etc/systemd/system/hayward.service"),
        unit.as_bytes(),
        0o644,
    )?;
    let settings = root.join("etc/hayward/hayward.yaml");
    if settings.exists() {
        show::line(&format!("kept  {}", settings.display()));
    } else {
        place(&settings, DEFAULT_SETTINGS.as_bytes(), 0o644)?;
    }
    fs::create_dir_all(root.join("etc/hayward/rules.d"))?;
    show::line("next: systemctl daemon-reload && systemctl enable --now hayward");
    Ok(())
}

/// Written beside and renamed, so that a running binary is replaced and never half written.
fn place(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("new");
    fs::write(&beside, bytes)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(mode))?;
    fs::rename(&beside, path)?;
    show::line(&format!("wrote {}", path.display()));
    Ok(())
}

pub(crate) fn uninstall(config: &ConfigArgument, json: bool) -> Result<(), Failure> {
    let pins = Pins::new(Policy::load(config.file().as_deref())?.pins);
    let folder = pins.folder().display().to_string();
    if pins.in_use() {
        return Err(Failure::Other(anyhow::anyhow!(
            "an agent is running with the pins in {folder}: stop it first (systemctl stop hayward)"
        )));
    }
    let removed = hayward_kernel::uninstall(&pins)?;
    if json {
        return show::json(&serde_json::json!({"pins": folder, "removed": removed}));
    }
    show::line(&format!(
        "{removed} pins removed from {folder}; nothing is enforced any more"
    ));
    Ok(())
}
