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

fn suffice(status: &str) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    let effective = effective.unwrap_or(0);
    let has = |capability: u32| effective & 1 << capability != 0;
    has(CAP_SYS_ADMIN) || has(CAP_BPF) && has(CAP_PERFMON)
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
