//! What the guards `egress` and `outbound` add to connects and packets.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write, stdin, stdout},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use hayward_kernel::{Egress, EmptyHook, EmptyProgram, Pins, RunTime, Statistics};
use hayward_model::{Allowed, Guard, Mode, Range, ScopePolicy, prefix};
use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt::set_socket_linger};

use crate::{
    figure::Figure,
    place,
    sample::{Samples, real},
};

/// Its own address in a network of its own.
const ADDRESS: &str = "10.1.0.1";
const CONNECT_PAIRS: usize = 100;
const CONNECTS: u32 = 2_000;
const BULK_PAIRS: usize = 20;
const BULK: Duration = Duration::from_secs(1);
const BATCHES: usize = 20;
pub(crate) const LIST: u16 = 7;
/// The guards' programs on packets that leave.
const PROGRAMS: [&str; 2] = ["on_packet", "on_departure"];

pub(crate) fn measure(binary: &Path) -> Result<Vec<Figure>> {
    eprintln!("network: {CONNECT_PAIRS} pairs of connects, {BULK_PAIRS} of transfers");
    let host = place::host(binary);
    let policy = ScopePolicy::OUT
        .with(Guard::Outbound, Mode::Enforce)
        .with_egress(Mode::Enforce, LIST);
    let network = vec![Guard::Egress, Guard::Outbound];
    let mut kernel = place::kernel(&host, policy, network)?;
    for guard in [Guard::Egress, Guard::Outbound] {
        if let Some(error) = kernel.failure(guard) {
            bail!("{error}");
        }
    }
    allow(&Egress::open(&Pins::new(&host.pins))?)?;
    let mut traffic = Traffic::start(&host.inside)?;
    let connects = place::pairs(&mut kernel, CONNECT_PAIRS, || traffic.connect(CONNECTS))?;
    let least = place::in_turns(CONNECT_PAIRS, empty_guards(&host.inside)?, || {
        traffic.connect(CONNECTS)
    })?;
    let bulk = place::pairs(
        &mut kernel,
        BULK_PAIRS,
        || Ok(1.0 / traffic.transfer(BULK)?),
    )?;
    let bulk = Samples::new(bulk.values().map(|ratio| 1.0 / ratio).collect());
    kernel.activate()?;
    let packets = packets(&host.pins, &host.inside, &mut traffic)?;
    drop(traffic);
    drop(kernel);
    hayward_kernel::uninstall(&Pins::new(&host.pins))?;
    Ok(vec![
        Figure {
            key: "network.connect_ratio",
            what: "connect() over loopback, with `egress` and `outbound` against without".to_owned(),
            value: connects.median(),
            unit: "",
            spread: connects.spread(3),
            floor: Some(1.05),
            aim: Some(1.02),
        },
        Figure {
            key: "network.least_connect_ratio",
            what: "the same with programs that do nothing in the place of the guards'".to_owned(),
            value: least.median(),
            unit: "",
            spread: least.spread(3),
            floor: None,
            aim: None,
        },
        Figure {
            key: "network.bulk_slowdown",
            what: "bulk TCP over loopback, without against with".to_owned(),
            value: 1.0 / bulk.median(),
            unit: "",
            spread: bulk.spread(3),
            floor: Some(1.0 / 0.97),
            aim: Some(1.0 / 0.99),
        },
        Figure {
            key: "network.packet_ns",
            what: "kernel time per packet of an established, allowed flow, of both guards together, beyond an empty program each".to_owned(),
            value: packets.median(),
            unit: "ns",
            spread: packets.spread(1),
            floor: Some(120.0),
            aim: Some(60.0),
        },
    ])
}

/// What a careful operator lets workloads reach.
pub(crate) fn allow(egress: &Egress) -> Result<()> {
    let web = Allowed::Ranges(vec![Range {
        ports: (1, 65_535),
        protocol: Some(6),
    }]);
    egress.allow(LIST, prefix("::/0".parse()?), &Allowed::Nothing)?;
    egress.allow(LIST, prefix("10.0.0.0/8".parse()?), &web)?;
    Ok(())
}

/// Attaches empty programs to a cgroup, and detaches them: as many as both guards have that a connect meets.
fn empty_guards(inside: &Path) -> Result<impl FnMut(bool) -> Result<()>> {
    let cgroup = File::open(inside)?;
    let hooks = [EmptyHook::Connect, EmptyHook::Departure, EmptyHook::Arrival];
    let mut attached = Vec::new();
    Ok(move |on| {
        attached.clear();
        if on {
            for hook in hooks.into_iter().chain(hooks) {
                attached.push(EmptyProgram::attach(&cgroup, hook)?);
            }
        }
        Ok(())
    })
}

