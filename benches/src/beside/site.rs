//! What stands between a sender and a host: one way to drop what banned sources send, in two networks of its own.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use hayward_kernel::{Pins, Statistics};
use hayward_tests::{Front, Host, INTERFACE, Meanwhile};

use crate::sample::real;

/// One way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The other end of the wire is down, so that there is the sender's own cost alone.
    Nowhere,
    /// Nothing is in the way: the host answers that nobody listens.
    Nothing,
    /// The guard, as its setting `attach` says.
    Hayward(&'static str),
    /// A set of nftables in a chain of this type.
    NftSet(&'static str),
    /// A set of ipset, and a rule of iptables.
    Ipset,
    /// A rule for each address, by a program of the family of iptables.
    Rules(&'static str),
    /// A program that captures what arrives, and counts it.
    Capture,
}

/// What one burst took, for a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burst {
    /// Ns of the processor: of the sender with all that its packets lead to, and of who captures.
    pub(super) spent: f64,
    /// Ns by the clock.
    pub(super) passed: f64,
    /// Share of the packets that a capture saw.
    pub(super) seen: f64,
}

/// A host behind a wire.
#[derive(Debug)]
pub(super) struct Site {
    way: Way,
    front: Front,
    mac: String,
}

impl Site {
    /// Without bans yet.
    pub(super) fn new(way: Way, binary: &Path) -> Result<Self> {
        let mut front = Front::of(Host::with_binary(binary));
        if let Way::Hayward(attach) = way {
            front = front.guarded(&format!("attach: {attach}"));
            let status = front.host.status();
            let hook = &status["guards"]["inbound"]["interfaces"][0]["hook"];
            let hook = hook.as_str().unwrap_or_default();
            ensure!(hook.ends_with(attach), "asked for {attach}: {status}");
        }
        let mac = front.mac();
        if way == Way::Nowhere {
            front.must(&format!("ip link set {INTERFACE} down"));
        }
        Ok(Self { way, front, mac })
    }

    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// Bans all addresses of a list, and no others.
    pub(super) fn ban(&self, list: &Path) -> Result<()> {
        let text = fs::read_to_string(list)?;
        let path = list.display().to_string();
        let rules = self.front.host.path("rules");
        let rules_path = rules.display();
        let (text, load) = match self.way {
            Way::Nowhere | Way::Nothing | Way::Capture => return Ok(()),
            Way::Hayward(_) => {
                let hayward = |line: &[&str]| self.front.host.hayward(line).ok();
                hayward(&["bans", "flush", "--yes"]);
                hayward(&["bans", "import", &path]);
                return Ok(());
            }
            Way::NftSet(chain) => (
                nft_set(chain, &text),
                format!("nft flush ruleset && nft -f {rules_path}"),
            ),
            Way::Ipset => (
                each(&text, "add banned "),
                format!(
                    "iptables -F INPUT && (ipset destroy banned || true) && ipset create banned hash:ip &&
                     ipset restore < {rules_path} && iptables -A INPUT -m set --match-set banned src -j DROP"
                ),
            ),
            Way::Rules(program) => (
                format!("*filter\n{}COMMIT\n", rule_for_each(&text)),
                format!("{program}-restore < {rules_path}"),
            ),
        };
        fs::write(&rules, text)?;
        self.front.must(&load);
        Ok(())
    }

    /// Has the sources of a list send so many packets, one after the other.
    pub(super) fn burst(&self, sender: &Path, list: &Path, frames: u32) -> Result<Burst> {
        let capture = (self.way == Way::Capture).then(|| Capture::start(&self.front));
        let capture = capture.transpose()?;
        let (dropped, arrived) = (self.dropped()?, self.arrived()?);
        let of_kernel = softirq_ns()?;
        let line = format!(
            "exec {} out0 {} {} {frames}",
            sender.display(),
            self.mac,
            list.display()
        );
        let output = self.front.there(&line);
        ensure!(output.status.success(), "{line}: {output:?}");
        let took = String::from_utf8(output.stdout)?;
        let mut took = took.split_whitespace().map(str::parse::<f64>);
        let (passed, own) = took.next().zip(took.next()).context("two numbers")?;
        let mut spent = own? + softirq_ns()? - of_kernel;
        let mut seen = 0.0;
        if let Some(capture) = capture {
            let captured = capture.finish()?;
            spent += captured.0;
            seen = captured.1 / f64::from(frames);
        }
        let (dropped, arrived) = (self.dropped()? - dropped, self.arrived()? - arrived);
        let frames_sent = u64::from(frames);
        let is_so = match self.way {
            Way::Nowhere => arrived == 0,
            Way::Nothing | Way::Capture => arrived == frames_sent,
            // The agent proves now and then that its programs drop what they should.
            _ => arrived == 0 && dropped >= frames_sent,
        };
        ensure!(
            is_so,
            "{:?}: {dropped} were dropped and {arrived} came to the host, of {frames}",
            self.way
        );
        Ok(Burst {
            spent: spent / f64::from(frames),
            passed: passed? / f64::from(frames),
            seen,
        })
    }

    /// Ns that the guard's program itself takes for one of so many packets, by the kernel's account; none of other ways.
    pub(super) fn program(&self, sender: &Path, list: &Path, frames: u32) -> Result<Option<f64>> {
        let name = match self.way {
            Way::Hayward("tc") => "on_inbound_frame",
            Way::Hayward(_) => "on_inbound_packet",
            _ => return Ok(None),
        };
        let statistics = Statistics::enable()?;
        let pins = Pins::new(&self.front.host.pins);
        let before = statistics.of_attached(&pins, name)?;
        self.burst(sender, list, frames)?;
        let after = statistics.of_attached(&pins, name)?;
        Ok(Some(
            real(after.ns - before.ns) / real(after.runs - before.runs),
        ))
    }

    /// How many packets this way has dropped, by its own count.
    fn dropped(&self) -> Result<u64> {
        let count = match self.way {
            Way::Nowhere | Way::Nothing | Way::Capture => return Ok(0),
            Way::Hayward(_) => return Ok(self.front.counter("inbound_dropped")),
            Way::NftSet(_) => self
                .front
                .must("nft list ruleset | sed -n 's/.*counter packets \\([0-9]*\\).*/\\1/p'"),
            Way::Ipset => self.front.must(&dropped_by("iptables")),
            Way::Rules(program) => self.front.must(&dropped_by(program)),
        };
        count.trim().parse().context("a count")
    }

    /// How many segments of TCP have come to the host.
    fn arrived(&self) -> Result<u64> {
        let count = self
            .front
            .must("awk '$1 == \"Tcp:\" { count = $11 } END { print count }' /proc/net/snmp");
        count.trim().parse().context("a count")
    }
}

fn dropped_by(program: &str) -> String {
    format!("{program} -nvxL INPUT | awk '$3 == \"DROP\" {{ sum += $1 }} END {{ print sum + 0 }}'")
}

fn each(list: &str, before: &str) -> String {
    let lines = list.lines().map(|address| format!("{before}{address}\n"));
    lines.collect()
}

fn rule_for_each(list: &str) -> String {
    let rules = list
        .lines()
        .map(|address| format!("-A INPUT -s {address}/32 -j DROP\n"));
    rules.collect()
}

fn nft_set(chain: &str, list: &str) -> String {
    let family = chain.split_whitespace().next().unwrap_or_default();
    let (family, chain) = (family, &chain[family.len()..]);
    let elements: Vec<&str> = list.lines().collect();
    format!(
        "table {family} beside {{
           set banned {{ type ipv4_addr; elements = {{ {} }} }}
           chain arriving {{ {chain}; ip saddr @banned counter drop; }}
         }}\n",
        elements.join(", ")
    )
}

