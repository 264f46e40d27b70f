//! What the `randomx` guard adds to a context switch, and what its interruptions take.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write, pipe, stdin, stdout},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use hayward_kernel::{AFFORDABLE_CALLS, Cell, Kernel, Nudger, Pins, Statistics, Windows};
use hayward_model::{Guard, Mode, ScopePolicy};
use rustix::{
    event::{PollFd, PollFlags, poll},
    thread::{CpuSet, sched_setaffinity},
};

use crate::{
    figure::Figure,
    place,
    sample::{Samples, real},
};

const PAIRS: usize = 120;
/// How long two processes hand each other a byte, in one half of a pair.
const HALF: Duration = Duration::from_secs(1);
/// As the agent does it; see `sensor.rs` there.
const TURN: Duration = Duration::from_millis(500);
const BATCHES: usize = 40;
/// There and back again, so often between two looks at the clock.
const BATCH: u32 = 100;
/// As often as a processor is ever interrupted; see `steer.rs` of the agent.
const OFTEN: u32 = 160;
const NUDGED_FOR: Duration = Duration::from_secs(10);
/// No instance of programs has this number.
const NO_INSTANCE: u64 = u64::MAX - 1;

pub(crate) fn measure(binary: &Path) -> Result<Vec<Figure>> {
    eprintln!("switch: twice {PAIRS} pairs of {HALF:?} over a pipe");
    let host = place::host(binary);
    let policy = ScopePolicy::of(Guard::Command, Mode::Enforce).with(Guard::Randomx, Mode::Enforce);
    let mut kernel = place::kernel(&host, policy, Vec::new())?;
    if let Some(error) = kernel.failure(Guard::Randomx) {
        anyhow::bail!("{error}");
    }
    kernel.activate()?;
    let mut pong = PingPong::start(&host.inside, false)?;
    let ratios = pairs(&mut kernel, &mut pong)?;
    drop(pong);
    let mut pong = PingPong::start(&host.inside, true)?;
    let pinned = pairs(&mut kernel, &mut pong)?;

    let counting = Statistics::enable()?;
    kernel.attach_sensor()?;
    let instance = kernel.cells().get(Cell::ActiveInstance)?;
    let mut beyond = Vec::new();
    for _ in 0..BATCHES {
        let mut ns = |instance| -> Result<f64> {
            kernel.cells().set(Cell::ActiveInstance, instance)?;
            let before = kernel.sensor_run_time()?;
            pong.run(HALF / 10, || Ok(HALF))?;
            let after = kernel.sensor_run_time()?;
            Ok(real(after.ns - before.ns) / real(after.runs - before.runs))
        };
        beyond.push(ns(instance)? - ns(NO_INSTANCE)?);
    }
    drop(counting);
    drop(pong);
    drop(kernel);
    hayward_kernel::uninstall(&Pins::new(&host.pins))?;
    let beyond = Samples::new(beyond);
    let share = nudging()?;
    Ok(vec![
        Figure {
            key: "randomx.switch_ns",
            what: "kernel time per switch event, beyond the program when it returns at once"
                .to_owned(),
            value: beyond.median(),
            unit: "ns",
            spread: beyond.spread(1),
            floor: Some(100.0),
            aim: Some(40.0),
        },
        Figure {
            key: "randomx.switch_ratio",
            what: "two processes over a pipe, with the guard's sensor against without".to_owned(),
            value: ratios.median(),
            unit: "",
            spread: ratios.spread(4),
            floor: Some(1.02),
            aim: Some(1.005),
        },
        Figure {
            key: "randomx.switch_ratio_pinned",
            what: "the same on one processor, where a switch takes least".to_owned(),
            value: pinned.median(),
            unit: "",
            spread: pinned.spread(4),
            floor: None,
            aim: None,
        },
        Figure {
            key: "randomx.nudge_pct",
            what: format!(
                "interrupting a busy processor {OFTEN} times a second, of that processor"
            ),
            value: share,
            unit: "%",
            spread: format!("the threads' own time, over {} s", NUDGED_FOR.as_secs()),
            floor: Some(0.2),
            aim: Some(0.05),
        },
    ])
}

/// What a round trip takes with the sensor attached as long as it may be, against what it takes without, in turns.
fn pairs(kernel: &mut Kernel, pong: &mut PingPong) -> Result<Samples> {
    let mut ratios = Vec::new();
    let mut turns = Turns {
        kernel,
        windows: Windows::default(),
        share: 1.0,
        attached_at: None,
    };
    // Only now is it known for how long it may be attached.
    pong.run(HALF, || turns.next())?;
    for pair in 0..PAIRS {
        // Which comes first changes, so that a drift of the machine counts for both.
        let mut times = [0.0; 2];
        for with in [pair % 2, 1 - pair % 2] {
            times[with] = if with == 1 {
                pong.run(HALF, || turns.next())?
            } else {
                turns.end();
                pong.run(HALF, || Ok(HALF))?
            };
        }
        ratios.push(times[1] / times[0]);
    }
    turns.end();
    eprintln!("switch: attached for {:.3} of the time", turns.share);
    Ok(Samples::new(ratios))
}

