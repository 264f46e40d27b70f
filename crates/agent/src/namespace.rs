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
///
/// Not everybody may look at the first process. Then the kernel's own threads are in the same network as that one is; where these are
/// not to be seen, it is elsewhere where any that it descends from is in another network.
pub fn may_be_in_first_network() -> bool {
    may_be_first(Path::new("/proc"))
}

fn may_be_first(proc: &Path) -> bool {
    let Some(own) = network(proc, "self") else {
        return true;
    };
    match network(proc, "1").or_else(|| network_of_kernel(proc)) {
        Some(first) => own == first,
        None => ancestors(proc).all(|process| {
            let network = network(proc, &process);
            network.is_none_or(|network| network == own)
        }),
    }
}

/// That of the kernel's threads, by the one that starts the others.
fn network_of_kernel(proc: &Path) -> Option<PathBuf> {
    let status = fs::read_to_string(proc.join("2/status")).ok()?;
    let says = |line: &str| status.lines().any(|it| it == line);
    (says("Name:\tkthreadd") && says("PPid:\t0")).then(|| network(proc, "2"))?
}

/// Processes that this one descends from, the nearest first.
fn ancestors(proc: &Path) -> impl Iterator<Item = String> {
    /// Nobody's ancestors are more, but of one who reads while they change.
    const MOST: usize = 1_000;
    let parent = |process: &str| {
        let status = fs::read_to_string(proc.join(process).join("status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        Some(parent.trim().to_owned())
    };
    std::iter::successors(parent("self"), move |process| parent(process)).take(MOST)
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

    #[test]
    fn where_the_first_process_hides_those_that_are_nearer_tell() {
        let proc = tempfile::tempdir().expect("a folder");
        let make = |process: &str, parent: &str, network: Option<&str>| {
            let folder = proc.path().join(process);
            fs::create_dir_all(folder.join("ns")).expect("a folder");
            fs::write(
                folder.join("status"),
                format!("Name:\tx\nPPid:\t{parent}\n"),
            )
            .expect("a file");
            if let Some(network) = network {
                let link = folder.join("ns/net");
                std::os::unix::fs::symlink(network, link).expect("a link");
            }
        };
        make("1", "0", None);
        make("7", "1", Some("net:[1]"));
        make("8", "7", None);
        make("9", "8", Some("net:[2]"));
        make("self", "9", Some("net:[2]"));
        assert!(!may_be_first(proc.path()));
        fs::remove_dir_all(proc.path().join("7")).expect("removed");
        make("7", "1", Some("net:[2]"));
        assert!(may_be_first(proc.path()), "all are in the same");
        // A process of any other name proves nothing.
        make("2", "0", Some("net:[1]"));
        assert!(may_be_first(proc.path()));
        fs::write(proc.path().join("2/status"), "Name:\tkthreadd\nPPid:\t0\n").expect("a file");
        assert!(!may_be_first(proc.path()));
        fs::remove_dir_all(proc.path().join("2")).expect("removed");
        make("2", "0", Some("net:[2]"));
        fs::write(proc.path().join("2/status"), "Name:\tkthreadd\nPPid:\t0\n").expect("a file");
        assert!(may_be_first(proc.path()));
    }
}
