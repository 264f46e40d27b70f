//! `hayward judge pcap`: what the guards on the network would have found in a capture.

use std::{
    fs::File,
    io::{self, BufReader, IsTerminal, Read, Write},
    path::Path,
    time::{Duration, Instant},
};

use hayward_agent::{inbound_limits, nobody, outbound_limits};
use hayward_capture::{CaptureError, Inside, Limits, Player, Reader, Seen, Summary, any_inside};
use hayward_model::{Evidence, Mode, prefix};
use hayward_policy::Policy;
use serde_json::{Value, json};

use crate::{
    cli::PcapArguments,
    failure::{Failure, bad_file},
    show,
};

/// How often it is said how far a long capture has been judged, and after how many packets it is looked whether to.
const PROGRESS: Duration = Duration::from_secs(1);
const PACKETS: u64 = 1 << 14;
/// What is read of a file at a time.
const BUFFER: usize = 1 << 18;

pub(crate) fn judge(arguments: &PcapArguments, json: bool) -> Result<(), Failure> {
    let policy = Policy::load(arguments.config.file().as_deref())?;
    for file in &arguments.files {
        judge_file(file, arguments, &policy, json)?;
    }
    Ok(())
}

fn judge_file(
    file: &Path,
    arguments: &PcapArguments,
    policy: &Policy,
    json: bool,
) -> Result<(), Failure> {
    let inside = inside(file, arguments)?;
    let once: Vec<_> = policy
        .outbound
        .reachable
        .iter()
        .copied()
        .map(prefix)
        .collect();
    let domains = policy.pool.domains.iter().map(String::as_str);
    let limits = Limits {
        outbound: outbound_limits(&policy.outbound),
        inbound: inbound_limits(&policy.inbound, Mode::Observe),
    };
    let mut player = Player::new(inside, &limits, domains, &nobody(), &once);
    let (input, size) = open(file)?;
    let mut reader = Reader::new(input).map_err(|error| cannot(file, &error))?;
    let mut progress = Progress::new(size);
    let ended = loop {
        match reader.next() {
            Ok(Some(record)) => {
                let seen = player.take(&record);
                if !seen.is_empty() {
                    progress.clear();
                }
                seen.iter().for_each(|seen| tell(file, seen, json));
            }
            Ok(None) => break None,
            Err(CaptureError::Io(error)) => return Err(cannot(file, &CaptureError::Io(error))),
            Err(error) => break Some(error),
        }
        progress.passed(reader.offset());
    };
    progress.clear();
    for seen in player.end() {
        tell(file, &seen, json);
    }
    let summary = player.summary();
    if json {
        show::line(&summary_json(file, &summary, ended.as_ref()).to_string());
    } else {
        show::line(&summary_text(file, &summary));
    }
    if let Some(error) = ended {
        eprintln!(
            "hayward: {}: {error}; what is before that was judged (capture again, or cut it there with editcap)",
            file.display()
        );
    }
    if summary.workloads == 0 && summary.packets > 0 {
        eprintln!(
            "hayward: {}: no packet is of an address inside; name your own with --inside",
            file.display()
        );
    }
    Ok(())
}

fn cannot(file: &Path, error: &CaptureError) -> Failure {
    let help = match error {
        CaptureError::Io(_) => "check the path and its permissions",
        _ => "name a capture of tcpdump or Wireshark (pcap, pcapng), unpacked",
    };
    bad_file(file, error.to_string(), help)
}

/// The file, and how long it is where that is known.
fn open(file: &Path) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if file == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let opened = File::open(file).map_err(|error| cannot(file, &error.into()))?;
    let size = opened.metadata().ok().filter(std::fs::Metadata::is_file);
    let input = BufReader::with_capacity(BUFFER, opened);
    Ok((Box::new(input), size.map(|metadata| metadata.len())))
}

/// Whose packets are judged. A file is looked over for that; of what is piped in, it cannot be.
fn inside(file: &Path, arguments: &PcapArguments) -> Result<Inside, Failure> {
    if !arguments.inside.is_empty() {
        return Ok(Inside::of(arguments.inside.iter().copied()));
    }
    let private = Inside::private();
    let is_file = std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file());
    if !is_file {
        return Ok(private);
    }
    let mut reader = Reader::new(open(file)?.0).map_err(|error| cannot(file, &error))?;
    Ok(if any_inside(&private, &mut reader) {
        private
    } else {
        Inside::All
    })
}

fn tell(file: &Path, seen: &Seen, json: bool) {
    let time = jiff::Timestamp::from_nanosecond(seen.at.into()).unwrap_or_default();
    if json {
        let finding = json!({
            "file": file.display().to_string(), "time": time, "guard": seen.guard, "source": seen.source,
            "at_end": seen.at_end, "evidence": seen.evidence,
        });
        return show::line(&finding.to_string());
    }
    let time = time.strftime("%Y-%m-%d %H:%M:%S%.3f");
    let guard = show::found(&format!("{:8}", seen.guard.name()));
    let why = show::printable(&why(&seen.evidence));
    let end = if seen.at_end {
        " (what waited at the capture's end counts as silent)"
    } else {
        ""
    };
    show::line(&format!("{time}  {guard}  {}  {why}{end}", seen.source));
}

