//! A daemon in a [`Place`].

use std::{
    fs::OpenOptions,
    path::Path,
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Place, wait_for};

/// A daemon, which runs until it is killed or its place ends.
#[derive(Debug)]
pub(crate) struct Daemon {
    nsenter: Child,
    pid: u32,
}

impl Daemon {
    /// Starts it, and waits until its socket is there.
    pub(crate) fn start(place: &Place, mut command: Command, name: &str, socket: &Path) -> Self {
        // One that was killed leaves its own, and whether the new one is there already would not show.
        let _ = std::fs::remove_file(socket);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(place.path(&format!("{name}.log")))
            .expect("a log");
        let errors = log.try_clone().expect("a log");
        let mut nsenter = command.stdout(log).stderr(errors).spawn().expect("nsenter");
        let pid = wait_for(name, || {
            let ended = nsenter.try_wait().expect("a child");
            assert!(ended.is_none(), "{name} has ended: {}", place.logs());
            place.process_of(&nsenter).filter(|_| socket.exists())
        });
        Self { nsenter, pid }
    }

    /// Kills it by SIGKILL. What it has started goes on.
    pub(crate) fn kill(mut self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), Signal::KILL).expect("it ran");
        self.nsenter.wait().expect("it ends");
    }
}
