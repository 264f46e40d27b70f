//! Containers get their names from real runtimes, which the tests start in namespaces of their own.

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc, thread, time::Duration};

    use hayward_model::{Runtime, Workload};
    use hayward_tests::{Containerd, Dockerd, IMAGE, Place, Podman, Pods, wait_for};
    use hayward_workload::{Api, Connection, Directory, Sockets, follow};
    use tokio::sync::oneshot;

    const UID: &str = "0c8e2f1a-1b2c-4d3e-9f00-112233445566";

    /// A directory that follows sockets, on a thread of its own.
    struct Following {
        directory: Arc<Directory>,
        stop: Option<oneshot::Sender<()>>,
        thread: Option<thread::JoinHandle<()>>,
    }

    impl Following {
        /// Follows these, and one behind which nobody is.
        fn new(sockets: &[(Api, &Path)]) -> Self {
            let directory = Arc::new(Directory::new());
            let nowhere = (Api::Cri, Path::new("/nowhere/runtime.sock"));
            let named = sockets.iter().chain([&nowhere]);
            let sockets = Sockets {
                named: named
                    .map(|(api, path)| (*api, (*path).to_owned()))
                    .collect(),
                usual: false,
            };
            let (stop, stopped) = oneshot::channel();
            let following = follow(Arc::clone(&directory), sockets);
            let thread = thread::spawn(move || {
                tokio_runtime().block_on(async {
                    tokio::select! {
                        () = following => {}
                        _ = stopped => {}
                    }
                });
            });
            Self {
                directory,
                stop: Some(stop),
                thread: Some(thread),
            }
        }

        fn is_connected(&self, socket: &Path) -> bool {
            let states = self.directory.sockets();
            let state = states.get(socket);
            state.is_some_and(|state| matches!(state.connection, Connection::Connected { .. }))
        }

        fn wait_for_connection(&self, socket: &Path) {
            wait_for("the connection", || self.is_connected(socket).then_some(()));
        }

        fn look_up(&self, id: &str) -> bool {
            let looking = self.directory.look_up(id, Duration::from_secs(2));
            tokio_runtime().block_on(looking)
        }

        /// The workload with what is known of it.
        fn filled(&self, workload: &Workload) -> Workload {
            let mut workload = workload.clone();
            self.directory.fill(&mut workload);
            workload
        }

        /// The same, once it is called so.
        fn wait_for_name(&self, workload: &Workload, name: &str) -> Workload {
            wait_for(name, || {
                Some(self.filled(workload)).filter(|workload| workload.name == name)
            })
        }
    }

    impl Drop for Following {
        fn drop(&mut self) {
            drop(self.stop.take());
            let ended = self.thread.take().map(thread::JoinHandle::join);
            assert!(ended.is_some_and(|ended| ended.is_ok()) || thread::panicking());
        }
    }

    fn tokio_runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime")
    }

    #[test]
    fn containers_of_pods_get_their_names_through_cri() {
        let place = Place::new();
        let mut containerd = Containerd::new(&place);
        let mut pods = Pods::new(&place, &containerd.socket, "jupyter-ada", UID);
        let notebook = pods.start("notebook");
        let workload = place.workload(&notebook.id);
        assert_eq!(workload.pod_uid.as_deref(), Some(UID));

        let following = Following::new(&[(Api::Cri, &containerd.socket)]);
        let named = following.wait_for_name(&workload, "hub/jupyter-ada/notebook");
        assert_eq!(named.namespace.as_deref(), Some("hub"));
        assert_eq!(named.pod.as_deref(), Some("jupyter-ada"));
        assert_eq!(named.container.as_deref(), Some("notebook"));
        assert_eq!(named.runtime, Some(Runtime::Containerd));
        assert!(named.image.is_some_and(|image| image.ends_with(IMAGE)));
        let labels: Vec<_> = named
            .labels
            .iter()
            .map(|(key, value)| (&**key, &**value))
            .collect();
        assert_eq!(labels, [("app", "hub"), ("team", "a")]);

        // One that was started since the last list.
        let late = pods.start("late");
        assert!(following.look_up(&late.id));
        let late_workload = place.workload(&late.id);
        assert_eq!(
            following.filled(&late_workload).name,
            "hub/jupyter-ada/late"
        );
        assert!(!following.look_up(&"0".repeat(64)), "nobody knows this one");

        let brief = pods.start_with("brief", &["/bin/true"]);
        pods.remove(&late);
        assert_eq!(
            following.filled(&late_workload).name,
            "hub/jupyter-ada/late"
        );

        containerd.kill();
        wait_for("the connection's end", || {
            (!following.is_connected(&containerd.socket)).then_some(())
        });
        assert_eq!(following.filled(&workload).name, "hub/jupyter-ada/notebook");
        let second = Following::new(&[(Api::Cri, &containerd.socket)]);
        assert!(!second.look_up(&notebook.id));
        containerd.restart(&place);
        second.wait_for_name(&workload, "hub/jupyter-ada/notebook");
        // One that has ended before the first list.
        let brief = hayward_workload::name(1, &format!("/kubepods/pod{UID}/{}", brief.id));
        assert_eq!(second.filled(&brief).name, "hub/jupyter-ada/brief");
        following.wait_for_connection(&containerd.socket);
    }

    #[test]
    fn dockers_containers_get_their_names_through_its_api() {
        let place = Place::new();
        let mut dockerd = Dockerd::new(&place);
        let run = |dockerd: &Dockerd, name: &str, command: &[&str]| {
            let options = ["run", "--detach", "--network", "host", "--label", "team=a"];
            let all = [&options[..], &["--name", name, IMAGE], command].concat();
            dockerd.docker(&place, &all)
        };
        let first = run(&dockerd, "first", &[]);
        let gone = run(&dockerd, "gone", &["/bin/true"]);
        dockerd.docker(&place, &["wait", "gone"]);
        dockerd.docker(&place, &["rm", "gone"]);
        // Over CRI the same containerd tells of nothing that Docker runs.
        let (socket, cri) = (dockerd.socket.clone(), dockerd.containerd.socket.clone());
        let sockets = [(Api::Docker, &*socket), (Api::Cri, &*cri)];
        let following = Following::new(&sockets);
        let workload = place.workload(&first);
        let named = following.wait_for_name(&workload, "first");
        assert_eq!(named.runtime, Some(Runtime::Docker));
        assert_eq!(named.container.as_deref(), Some("first"));
        assert_eq!(named.image.as_deref(), Some(IMAGE));
        assert_eq!(named.labels["team"], "a");
        assert_eq!((named.namespace, named.pod), (None, None));
        // One that was removed before anybody asked.
        let gone = hayward_workload::name(1, &format!("/docker/{gone}"));
        following.wait_for_name(&gone, "gone");

        // Known by its events alone, also after its end.
        let brief = run(&dockerd, "brief", &["/bin/true"]);
        dockerd.docker(&place, &["wait", "brief"]);
        dockerd.docker(&place, &["rm", "brief"]);
        let brief = hayward_workload::name(1, &format!("/docker/{brief}"));
        following.wait_for_name(&brief, "brief");
        dockerd.docker(&place, &["rename", "first", "renamed"]);
        following.wait_for_name(&workload, "renamed");

        following.wait_for_connection(&cri);
        dockerd.kill();
        wait_for("the connection's end", || {
            (!following.is_connected(&socket)).then_some(())
        });
        assert_eq!(following.filled(&workload).name, "renamed");
        let second = Following::new(&sockets);
        dockerd.restart(&place);
        second.wait_for_name(&workload, "renamed");
        following.wait_for_connection(&socket);
        assert!(!second.look_up(&"0".repeat(64)));
    }

    #[test]
    fn podmans_containers_get_their_names_through_dockers_api() {
        let place = Place::new();
        let mut podman = Podman::new(&place);
        let run = |podman: &Podman, name: &str, command: &[&str]| {
            let options = ["run", "--detach", "--network", "host", "--label", "team=a"];
            let own = ["--cgroup-parent", &place.cgroup, "--name", name, IMAGE];
            podman.podman(&place, &[&options[..], &own, command].concat())
        };
        let first = run(&podman, "first", &[]);
        let following = Following::new(&[(Api::Docker, &podman.socket)]);
        let workload = place.workload(&first);
        let named = following.wait_for_name(&workload, "first");
        assert_eq!(named.runtime, Some(Runtime::Podman));
        assert!(named.image.is_some_and(|image| image.ends_with(IMAGE)));
        assert_eq!(named.labels["team"], "a");

        let brief = run(&podman, "brief", &["/bin/true"]);
        podman.podman(&place, &["wait", "brief"]);
        podman.podman(&place, &["rm", "brief"]);
        let brief = hayward_workload::name(1, &format!("/libpod_parent/{brief}"));
        following.wait_for_name(&brief, "brief");

        podman.kill();
        wait_for("the connection's end", || {
            (!following.is_connected(&podman.socket)).then_some(())
        });
        let second = Following::new(&[(Api::Docker, &podman.socket)]);
        podman.restart(&place);
        second.wait_for_name(&workload, "first");
        following.wait_for_connection(&podman.socket);
        assert!(!second.look_up(&"0".repeat(64)));
    }
}
