//! containerd, which serves CRI too.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Daemon, IMAGE, Place, archive};

/// containerd, with the image of the tests.
#[derive(Debug)]
pub struct Containerd {
    /// Its socket.
    pub socket: PathBuf,
    daemon: Option<Daemon>,
}

impl Containerd {
    /// Starts it, without an image.
    pub fn bare(place: &Place) -> Self {
        let socket = place.path("containerd.sock");
        fs::write(place.path("containerd.toml"), settings(place, &socket)).expect("settings");
        let mut containerd = Self {
            socket,
            daemon: None,
        };
        containerd.restart(place);
        containerd
    }

    /// Starts it, with the image.
    pub fn new(place: &Place) -> Self {
        let containerd = Self::bare(place);
        containerd.import(place, &archive(place));
        containerd
    }

    /// Takes the images of an archive.
    pub fn import(&self, place: &Place, archive: &Path) {
        let socket = self.socket.to_string_lossy();
        let image = archive.to_string_lossy();
        let import = [
            "--address",
            &socket,
            "--namespace",
            "k8s.io",
            "images",
            "import",
            "--snapshotter",
            "native",
            &image,
        ];
        place.run("ctr", &import);
    }

    /// Kills it. Its containers go on.
    pub fn kill(&mut self) {
        self.daemon.take().expect("it runs").kill();
    }

    /// Starts it again.
    pub fn restart(&mut self, place: &Place) {
        let mut command = place.command("containerd");
        command.arg("--config").arg(place.path("containerd.toml"));
        self.daemon = Some(Daemon::start(place, command, "containerd", &self.socket));
    }
}

/// Nothing of the host's own. Hosts in virtual machines may not let it lower a process's score for the OOM killer.
fn settings(place: &Place, socket: &Path) -> String {
    let folder = place.folder.path().display();
    format!(
        r#"version = 2
root = "{folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
"#,
        socket = socket.display()
    )
}
