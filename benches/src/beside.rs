//! What dropping a packet of a banned source costs by the guard `inbound`, beside what else drops such packets: the same packets on
//! the same kind of wire, in turns.

mod bars;
mod site;

use std::{
    fmt::Write as _,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use crate::{figure::Figure, sample::Samples};
use site::{Burst, Site, Way};

const ROUNDS: usize = 15;
/// How many packets are sent at once, and how many where each takes very long.
const FRAMES: u32 = 50_000;
const FEW_FRAMES: u32 = 2_000;
/// How many addresses are banned.
const BANS: [u32; 2] = [1, 10_000];

/// What is compared, and the package of Debian that brings it.
const NEEDS: [(&str, &str); 6] = [
    ("cc", "gcc"),
    ("nft", "nftables"),
    ("ipset", "ipset"),
    ("iptables-nft", "iptables"),
    ("iptables-legacy", "iptables"),
    ("tcpdump", "tcpdump"),
];

/// A way, with its keys in `target/bench.json`, by how many are banned, and what it is called.
struct Entry {
    way: Way,
    keys: [&'static str; BANS.len()],
    name: &'static str,
}

const ENTRIES: [Entry; 10] = [
    Entry {
        way: Way::Hayward("native"),
        keys: ["beside.native_1_ns", "beside.native_10k_ns"],
        name: "Hayward, XDP in the driver of veth",
    },
    Entry {
        way: Way::Hayward("generic"),
        keys: ["beside.generic_1_ns", "beside.generic_10k_ns"],
        name: "Hayward, XDP before the network stack",
    },
    Entry {
        way: Way::Hayward("tc"),
        keys: ["beside.tc_1_ns", "beside.tc_10k_ns"],
        name: "Hayward, a classifier",
    },
    Entry {
        way: Way::NftSet("netdev type filter hook ingress device front0 priority 0"),
        keys: ["beside.nft_ingress_1_ns", "beside.nft_ingress_10k_ns"],
        name: "a set of nftables at ingress (netdev)",
    },
    Entry {
        way: Way::NftSet("inet type filter hook prerouting priority -300"),
        keys: ["beside.nft_prerouting_1_ns", "beside.nft_prerouting_10k_ns"],
        name: "a set of nftables at prerouting (inet)",
    },
    Entry {
        way: Way::Ipset,
        keys: ["beside.ipset_1_ns", "beside.ipset_10k_ns"],
        name: "a set of ipset, by a rule of iptables in INPUT",
    },
    Entry {
        way: Way::Rules("iptables-nft"),
        keys: ["beside.iptables_1_ns", "beside.iptables_10k_ns"],
        name: "a rule of iptables for each address, in INPUT",
    },
    Entry {
        way: Way::Rules("iptables-legacy"),
        keys: [
            "beside.iptables_legacy_1_ns",
            "beside.iptables_legacy_10k_ns",
        ],
        name: "the same by the older iptables-legacy",
    },
    Entry {
        way: Way::Nothing,
        keys: ["beside.nothing_1_ns", "beside.nothing_10k_ns"],
        name: "nothing: it is answered with a refusal",
    },
    Entry {
        way: Way::Capture,
        keys: ["beside.capture_1_ns", "beside.capture_10k_ns"],
        name: "nothing, while tcpdump counts what arrives",
    },
];

/// What each way takes for a packet, beyond what the sender takes by itself.
struct Row {
    entry: &'static Entry,
    /// By how many are banned.
    taken: Vec<Taken>,
}

struct Taken {
    /// Ns of the processor.
    spent: Samples,
    /// Ns by the clock.
    passed: Samples,
    /// Share of the packets that a capture saw.
    seen: Samples,
    /// Ns that the guard's program itself takes.
    program: Option<f64>,
}

/// All of them.
pub(crate) struct Beside {
    /// What the sender takes by itself, ns of the processor.
    base: Samples,
    rows: Vec<Row>,
}

/// Measures all of them in turns, so that what disturbs the machine for a while disturbs each.
pub(crate) fn measure(binary: &Path) -> Result<Beside> {
    eprintln!("beside: {ROUNDS} rounds of {FRAMES} packets, {BANS:?} bans");
    for (program, package) in NEEDS {
        let look = format!("command -v {program}");
        let found = Command::new("sh").args(["-c", &look]).output()?;
        ensure!(
            found.status.success(),
            "{program} is missing: install the package {package}, as tools/install-test-deps does"
        );
    }
    let folder = tempfile::tempdir()?;
    let sender = compile(folder.path())?;
    let base = Site::new(Way::Nowhere, binary)?;
    let mut sites = Vec::new();
    for entry in &ENTRIES {
        sites.push(Site::new(entry.way, binary)?);
    }
    let mut rows: Vec<Row> = ENTRIES
        .iter()
        .map(|entry| Row {
            entry,
            taken: Vec::new(),
        })
        .collect();
    let mut alone = Vec::new();
    for bans in BANS {
        let list = folder.path().join(format!("{bans}.txt"));
        fs::write(&list, addresses(bans))?;
        for site in &sites {
            site.ban(&list)?;
        }
        let mut bases = Vec::new();
        let mut bursts = vec![Vec::new(); ENTRIES.len()];
        for _ in 0..ROUNDS {
            bases.push(base.burst(&sender, &list, FRAMES)?);
            for (site, bursts) in sites.iter().zip(&mut bursts) {
                bursts.push(site.burst(&sender, &list, frames(site, bans))?);
            }
        }
        alone.extend(bases.iter().map(|burst| burst.spent));
        for ((row, site), bursts) in rows.iter_mut().zip(&sites).zip(bursts) {
            let program = site.program(&sender, &list, FRAMES)?;
            let taken = Taken::beyond(&bases, &bursts, program);
            eprintln!(
                "  {bans} bans, {}: {:.0} ns, {}",
                row.entry.name,
                taken.spent.median(),
                taken.spread(row.entry.way)
            );
            row.taken.push(taken);
        }
    }
    Ok(Beside {
        base: Samples::new(alone),
        rows,
    })
}

/// A list of many rules is walked through for each packet.
fn frames(site: &Site, bans: u32) -> u32 {
    if matches!(site.way(), Way::Rules(_)) && bans > 1 {
        FEW_FRAMES
    } else {
        FRAMES
    }
}

/// A list of public addresses.
fn addresses(count: u32) -> String {
    let addresses = (0..count).map(|number| Ipv4Addr::from_bits(0x0b00_0001 + number * 7));
    addresses.fold(String::new(), |mut text, address| {
        let _ = writeln!(text, "{address}");
        text
    })
}

fn compile(folder: &Path) -> Result<PathBuf> {
    let program = folder.join("send");
    let status = Command::new("cc")
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-x", "c", "-o"])
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/beside/send.c"))
        .status()?;
    ensure!(status.success(), "the program that sends does not compile");
    Ok(program)
}

impl Taken {
    /// Each burst less the one of the same round that arrived nowhere.
    fn beyond(bases: &[Burst], bursts: &[Burst], program: Option<f64>) -> Self {
        let less = |of: fn(&Burst) -> f64| {
            let pairs = bases.iter().zip(bursts);
            Samples::new(pairs.map(|(base, burst)| of(burst) - of(base)).collect())
        };
        Self {
            spent: less(|burst| burst.spent),
            passed: less(|burst| burst.passed),
            seen: Samples::new(bursts.iter().map(|burst| burst.seen).collect()),
            program,
        }
    }

    /// In words.
    fn spread(&self, way: Way) -> String {
        let mut text = format!(
            "{}; {:.0} by the clock",
            self.spent.spread(0),
            self.passed.median()
        );
        if let Some(program) = self.program {
            let _ = write!(text, "; the program itself {program:.0}");
        }
        if way == Way::Capture {
            let _ = write!(text, "; it saw {:.1} % of them", 100.0 * self.seen.median());
        }
        text
    }
}

impl Beside {
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let mut figures = vec![Figure {
            key: "beside.sender_ns",
            what:
                "what sending a packet takes that arrives nowhere, which the following are beyond"
                    .to_owned(),
            value: self.base.median(),
            unit: "ns",
            spread: self.base.spread(0),
            floor: None,
            aim: None,
        }];
        for row in &self.rows {
            for (index, taken) in row.taken.iter().enumerate() {
                figures.push(Figure {
                    key: row.entry.keys[index],
                    what: format!(
                        "a packet of one of {} banned sources, on a veth pair: {}",
                        BANS[index], row.entry.name
                    ),
                    value: taken.spent.median(),
                    unit: "ns",
                    spread: taken.spread(row.entry.way),
                    floor: None,
                    aim: None,
                });
            }
        }
        figures
    }

    /// Draws ns of the processor, for each way and number of bans.
    pub(crate) fn draw(&self, file: &Path) -> Result<()> {
        let bars: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                let median = |index: usize| row.taken[index].spent.median();
                (row.entry.name, [median(0), median(1)])
            })
            .collect();
        bars::draw(
            file,
            &BANS.map(|bans| format!("banned sources: {bans}")),
            &bars,
        )
    }
}
