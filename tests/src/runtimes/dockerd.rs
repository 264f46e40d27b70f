//! dockerd, over a containerd of the test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{Containerd, Daemon, Place, archive};

/// dockerd, with the image of the tests.
#[derive(Debug)]
pub struct Dockerd {
    /// Its socket.
    pub socket: PathBuf,
    /// What it runs containers with.
    pub containerd: Containerd,
    daemon: Option<Daemon>,
}

impl Dockerd {
    /// Starts both.
    pub fn new(place: &Place) -> Self {
        fs::write(place.path("docker.json"), "{}").expect("settings");
        let mut dockerd = Self {
            socket: place.path("docker.sock"),
            containerd: Containerd::bare(place),
            daemon: None,
        };
        dockerd.restart(place);
        let archive = archive(place);
        dockerd.docker(place, &["load", "--input", &archive.to_string_lossy()]);
        dockerd
    }

    /// Runs a command of Docker's, and hands over what it wrote.
    pub fn docker(&self, place: &Place, arguments: &[&str]) -> String {
        let host = format!("unix://{}", self.socket.display());
        let arguments = [&["--host", host.as_str()], arguments].concat();
        place.run("docker", &arguments)
    }

    /// The same for one that may fail, and says how it ended.
    pub fn try_docker(&self, place: &Place, arguments: &[&str]) -> Output {
        let output = docker(place, &self.socket).args(arguments).output();
        output.expect("nsenter")
    }

    /// Kills it. Its containers go on.
    pub fn kill(&mut self) {
        self.daemon.take().expect("it runs").kill();
    }

    /// Starts it again.
    pub fn restart(&mut self, place: &Place) {
        let mut command = place.command("dockerd");
        command
            .arg("--config-file")
            .arg(place.path("docker.json"))
            .arg("--host")
            .arg(format!("unix://{}", self.socket.display()))
            .arg("--containerd")
            .arg(&self.containerd.socket)
            .arg("--data-root")
            .arg(place.path("docker"))
            .args(["--cgroup-parent", &place.cgroup])
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args([
                "--storage-driver",
                "vfs",
                "--bridge",
                "none",
                "--live-restore",
            ])
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
            ])
            .args(["--userland-proxy=false", "--oom-score-adjust=0"]);
        self.daemon = Some(Daemon::start(place, command, "dockerd", &self.socket));
    }
}

/// Docker's client, for the daemon behind a socket.
pub(super) fn docker(place: &Place, socket: &Path) -> Command {
    let mut command = place.command("docker");
    command
        .arg("--host")
        .arg(format!("unix://{}", socket.display()));
    command
}
