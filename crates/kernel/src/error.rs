//! What can go wrong on the kernel side, with what to do about it.

use std::path::PathBuf;

/// An error of the kernel side.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The BPF file system is not there.
    #[error(
        "no BPF file system holds {path}: mount one with `mount -t bpf bpf /sys/fs/bpf`, or set `pins` to a folder below one"
    )]
    NoBpfFileSystem {
        /// The folder for pins.
        path: PathBuf,
    },
    /// Another agent uses the same pins.
    #[error(
        "another agent is running with the pins in {path}: stop it first, or give this one its own `pins`, `api.socket` and `journal.path`"
    )]
    AlreadyRunning {
        /// The folder for pins.
        path: PathBuf,
    },
    /// No agent has ever pinned anything there.
    #[error("nothing is pinned in {path}: no agent has run here, or it was uninstalled")]
    NothingPinned {
        /// The folder for pins.
        path: PathBuf,
    },
    /// The kernel describes no types.
    #[error(
        "the kernel has no type information (/sys/kernel/btf/vmlinux): a kernel built with CONFIG_DEBUG_INFO_BTF is needed, as distributions ship from 5.10 on"
    )]
    NoTypeInformation,
    /// The process may not use BPF.
    #[error(
        "not allowed to {what}: run as root, or with CAP_BPF and CAP_PERFMON and, before Linux 5.11, as much locked memory as it takes (see packaging/hayward.service)"
    )]
    NoPrivileges {
        /// What was tried.
        what: String,
    },
    /// A table is larger than the largest size class.
    #[error(
        "the rules need a table of {bytes} bytes and the largest that this kernel takes is {largest}: use fewer or shorter banned strings"
    )]
    TableTooLarge {
        /// What the rules need.
        bytes: usize,
        /// What can be had.
        largest: usize,
    },
    /// A name falls under more patterns than the kernel tells apart.
    #[error(
        "`{pattern}` would fall under {wider} names of `allow`, `always` and grants, and the kernel tells {most} apart: leave out those in between"
    )]
    TooManyNames {
        /// The name.
        pattern: String,
        /// How many.
        wider: usize,
        /// How many may be.
        most: usize,
    },
    /// Prefixes of too many lengths are banned.
    #[error(
        "prefixes of {most} other lengths are banned already, which is as many as are looked for: ban one of a length that there is, or split it"
    )]
    TooManyLengths {
        /// How many there may be.
        most: usize,
    },
    /// The table of sources is more than the machine can well give.
    #[error(
        "the table for {sources} sources takes {wanted} MiB, which is more than half of the {available} MiB that this machine has left: set `sources` of the guard inbound lower"
    )]
    TooManySources {
        /// How many it would remember.
        sources: u64,
        /// What they take.
        wanted: u64,
        /// What there is.
        available: u64,
    },
    /// An interface has a program of XDP already, which is never replaced.
    #[error(
        "a program of XDP is attached there already, and is not replaced: set `attach: tc`, or remove it (`ip link set DEVICE xdp off`)"
    )]
    XdpTaken,
    /// The driver of an interface takes no program of XDP, or not as the interface is set up.
    #[error(
        "its driver takes no program of XDP as it is set up ({source}): set `attach: generic` or `attach: tc`"
    )]
    XdpRefused {
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// The kernel has no BPF LSM, or it is not switched on.
    #[error(
        "BPF LSM is not among the active security modules ({active}): boot with `lsm={active},bpf`"
    )]
    NoBpfLsm {
        /// Those that are.
        active: String,
    },
    /// The kernel refuses what it allows for other programs.
    #[error("this kernel refuses programs of BPF LSM, and takes others")]
    BpfLsmRefused,
    /// The kernel takes programs of BPF LSM and does not call them.
    #[error("this kernel attaches programs of BPF LSM and does not run them")]
    BpfLsmNeverRuns,
    /// Anything libbpf says.
    #[error("cannot {what}: {source}")]
    Libbpf {
        /// What was tried.
        what: String,
        /// libbpf's reason.
        source: libbpf_rs::Error,
    },
    /// Anything the file system says.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl KernelError {
    /// The same of programs on sockets and packets, for which the kernel wants more.
    pub(crate) fn on_cgroups(self) -> Self {
        self.with_network("on cgroups")
    }

    /// The same of programs on network devices.
    pub(crate) fn on_network(self) -> Self {
        self.with_network("on network devices")
    }

    fn with_network(self, place: &str) -> Self {
        match self {
            Self::NoPrivileges { what } => Self::NoPrivileges {
                what: format!("{what} {place}, for which CAP_NET_ADMIN is needed too"),
            },
            other => other,
        }
    }
}

/// Gives libbpf's errors the sentence that they lack.
pub(crate) trait Doing<T> {
    /// Names what was tried.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, KernelError>;
}

impl<T> Doing<T> for Result<T, libbpf_rs::Error> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, KernelError> {
        self.map_err(|source| match source.kind() {
            libbpf_rs::ErrorKind::PermissionDenied => KernelError::NoPrivileges { what: what() },
            _ => KernelError::Libbpf {
                what: what(),
                source,
            },
        })
    }
}

impl<T> Doing<T> for Result<T, std::io::Error> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, KernelError> {
        self.map_err(|source| KernelError::Io {
            what: what(),
            source,
        })
    }
}
