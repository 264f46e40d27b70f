//! Whether this process may use BPF at all, asked first: what fails for want of it later seldom says so.

use std::fs;

use crate::KernelError;

const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Fails where neither CAP_SYS_ADMIN nor CAP_BPF with CAP_PERFMON is in effect.
pub fn require_privileges() -> Result<(), KernelError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if suffice(&status) {
        Ok(())
    } else {
        Err(KernelError::NoPrivileges {
            what: "load and attach kernel programs".to_owned(),
        })
    }
}

/// A capability that a guard can do without, and what is lost then.
const USEFUL: [(u32, &str, &str); 4] = [
    (
        0,
        "CAP_CHOWN",
        "the socket cannot be given to the group of `api.readers`, so only root may look",
    ),
    (
        2,
        "CAP_DAC_READ_SEARCH",
        "cgroups that their owners have closed to others are neither entered nor scanned",
    ),
    (
        5,
        "CAP_KILL",
        "what a scan finds of other users cannot be ended",
    ),
    (
        19,
        "CAP_SYS_PTRACE",
        "the executables of other users' running processes cannot be read by a scan",
    ),
];

/// What this process lacks and can do without, with what is lost.
pub fn missing_privileges() -> Vec<String> {
    let effective = effective(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    let missing = USEFUL
        .iter()
        .filter(|(capability, ..)| effective & 1 << capability == 0);
    missing
        .map(|(_, name, lost)| format!("without {name} {lost} (see packaging/hayward.service)"))
        .collect()
}

fn suffice(status: &str) -> bool {
    let effective = effective(status);
    let has = |capability: u32| effective & 1 << capability != 0;
    has(CAP_SYS_ADMIN) || has(CAP_BPF) && has(CAP_PERFMON)
}

fn effective(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    effective.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_narrow_pair_suffice_and_one_of_the_pair_does_not() {
        assert!(suffice("Name:\tx\nCapEff:\t000001ffffffffff\n"));
        assert!(suffice("CapEff:\t0000000000200000\n"));
        assert!(suffice("CapEff:\t000000c000000000\n"));
        for lacking in ["CapEff:\t0000008000000000", "CapEff:\t0000000000000000", ""] {
            assert!(!suffice(lacking), "{lacking}");
        }
    }
}
