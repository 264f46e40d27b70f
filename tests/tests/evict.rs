//! Containers that are stopped by the runtime that runs them.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::Path,
        process::{Child, Command},
    };

    use hayward_tests::{BANNED, Containerd, Dockerd, Host, IMAGE, Place, Podman, Pods, Start};

    const UID: &str = "2c8e2f1a-1b2c-4d3e-9f00-112233445566";
    /// Does nothing, and ends at SIGTERM.
    const POLITE: [&str; 3] = [
        "/bin/sh",
        "-c",
        "trap 'exit 0' TERM; while :; do sleep 0.05; done",
    ];

    fn asking(host: Host, sockets: &[String]) -> Host {
        host.start(&Start {
            settings: format!(
                "workloads: {{runtimes: [{}]}}\nbreaker: {{young: 0s}}\n",
                sockets.join(", ")
            ),
            ..Start::default()
        })
    }

    fn sleeper(cgroup: &Path) -> Child {
        let child = Command::new("sleep").arg("600").spawn().expect("a child");
        fs::write(cgroup.join("cgroup.procs"), child.id().to_string()).expect("a cgroup");
        child
    }

    /// As the settings and the command line have it.
    fn path_of(host: &Host, cgroup: &Path) -> String {
        let mount = host.cgroup.parent().expect("the mount");
        let below = cgroup.strip_prefix(mount).expect("it is below");
        format!("/{}", below.display())
    }

    /// Waits until an agent can name a container.
    fn knows(host: &Host, name: &str) {
        host.wait_until("the container's name", || {
            host.hayward(&["workloads"]).ok().out.contains(name)
        });
    }

    #[test]
    fn a_container_of_a_pod_and_then_the_pod_are_stopped_over_cri() {
        let host = Host::new();
        let place = Place::among_processes_of(&host);
        let containerd = Containerd::new(&place);
        let host = asking(host, &[format!("cri:{}", containerd.socket.display())]);
        let mut pods = Pods::new(&place, &containerd.socket, "jupyter-ada", UID);
        let job = pods.start_with("job", &POLITE);
        let frozen = pods.start("frozen");
        let polite = pods.start_with("polite", &POLITE);
        knows(&host, "hub/jupyter-ada/polite");

        let said = host.hayward(&["evict", "job", "--dry-run"]).ok();
        assert!(said.out.starts_with("would be evicted"), "{said:?}");
        assert!(pods.is_running(&job));
        let said = host.hayward(&["evict", "job", "--grace", "25s"]).ok();
        assert!(said.out.contains(", by "), "{said:?}");
        // It ended by itself at SIGTERM, or this would have taken all of the grace period.
        assert_eq!(pods.exit_code(&job), Some(0));
        assert!(pods.is_running(&frozen) && pods.is_running(&polite));
        let record = host.wait_for_records("evicted", 1).remove(0);
        assert_eq!(record["workload"]["name"], "hub/jupyter-ada/job");
        assert!(record["actor"].is_object(), "{record}");

        // A throttled one ends soon all the same, and a frozen one is not thawed for it.
        host.hayward(&["freeze", "frozen"]).ok();
        let pod = place.workload(&polite.id).cgroup;
        let (pod, _) = pod.rsplit_once('/').expect("a pod's cgroup");
        host.hayward(&["evict", pod, "--grace", "1s"]).ok();
        assert!(pods.exit_code(&frozen).is_some_and(|code| code > 128));
        assert_eq!(pods.exit_code(&polite), Some(0));
        assert!(!pods.is_ready(), "the pod itself is stopped");
        drop(place);
    }

    #[test]
    fn a_rule_that_evicts_stops_a_docker_container_for_good() {
        let host = Host::new();
        host.write_rules(&format!(
            "rules:\n  - {{id: test/evicting, banned: [{BANNED}], response: evict}}\n"
        ));
        let place = Place::among_processes_of(&host);
        let dockerd = Dockerd::new(&place);
        let host = asking(host, &[format!("docker:{}", dockerd.socket.display())]);
        let options = [
            "run",
            "--detach",
            "--network",
            "host",
            "--restart",
            "always",
        ];
        for name in ["abuser", "neighbour"] {
            let own = ["--name", name, IMAGE];
            dockerd.docker(&place, &[&options[..], &own, &POLITE].concat());
        }
        dockerd.try_docker(&place, &["exec", "abuser", "/bin/true", BANNED]);
        let killed = host.wait_for_records("killed", 1).remove(0);
        let evicted = host.wait_for_records("evicted", 1).remove(0);
        assert_eq!(evicted["cause"], killed["id"]);
        assert_eq!(evicted["workload"]["container"], "abuser");
        assert_eq!(evicted["response"], "evict");
        let state = |name: &str| {
            let format = "{{.State.Status}} {{.RestartCount}}";
            dockerd.docker(&place, &["inspect", "--format", format, name])
        };
        // The runtime would have started it again, had it only been killed.
        assert_eq!(state("abuser"), "exited 0");
        assert_eq!(state("neighbour"), "running 0");
        drop(place);
    }

    #[test]
    fn the_name_of_a_cgroup_evicts_nobody_elses_container() {
        let host = Host::new();
        let place = Place::among_processes_of(&host);
        let dockerd = Dockerd::new(&place);
        let host = asking(host, &[format!("docker:{}", dockerd.socket.display())]);
        let options = [
            "run",
            "--detach",
            "--network",
            "host",
            "--name",
            "victim",
            IMAGE,
        ];
        let id = dockerd.docker(&place, &[&options[..], &POLITE].concat());
        let forged = host.inside.join(format!("docker-{id}.scope"));
        fs::create_dir(&forged).expect("a cgroup");
        let mut sleeper = sleeper(&forged);
        let path = path_of(&host, &forged);

        let refused = host.hayward(&["evict", &path]);
        assert_eq!(refused.code, 5, "{refused:?}");
        assert!(refused.err.contains("is elsewhere"), "{refused:?}");
        assert!(sleeper.try_wait().expect("a child").is_none());
        host.hayward(&["evict", &path, "--or-kill"]).ok();
        sleeper.wait().expect("it was killed");
        let running = dockerd.docker(&place, &["ps", "--quiet", "--no-trunc"]);
        assert_eq!(running, id);
        drop(place);
    }

    #[test]
    fn podmans_container_is_stopped() {
        let host = Host::new();
        let place = Place::among_processes_of(&host);
        let podman = Podman::new(&place);
        let host = asking(host, &[format!("docker:{}", podman.socket.display())]);
        let parent = format!("--cgroup-parent={}", place.cgroup);
        let options = [
            "run",
            "--detach",
            "--network",
            "host",
            // Less than the test itself may have, which not every host lets it raise.
            "--ulimit=nofile=256:256",
            "--ulimit=nproc=256:256",
            "--name",
            "job",
            &parent,
        ];
        podman.podman(&place, &[&options[..], &[IMAGE], &POLITE].concat());
        knows(&host, "job");
        let said = host.hayward(&["evict", "job", "--grace", "25s"]).ok();
        let by = podman.socket.to_string_lossy();
        assert!(
            said.out.contains("by Podman") || said.out.contains(&*by),
            "{said:?}"
        );
        let format = "--format={{.State.Status}} {{.State.ExitCode}}";
        assert_eq!(
            podman.podman(&place, &["inspect", format, "job"]),
            "exited 0"
        );
        drop(place);
    }

    #[test]
    fn what_is_no_container_cannot_be_evicted_and_is_killed_where_that_is_wanted() {
        let host = asking(Host::new(), &["docker:/nowhere/docker.sock".to_owned()]);
        let cgroup = host.inside.join("job");
        fs::create_dir(&cgroup).expect("a cgroup");
        let mut sleeper = sleeper(&cgroup);
        let path = path_of(&host, &cgroup);
        let refused = host.hayward(&["evict", &path]);
        assert_eq!(refused.code, 5, "{refused:?}");
        assert!(
            refused.err.contains("no runtime that answers has it"),
            "{refused:?}"
        );
        let said = host
            .hayward(&["evict", &path, "--or-kill", "--json"])
            .ok()
            .json();
        assert_eq!(said["action"], "workload-killed");
        assert_eq!(said["impossible"].as_array().map(Vec::len), Some(1));
        sleeper.wait().expect("it was killed");
    }
}