/// Ns for each packet that leaves, beyond what an empty program takes.
fn packets(pins: &Path, inside: &Path, traffic: &mut Traffic) -> Result<Samples> {
    let statistics = Statistics::enable()?;
    let empty = EmptyProgram::attach(&File::open(inside)?, EmptyHook::Departure)?;
    let pins = Pins::new(pins);
    let mut beyond = Vec::new();
    for _ in 0..BATCHES {
        let look = || -> Result<Vec<RunTime>> {
            let mut looks = vec![empty.run_time()?];
            for program in PROGRAMS {
                looks.push(statistics.of_attached(&pins, program)?);
            }
            Ok(looks)
        };
        let before = look()?;
        traffic.transfer(BULK / 4)?;
        let after = look()?;
        let each: Vec<f64> = before
            .iter()
            .zip(&after)
            .map(|(before, after)| real(after.ns - before.ns) / real(after.runs - before.runs))
            .collect();
        beyond.push(each[1..].iter().map(|ns| ns - each[0]).sum());
    }
    Ok(Samples::new(beyond))
}

/// A process in a cgroup, with a network of its own, that connects and transfers to itself when it is asked to.
#[derive(Debug)]
struct Traffic {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Traffic {
    fn start(cgroup: &Path) -> Result<Self> {
        let script = format!(
            "busybox ip link set lo up && busybox ip addr add {ADDRESS}/32 dev lo && exec \"$@\""
        );
        let mut child = Command::new("unshare")
            .args(["-n", "sh", "-c", &script, "sh"])
            .arg(std::env::current_exe()?)
            .arg("traffic")
            .arg(cgroup)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("unshare, which stands in the package util-linux")?;
        let (input, output) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .context("pipes")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    fn ask(&mut self, question: &str) -> Result<f64> {
        writeln!(self.input, "{question}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().context("the answer of the helper")
    }

    /// Ns for each connect.
    fn connect(&mut self, count: u32) -> Result<f64> {
        self.ask(&format!("connect {count}"))
    }

    /// Bytes a second.
    fn transfer(&mut self, time: Duration) -> Result<f64> {
        self.ask(&format!("transfer {}", time.as_millis()))
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, Args)]
pub(crate) struct TrafficHelper {
    /// The cgroup to join.
    cgroup: PathBuf,
}

impl TrafficHelper {
    /// Joins the cgroup, then does what each line of standard input asks.
    pub(crate) fn run(&self) -> Result<()> {
        fs::write(self.cgroup.join("cgroup.procs"), "0")?;
        let listener = TcpListener::bind((ADDRESS, 80))?;
        let sink = TcpListener::bind((ADDRESS, 81))?;
        thread::spawn(move || swallow(&sink));
        for line in stdin().lock().lines() {
            let line = line?;
            let (what, number) = line.split_once(' ').context("two words")?;
            let number: u32 = number.parse()?;
            let answer = match what {
                "connect" => connects(&listener, number)?,
                _ => transfer(Duration::from_millis(u64::from(number)))?,
            };
            let mut out = stdout().lock();
            writeln!(out, "{answer}")?;
            out.flush()?;
        }
        Ok(())
    }
}

/// Ns for each; ports do not run out, since both ends are reset.
fn connects(listener: &TcpListener, count: u32) -> Result<f64> {
    let peer = SocketAddr::new(ADDRESS.parse()?, 80);
    let mut total = Duration::ZERO;
    for _ in 0..count {
        let made = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        let began = Instant::now();
        connect(&made, &peer)?;
        total += began.elapsed();
        let stream = TcpStream::from(made);
        set_socket_linger(&stream, Some(Duration::ZERO))?;
        drop(stream);
        drop(listener.accept()?);
    }
    Ok(total.as_secs_f64() * 1e9 / f64::from(count))
}

fn swallow(listener: &TcpListener) {
    let mut bytes = vec![0; 1 << 18];
    while let Ok((mut stream, _)) = listener.accept() {
        while std::io::Read::read(&mut stream, &mut bytes).is_ok_and(|length| length > 0) {}
    }
}

/// Bytes a second.
fn transfer(time: Duration) -> Result<f64> {
    let mut stream = TcpStream::connect((ADDRESS, 81))?;
    let bytes = vec![0; 1 << 17];
    let (began, mut sent) = (Instant::now(), 0.0);
    while began.elapsed() < time {
        stream.write_all(&bytes)?;
        sent += 131_072.0;
    }
    Ok(sent / began.elapsed().as_secs_f64())
}
