//! What this kernel can do, found out by trying, since version numbers and feature lists are wrong too often.

use std::{fs, path::Path};

use crate::{
    InboundLimits, PacketTrial,
    object::{COMMAND, EGRESS, Embedded, Load, OUTBOUND, POOL, RANDOMX, SCOPE, Variant},
    packet_socket, table,
};

/// Something that a guard needs or makes use of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Short name.
    pub name: &'static str,
    /// Whether it was found to work.
    pub present: bool,
    /// What was seen, or what to do.
    pub detail: String,
}

/// Tries everything. Loads programs, and attaches none but, for a moment, one that shows whether BPF LSM runs it.
pub fn probe() -> Vec<Feature> {
    vec![
        type_information(),
        bpf_file_system(),
        cgroup2(),
        loads("command", &COMMAND),
        loads("egress", &EGRESS),
        judges_arrivals(
            "xdp",
            "on_inbound_packet",
            "the guard inbound can look at packets before the network stack: `attach: native` or `generic`",
        ),
        judges_arrivals(
            "tc",
            "on_inbound_frame",
            "the guard inbound can look at packets by a classifier: `attach: auto` or `tc`",
        ),
        loads("outbound", &OUTBOUND),
        loads("pool", &POOL),
        loads("randomx", &RANDOMX),
        loads("scope", &SCOPE),
        large_tables(),
        lsm(),
    ]
}

fn type_information() -> Feature {
    let path = Path::new("/sys/kernel/btf/vmlinux");
    let present = path.exists();
    let detail = if present {
        path.display().to_string()
    } else {
        "needs a kernel with CONFIG_DEBUG_INFO_BTF".to_owned()
    };
    Feature {
        name: "btf",
        present,
        detail,
    }
}

fn bpf_file_system() -> Feature {
    mounted("bpffs", "bpf", "mount -t bpf bpf /sys/fs/bpf")
}

fn cgroup2() -> Feature {
    mounted("cgroup2", "cgroup2", "mount -t cgroup2 none /sys/fs/cgroup")
}

/// Looks for a mount of a file system type.
fn mounted(name: &'static str, kind: &str, remedy: &str) -> Feature {
    let mounts = fs::read("/proc/mounts").unwrap_or_default();
    let mounts = String::from_utf8_lossy(&mounts);
    let at = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let at = fields.next()?;
        (fields.next()? == kind).then(|| at.to_owned())
    });
    match at {
        Some(at) => Feature {
            name,
            present: true,
            detail: format!("mounted at {at}"),
        },
        None => Feature {
            name,
            present: false,
            detail: format!("not mounted: {remedy}"),
        },
    }
}

fn loads(name: &'static str, programs: &'static Embedded) -> Feature {
    match Load::unpinned(programs).load() {
        Ok((_, variant)) => Feature {
            name,
            present: true,
            detail: match variant {
                Variant::WithBpfLoop => "its programs load",
                Variant::WithoutBpfLoop => "its programs load, in the variant without bpf_loop",
            }
            .to_owned(),
        },
        Err(error) => Feature {
            name,
            present: false,
            detail: error.to_string(),
        },
    }
}

/// Whether a program of the guard `inbound` loads and runs, on a frame that is made up and at no interface. Whether a driver takes
/// XDP shows only where it is attached.
fn judges_arrivals(name: &'static str, program: &str, detail: &str) -> Feature {
    const FRAME: [u8; 64] = [0; 64];
    let trial = PacketTrial::inbound(&InboundLimits::DEFAULT);
    let answer = trial.and_then(|mut trial| trial.run(program, &FRAME));
    Feature {
        name,
        present: answer.is_ok(),
        detail: match answer {
            Ok(_) => detail.to_owned(),
            Err(error) => error.to_string(),
        },
    }
}

fn large_tables() -> Feature {
    let sizes = [4 << 20, 16 << 20, 64 << 20];
    let largest = sizes
        .into_iter()
        .rfind(|size| table::inner_map("probe", *size).is_ok());
    Feature {
        name: "tables",
        present: largest.is_some(),
        detail: format!(
            "rule tables of up to {} MiB",
            largest.unwrap_or(256 << 10) >> 20
        ),
    }
}

fn lsm() -> Feature {
    let refused = packet_socket::probe();
    Feature {
        name: "lsm",
        present: refused.is_ok(),
        detail: match refused {
            Ok(()) => "packet sockets can be refused where they are made".to_owned(),
            Err(error) => format!("optional; {error}"),
        },
    }
}
