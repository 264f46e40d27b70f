//! In what network this process is: that of the host, or one of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Whether this process is in another network than the host's first process, as far as that one may be looked at.
pub(crate) fn is_elsewhere(proc: &Path) -> bool {
    let (own, host) = (network(proc, "self"), network(proc, "1"));
    host.is_some() && own != host
}

/// Whether this process may be in the network of the machine's first process. A test must not look at packets there, so what
/// cannot be told counts as that.
pub fn may_be_in_first_network() -> bool {
    may_be_first(Path::new("/proc"))
}

fn may_be_first(proc: &Path) -> bool {
    let (own, host) = (network(proc, "self"), network(proc, "1"));
    own.is_none() || host.is_none() || own == host
}

fn network(proc: &Path, process: &str) -> Option<PathBuf> {
    fs::read_link(proc.join(process).join("ns/net")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_in_a_network_of_its_own_is_elsewhere() {
        let proc = tempfile::tempdir().expect("a folder");
        let is_in = |process: &str, network: &str| {
            let namespaces = proc.path().join(process).join("ns");
            fs::create_dir_all(&namespaces).expect("a folder");
            std::os::unix::fs::symlink(network, namespaces.join("net")).expect("a link");
        };
        is_in("self", "net:[2]");
        // Not every process may look at the first one.
        assert!(!is_elsewhere(proc.path()));
        assert!(may_be_first(proc.path()));
        is_in("1", "net:[1]");
        assert!(is_elsewhere(proc.path()));
        assert!(!may_be_first(proc.path()));
        fs::remove_dir_all(proc.path().join("self")).expect("removed");
        is_in("self", "net:[1]");
        assert!(!is_elsewhere(proc.path()));
        assert!(may_be_first(proc.path()));
    }
}
