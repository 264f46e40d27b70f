//! One virtual machine, from power-on to power-off.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    kernel::Kernel,
    report::{Markers, Test},
    say,
};

/// How long a machine may go without ending a test. A limit on the whole would fail a machine for what runs beside it.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How often the console is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// `bpf` is in no Debian kernel's own list of security modules.
const KERNEL_ARGUMENTS: &str = "quiet panic=-1 lsm=landlock,lockdown,yama,bpf";

/// What a machine did.
pub(crate) struct Session {
    /// All that it wrote.
    pub(crate) console: String,
    /// Tests, with the seconds from the one before to this one.
    pub(crate) tests: Vec<(Test, f64)>,
    /// From power-on to power-off.
    pub(crate) seconds: f64,
    timed_out: bool,
}

impl Session {
    /// Why this is not a pass; none where it is one.
    pub(crate) fn problem(&self) -> Option<String> {
        let problem = Markers::read(&self.console).problem();
        if self.timed_out {
            let seconds = TIMEOUT.as_secs();
            let also = problem.unwrap_or("all tests had passed".to_owned());
            return Some(format!("nothing ended for {seconds} s; {also}"));
        }
        problem
    }
}

/// Boots a kernel and waits for its end. The console stays in `folder`.
pub(crate) fn boot(kernel: &Kernel, folder: &Path, image: &Path, initrd: &Path) -> Result<Session> {
    let log = folder.join("console.log");
    let mut machine = start(&log, kernel, image, initrd)?;
    let started = Instant::now();
    let mut tests = Vec::new();
    let mut last = started;
    loop {
        // Asked before the console is read, so that nothing is missed that was written at the very end.
        let ended = machine.try_wait().context("wait for qemu")?.is_some();
        let console = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        for test in Markers::read(&console).tests.into_iter().skip(tests.len()) {
            tell(kernel.name, &test);
            tests.push((test, last.elapsed().as_secs_f64()));
            last = Instant::now();
        }
        let timed_out = !ended && last.elapsed() > TIMEOUT;
        if timed_out {
            machine.kill().context("stop qemu")?;
            machine.wait().context("wait for qemu")?;
        }
        if ended || timed_out {
            return Ok(Session {
                console,
                tests,
                seconds: started.elapsed().as_secs_f64(),
                timed_out,
            });
        }
        sleep(LOOK_AGAIN);
    }
}

fn start(log: &Path, kernel: &Kernel, image: &Path, initrd: &Path) -> Result<Child> {
    let console = fs::File::create(log).with_context(|| format!("write {}", log.display()))?;
    let architecture = kernel.architecture;
    let emulator = architecture.emulator();
    Command::new(emulator)
        .args(architecture.machine())
        .args(["-m", kernel.memory, "-smp", "2"])
        // Emulated everywhere: `-cpu max` does not start under every nested KVM, and an emulated machine takes seconds.
        // Processors take turns. Where each has a thread, QEMU throws away what it translated before the store that changed
        // the code: another thread may translate the old code in between, and keep it. Kernels that switch a static key
        // (cpu.max does) then die of a breakpoint that is no longer there, or hang.
        .args(["-accel", "tcg,thread=single"])
        .args(["-nographic", "-no-reboot", "-nic", "none"])
        .arg("-append")
        .arg(format!(
            "console={} {KERNEL_ARGUMENTS} {}",
            architecture.console(),
            kernel.arguments
        ))
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(initrd)
        .stdin(Stdio::null())
        .stderr(console.try_clone()?)
        .stdout(console)
        .spawn()
        .with_context(|| format!("start {emulator}; tools/install-test-deps installs it"))
}

fn tell(name: &str, test: &Test) {
    match &test.failure {
        None => say(name, &format!("ok    {}", test.name)),
        Some(why) => say(name, &format!("FAIL  {}: {why}", test.name)),
    }
}