fn why(evidence: &Evidence) -> String {
    if let Some(inbound) = &evidence.inbound {
        return format!("scans: {}", hayward_detect::probes(inbound));
    }
    let destination = evidence.destination.as_ref().map(ToString::to_string);
    let mut text = match (&evidence.scan, &evidence.pool) {
        (Some(scan), _) => {
            let mut text = format!(
                "scans: {}, {} ({} answered, {} refused, {} silent, {} waiting)",
                scan.limit,
                show::count_of(scan.contacts.into(), "contact"),
                scan.answered,
                scan.refused,
                scan.silent,
                scan.waiting
            );
            if !scan.destinations.is_empty() {
                let all: Vec<_> = scan.destinations.iter().map(ToString::to_string).collect();
                text.push_str(&format!(" such as {}", all.join(", ")));
            }
            text
        }
        (_, Some(pool)) => {
            let said = if pool.dialect.is_name() {
                "name of a pool"
            } else {
                "mines"
            };
            let dialect = serde_json::to_value(pool.dialect).unwrap_or_default();
            let dialect = dialect.as_str().unwrap_or_default();
            format!("{said}: {dialect}, {} {}", pool.direction, pool.message)
        }
        _ => String::new(),
    };
    if let Some(destination) = destination {
        text.push_str(&format!("; {destination}"));
    }
    text
}

fn summary_json(file: &Path, summary: &Summary, ended: Option<&CaptureError>) -> Value {
    let unread = summary.unread.iter();
    let unread = unread.map(|(why, count)| (why.to_string(), json!(count)));
    let unread: serde_json::Map<_, _> = unread.collect();
    json!({ "file": file.display().to_string(), "summary": {
        "packets": summary.packets, "seconds": seconds(summary), "workloads": summary.workloads, "flows": summary.flows,
        "contacts": summary.contacts, "answered": summary.answered, "refused": summary.refused,
        "silent": summary.silent(), "findings": summary.findings, "repeated": summary.repeated,
        "not_judged": unread, "cut": summary.cut, "fragments": summary.fragments, "backwards": summary.backwards,
        "no_room": summary.no_room, "forgotten": summary.forgotten,
        "ended": ended.map(ToString::to_string),
    }})
}

fn seconds(summary: &Summary) -> f64 {
    Duration::from_nanos(summary.lasted).as_secs_f64()
}

fn summary_text(file: &Path, summary: &Summary) -> String {
    let count = show::count_of;
    let mut text = format!(
        "{}: {} in {} of {:.1} s\n  {}, {}, {}: {} answered, {} refused, {} silent",
        file.display(),
        count(summary.findings, "finding"),
        count(summary.packets, "packet"),
        seconds(summary),
        count(summary.workloads, "workload"),
        count(summary.flows, "flow"),
        count(summary.contacts, "contact"),
        summary.answered,
        summary.refused,
        summary.silent()
    );
    let unread = summary.unread.iter();
    let unread: Vec<_> = unread
        .map(|(why, packets)| format!("{packets} {why}"))
        .collect();
    if !unread.is_empty() {
        text.push_str(&format!("\n  not judged: {}", unread.join(", ")));
    }
    for (number, what) in [
        (summary.repeated, "said the same again, and told once"),
        (summary.cut, "of which the capture has kept a part"),
        (summary.fragments, "later fragments"),
        (summary.backwards, "out of order in time"),
        (
            summary.no_room,
            "of addresses inside for which there was no room",
        ),
        (
            summary.forgotten,
            "flows and contacts forgotten, for others to have room",
        ),
    ] {
        if number > 0 {
            text.push_str(&format!("\n  {number} {what}"));
        }
    }
    text
}

/// How far it has come, where somebody watches and it takes a while.
struct Progress {
    size: Option<u64>,
    packets: u64,
    told: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    fn new(size: Option<u64>) -> Self {
        Self {
            size,
            packets: 0,
            told: std::io::stderr().is_terminal().then(Instant::now),
            is_shown: false,
        }
    }

    fn passed(&mut self, offset: u64) {
        self.packets += 1;
        if !self.packets.is_multiple_of(PACKETS) {
            return;
        }
        if self.told.is_none_or(|told| told.elapsed() < PROGRESS) {
            return;
        }
        self.told = Some(Instant::now());
        self.is_shown = true;
        let part = self.size.filter(|size| *size > 0);
        let part = part.map_or(String::new(), |size| {
            format!("{:3} %  ", offset * 100 / size)
        });
        eprint!("\r\x1b[K{part}{} packets", self.packets);
        let _ = io::stderr().flush();
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            eprint!("\r\x1b[K");
        }
    }
}