/// The sensor comes and goes, as the agent has it.
struct Turns<'a> {
    kernel: &'a mut Kernel,
    windows: Windows,
    share: f64,
    attached_at: Option<Instant>,
}

impl Turns<'_> {
    /// Attaches the sensor or takes it away, and says for how long it stays so.
    fn next(&mut self) -> Result<Duration> {
        if let Some(at) = self.attached_at.take() {
            let seen = self.kernel.rounding_by_processor()?;
            self.share = self.windows.share(&seen, at.elapsed(), AFFORDABLE_CALLS);
            if self.share < 1.0 {
                self.kernel.detach_sensor();
                return Ok(TURN.mul_f64(1.0 - self.share));
            }
        }
        self.kernel.attach_sensor()?;
        self.attached_at = Some(Instant::now());
        Ok(TURN.mul_f64(self.share))
    }

    fn end(&mut self) {
        self.attached_at = None;
        self.kernel.detach_sensor();
    }
}

/// The share of a processor that its nudging thread uses, in hundredths, while something else keeps it busy.
fn nudging() -> Result<f64> {
    let busy = std::thread::spawn(|| {
        let began = Instant::now();
        while began.elapsed() < NUDGED_FOR + Duration::from_secs(3) {
            std::hint::spin_loop();
        }
    });
    let nudger = Nudger::start(None)?;
    for processor in nudger.processors() {
        nudger.set_rate(processor, OFTEN);
    }
    // What they had saved is spent then.
    std::thread::sleep(Duration::from_secs(2));
    let before = nudgers_time()?;
    std::thread::sleep(NUDGED_FOR);
    let after = nudgers_time()?;
    let processors = nudger.processors().count();
    drop(nudger);
    let _ = busy.join();
    let used = Duration::from_nanos(after - before).as_secs_f64();
    Ok(used / NUDGED_FOR.as_secs_f64() * 100.0 / real(processors as u64))
}

/// Nanoseconds on a processor, of all threads with that name.
fn nudgers_time() -> Result<u64> {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.starts_with("nudge-") {
            let text = fs::read_to_string(task.join("schedstat"))?;
            let ns = text
                .split_whitespace()
                .next()
                .and_then(|ns| ns.parse::<u64>().ok());
            total += ns.context("schedstat")?;
        }
    }
    Ok(total)
}

/// Two processes in the cgroup that hand each other a byte.
struct PingPong {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl PingPong {
    fn start(cgroup: &Path, pinned: bool) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("ping-pong")
            .arg(cgroup)
            .args(pinned.then_some("--pinned"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
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

    /// Seconds for one round trip, over some time. `meanwhile` says when it wants to be called again.
    fn run(
        &mut self,
        time: Duration,
        mut meanwhile: impl FnMut() -> Result<Duration>,
    ) -> Result<f64> {
        writeln!(self.input, "{}", time.as_millis())?;
        self.input.flush()?;
        loop {
            let timeout = meanwhile()?.try_into()?;
            let answer = PollFd::new(self.output.get_ref(), PollFlags::IN);
            if poll(&mut [answer], Some(&timeout))? > 0 {
                break;
            }
        }
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().context("the answer")
    }
}

impl Drop for PingPong {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug, Args)]
pub(crate) struct PingPongHelper {
    /// The cgroup to join.
    cgroup: PathBuf,
    /// Both stay on one processor.
    #[arg(long)]
    pinned: bool,
}

impl PingPongHelper {
    /// Joins the cgroup with a child; each line of standard input says for how many milliseconds.
    pub(crate) fn run(&self) -> Result<()> {
        fs::write(self.cgroup.join("cgroup.procs"), "0")?;
        if self.pinned {
            let mut processors = CpuSet::new();
            processors.set(0);
            sched_setaffinity(None, &processors)?;
        }
        let (there_end, mut there) = pipe()?;
        let (mut back, back_end) = pipe()?;
        let mut echo = Command::new(std::env::current_exe()?)
            .arg("echo-bytes")
            .stdin(there_end)
            .stdout(back_end)
            .spawn()?;
        for line in stdin().lock().lines() {
            let time = Duration::from_millis(line?.parse()?);
            let began = Instant::now();
            let mut trips = 0;
            while began.elapsed() < time {
                for _ in 0..BATCH {
                    there.write_all(b"x")?;
                    let mut byte = [0];
                    back.read_exact(&mut byte)?;
                }
                trips += BATCH;
            }
            let mut out = stdout().lock();
            writeln!(out, "{}", began.elapsed().as_secs_f64() / f64::from(trips))?;
            out.flush()?;
        }
        echo.kill()?;
        echo.wait()?;
        Ok(())
    }
}

/// Hands every byte back.
pub(crate) fn echo_bytes() -> Result<()> {
    let mut byte = [0];
    let (mut input, mut output) = (stdin().lock(), stdout().lock());
    while input.read(&mut byte)? == 1 {
        output.write_all(&byte)?;
        output.flush()?;
    }
    Ok(())
}
