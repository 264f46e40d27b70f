//! Hosts whose processes are not, or not all, in cgroup2.

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use hayward_tests::{Dockerd, Host, IMAGE, Place, Start, binary};

    /// Where cgroup2 is mounted.
    fn mount(host: &Host) -> String {
        let mount = host.cgroup.parent().expect("a mount");
        mount.display().to_string()
    }

    #[test]
    fn without_cgroup2_the_agent_does_not_start_and_says_what_to_boot_with() {
        let host = Host::new();
        host.write_settings(&Start::default());
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", r#"umount -l "$0" && exec "$@""#])
            .arg(mount(&host))
            .arg(binary())
            .args(["run", "--config"])
            .arg(host.path("hayward.yaml"))
            .env("HAYWARD_TEST", "1")
            .output()
            .expect("unshare");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{error}");
        assert!(
            error.contains("no cgroup2 file system is mounted"),
            "{error}"
        );
        assert!(
            error.contains("systemd.unified_cgroup_hierarchy=1"),
            "{error}"
        );
    }

    #[test]
    fn containers_that_are_in_cgroup_v1_alone_are_told_to_be_out_of_scope() {
        let mounts = fs::read_to_string("/proc/mounts").expect("/proc/mounts");
        if !mounts.lines().any(|line| line.starts_with("cgroup ")) {
            println!("not run: this host has no cgroup v1, where a runtime could put a container");
            return;
        }
        let host = Host::new();
        let place = Place::of(&host);
        // There the runtime sees a host that has cgroup v1 alone.
        place.run("umount", &["-l", &mount(&host)]);
        let dockerd = Dockerd::new(&place);
        let host = host.start(&Start {
            settings: format!(
                "workloads: {{runtimes: [\"docker:{}\"]}}\n",
                dockerd.socket.display()
            ),
            ..Start::default()
        });
        let problems = || {
            let status = host.hayward(&["status", "--json"]).ok().json();
            status["problems"].to_string()
        };
        host.wait_until("the socket", || !problems().contains("docker.sock"));
        assert!(
            !problems().contains("has a cgroup"),
            "there are no containers"
        );
        let run = ["run", "--detach", "--network", "host", IMAGE];
        dockerd.docker(&place, &run);
        host.wait_until("the problem", || {
            problems().contains("none of the 1 containers that runtimes tell of has a cgroup")
        });
        drop(place);
    }
}
