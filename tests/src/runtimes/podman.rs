//! Podman's service.

use std::path::PathBuf;

use super::{Daemon, Place, archive};

/// Podman's service, with the image of the tests.
#[derive(Debug)]
pub struct Podman {
    /// Its socket.
    pub socket: PathBuf,
    daemon: Option<Daemon>,
}

impl Podman {
    /// Starts it.
    pub fn new(place: &Place) -> Self {
        let mut podman = Self {
            socket: place.path("podman.sock"),
            daemon: None,
        };
        let archive = archive(place);
        podman.podman(place, &["load", "--input", &archive.to_string_lossy()]);
        podman.restart(place);
        podman
    }

    /// Runs a command of Podman's beside the service, as users do, and hands over what it wrote.
    pub fn podman(&self, place: &Place, arguments: &[&str]) -> String {
        let own = options(place);
        let mut all: Vec<&str> = own.iter().map(String::as_str).collect();
        all.extend(arguments);
        place.run("podman", &all)
    }

    /// Kills the service. Containers go on.
    pub fn kill(&mut self) {
        self.daemon.take().expect("it runs").kill();
    }

    /// Starts it again.
    pub fn restart(&mut self, place: &Place) {
        let mut command = place.command("podman");
        command
            .args(options(place))
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", self.socket.display()));
        self.daemon = Some(Daemon::start(place, command, "podman", &self.socket));
    }
}

fn options(place: &Place) -> Vec<String> {
    let folder = place.folder.path().display();
    [
        "--root",
        &format!("{folder}/containers"),
        "--runroot",
        "/run/containers",
        "--storage-driver",
        "vfs",
        "--runtime",
        "runc",
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "file",
    ]
    .map(str::to_owned)
    .into()
}
