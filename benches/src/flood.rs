//! What a flood of made-up sources leaves behind in the agent, and whether a scan in its midst is found. No packet is sent: the program
//! that the agent has attached is run on each frame.

use std::{fs, net::Ipv4Addr, path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use hayward_kernel::{AttachedProgram, Counters, Pins};
use hayward_tests::{Front, Host};

use serde_json::Value;

use crate::{
    agent::{kibibytes, settled_kibibytes},
    figure::Figure,
    inbound::{SYN, segment},
    sample::real,
};

const PROGRAM: &str = "on_inbound_frame";
const FRAMES: u32 = 10_000_000;
/// Who scans in its midst, how many ports, and after how many frames of others the next: so many that each place for a source has been
/// taken by another meanwhile.
const SCANNER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
const PORTS: u32 = 30;
const BETWEEN: u32 = 80_000;
const FIRST_PORT: u32 = 1_000;
const BEGINS: u32 = FRAMES / 2;

pub(crate) fn measure(binary: &Path) -> Result<Vec<Figure>> {
    eprintln!("flood: {FRAMES} sources");
    let front = Front::of(Host::with_binary(binary)).guarded("attach: tc");
    let host = &front.host;
    let pins = Pins::new(&host.pins);
    let program = AttachedProgram::open(&pins, PROGRAM)?;
    let journal = host.path("journal");
    let resident = settled_kibibytes(host)?;
    let before = (
        Counters::read(&pins)?,
        pins.memory()?,
        bytes_below(&journal)?,
    );
    forget_peak(host)?;
    let began = Instant::now();
    flood(&program)?;
    let took = began.elapsed().as_secs_f64();
    // Whatever was told before that has been read by then too.
    let record = front.record_of(&format!("{SCANNER}/32"));
    let settled = settled_kibibytes(host)?;
    let peak = kibibytes(host, "VmHWM:")?;
    let after = (
        Counters::read(&pins)?,
        pins.memory()?,
        bytes_below(&journal)?,
    );
    let counted = counted(&front, &before.0, &after.0)?;
    let ports = record["evidence"]["inbound"]["ports"].as_array();
    let last = ports.and_then(|ports| ports.iter().filter_map(Value::as_u64).max());
    let probes = last.context("ports in the record")? + 1 - u64::from(FIRST_PORT);
    let megabytes = |kibibytes: f64| (kibibytes - resident) * 1024.0 / 1e6;
    Ok(vec![Figure {
        key: "inbound.memory_growth",
        what: "agent memory growth by 10,000,000 SYNs of made-up sources".to_owned(),
        value: megabytes(settled),
        unit: "MB",
        spread: format!(
            "{:.2} MB at most meanwhile; {:.1} kB of kernel maps and {:.1} kB of journal more; {counted}, in {took:.0} s; a scan in their \
             midst was found by {probes} probes, 80,000 others apart",
            megabytes(peak),
            (real(after.1) - real(before.1)) / 1e3,
            (real(after.2) - real(before.2)) / 1e3,
        ),
        floor: Some(5.0),
        aim: Some(1.0),
    }])
}

/// Makes sure that the kernel has counted all of it, that nothing was lost, and that the agent says so. In words.
fn counted(front: &Front, before: &Counters, after: &Counters) -> Result<String> {
    let contacts = after.inbound_contacts - before.inbound_contacts;
    let evicted = after.inbound_evicted - before.inbound_evicted;
    let lost = after.inbound_lost - before.inbound_lost;
    // Some addresses are drawn twice, and the table of sources holds 65,536.
    let (least, most) = (u64::from(FRAMES) / 100 * 99, u64::from(FRAMES));
    ensure!(
        contacts > least && evicted > least && evicted <= most && lost == 0,
        "{contacts} first contacts were counted, {evicted} sources forgotten, and {lost} events lost"
    );
    let shown = [
        front.counter("inbound_contacts"),
        front.counter("inbound_evicted"),
        front.series("hayward_checked_total{guard=\"inbound\"}"),
        front.series("hayward_inbound_sources_evicted_total"),
    ];
    let (contacts_now, evicted_now) = (after.inbound_contacts, after.inbound_evicted);
    ensure!(
        shown == [contacts_now, evicted_now, contacts_now, evicted_now],
        "status and metrics say {shown:?} of {contacts_now} first contacts and {evicted_now} that were forgotten"
    );
    Ok(format!(
        "{contacts} first contacts counted, {evicted} sources forgotten"
    ))
}

/// Runs the program on all frames, and on those of the scan among them.
fn flood(program: &AttachedProgram) -> Result<()> {
    let mut random = Random(1);
    for number in 0..FRAMES {
        let (source, rest) = random.source();
        let port = u16::try_from(rest & 0xffff)?;
        let mut frame = segment(source, port, SYN);
        vary(&mut frame, rest >> 16);
        program.run(&frame)?;
        let probe = number.checked_sub(BEGINS);
        if let Some(probe) = probe.filter(|probe| probe % BETWEEN == 0 && probe / BETWEEN < PORTS) {
            let port = u16::try_from(FIRST_PORT + probe / BETWEEN)?;
            program.run(&segment(SCANNER, port, SYN))?;
        }
    }
    Ok(())
}

/// Another source port and sequence number, as each sender has its own.
fn vary(frame: &mut [u8], bits: u64) {
    let bits = bits.to_be_bytes();
    frame[34..36].copy_from_slice(&bits[2..4]);
    frame[38..42].copy_from_slice(&bits[4..8]);
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// An address that somebody may have, and further bits.
    fn source(&mut self) -> (Ipv4Addr, u64) {
        loop {
            let bits = (self.next() >> 32) as u32;
            let address = Ipv4Addr::from_bits(bits);
            let is_source = (1..224).contains(&address.octets()[0]) && !address.is_loopback();
            if is_source && address != SCANNER {
                return (address, self.next());
            }
        }
    }
}

/// Has the kernel count anew how much memory the agent has had at most.
fn forget_peak(host: &Host) -> Result<()> {
    let agent = host.agent.as_ref().context("no agent")?;
    fs::write(format!("/proc/{}/clear_refs", agent.id()), "5").context("/proc/PID/clear_refs")
}

fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            bytes_below(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}
