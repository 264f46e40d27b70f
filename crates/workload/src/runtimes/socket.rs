//! Sockets of runtimes: where they are, and whose.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::process::geteuid;
use tokio::net::UnixStream;

use super::{Api, Problem};
use crate::Owner;

/// Where root's runtimes have theirs.
pub(super) const USUAL: [(Api, &str); 6] = [
    (Api::Cri, "/run/containerd/containerd.sock"),
    (Api::Cri, "/run/k3s/containerd/containerd.sock"),
    (Api::Cri, "/run/crio/crio.sock"),
    (Api::Cri, "/run/cri-dockerd.sock"),
    (Api::Docker, "/run/docker.sock"),
    (Api::Docker, "/run/podman/podman.sock"),
];

/// Where users have their folders, named by uid.
pub(super) const USERS: &str = "/run/user";

/// Where runtimes without root have theirs, in the folder of their user.
const USUAL_OF_USERS: [&str; 2] = ["podman/podman.sock", "docker.sock"];

/// A socket to follow.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(super) path: PathBuf,
    pub(super) api: Api,
    /// The user in whose folder it was found.
    pub(super) user: Option<u32>,
    /// The number of its runtime, by which the directory knows whose list a container is in.
    pub(super) source: u32,
}

impl Socket {
    /// Connects, and says whose containers are behind it. The kernel tells who listens; the path does not, since users
    /// may put links into their folders.
    pub(super) async fn connect(&self) -> Result<(UnixStream, Owner), Problem> {
        let told = |error: std::io::Error| error.to_string();
        let stream = UnixStream::connect(&self.path).await.map_err(told)?;
        let uid = stream.peer_cred().map_err(told)?.uid();
        if let Some(user) = self.user
            && uid != user
        {
            return Err(format!("uid {uid} listens in the folder of uid {user}"));
        }
        // The agent's own, which is root's but in tests.
        let owner = if self.user.is_none() && (uid == 0 || uid == geteuid().as_raw()) {
            Owner::Host
        } else {
            Owner::User(uid)
        };
        Ok((stream, owner))
    }
}

/// The sockets in users' folders, with the uid.
pub(crate) fn in_users_folders(users: &Path) -> Vec<(u32, PathBuf)> {
    let folders = fs::read_dir(users).into_iter().flatten();
    folders
        .filter_map(Result::ok)
        .filter_map(|folder| {
            let uid: u32 = folder.file_name().to_str()?.parse().ok()?;
            Some((uid, folder.path()))
        })
        .flat_map(|(uid, folder)| USUAL_OF_USERS.map(|name| (uid, folder.join(name))))
        .filter(|(_, path)| path.exists())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_sockets_are_found_by_uid() {
        let run = tempfile::tempdir().expect("a folder");
        for path in ["1000/podman", "1001", "root/podman"] {
            fs::create_dir_all(run.path().join(path)).expect("a folder");
        }
        for path in [
            "1000/podman/podman.sock",
            "1001/docker.sock",
            "root/podman/podman.sock",
        ] {
            fs::write(run.path().join(path), "").expect("a file");
        }
        let mut found = in_users_folders(run.path());
        found.sort();
        assert_eq!(
            found,
            [
                (1000, run.path().join("1000/podman/podman.sock")),
                (1001, run.path().join("1001/docker.sock")),
            ]
        );
        assert_eq!(in_users_folders(&run.path().join("nowhere")), []);
    }
    #[tokio::test]
    async fn the_kernel_says_whose_containers_are_behind_a_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let _listener = tokio::net::UnixListener::bind(&path).expect("a socket");
        let own = geteuid().as_raw();
        let connect = async |user| {
            let socket = Socket {
                path: path.clone(),
                api: Api::Docker,
                user,
                source: 0,
            };
            socket.connect().await.map(|(_, owner)| owner)
        };
        assert_eq!(connect(None).await, Ok(Owner::Host));
        assert_eq!(connect(Some(own)).await, Ok(Owner::User(own)));
        let other = connect(Some(own + 1)).await.expect_err("a link, perhaps");
        assert!(other.contains("listens in the folder of"), "{other}");
    }
}