/// Ns that the kernel's own threads have had in which packets are looked at whose sender goes on meanwhile.
fn softirq_ns() -> Result<f64> {
    let mut total = 0.0;
    for process in fs::read_dir("/proc")?.filter_map(Result::ok) {
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        if name.starts_with("ksoftirqd/") {
            total += spent_ns(&process.path())?;
        }
    }
    Ok(total)
}

/// Ns of the processor that a process of one thread has had.
fn spent_ns(process: &Path) -> Result<f64> {
    let text = fs::read_to_string(process.join("schedstat"))?;
    let first = text.split(' ').next().context("/proc/PID/schedstat")?;
    Ok(real(first.parse()?))
}

/// tcpdump, which counts what arrives and keeps nothing.
struct Capture {
    program: Meanwhile,
    began: f64,
}

impl Capture {
    fn start(front: &Front) -> Result<Self> {
        let mut program = front.here_meanwhile(&format!(
            "exec tcpdump -i {INTERFACE} -Q in -w /dev/null tcp 2>&1"
        ));
        program.wait_for_line();
        let began = spent_ns(&process(&program))?;
        Ok(Self { program, began })
    }

    /// Ns of the processor, and how many packets it saw, once it has nothing more to do.
    fn finish(self) -> Result<(f64, f64)> {
        let process = process(&self.program);
        let mut spent = spent_ns(&process)?;
        loop {
            // It waits for a second at most until a part of a block of packets is handed to it.
            std::thread::sleep(std::time::Duration::from_millis(1_500));
            let now = spent_ns(&process)?;
            if now - spent < 1e6 {
                break;
            }
            spent = now;
        }
        spent = spent_ns(&process)? - self.began;
        self.program.interrupt();
        let text = self.program.finish();
        let line = text.lines().find(|line| line.ends_with("packets captured"));
        let count = line.and_then(|line| line.split(' ').next());
        let count = count.with_context(|| format!("what tcpdump says: {text}"))?;
        Ok((spent, count.parse()?))
    }
}

fn process(program: &Meanwhile) -> std::path::PathBuf {
    Path::new("/proc").join(program.id().to_string())
}
