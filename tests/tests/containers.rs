//! What happens in containers of real runtimes, and what is recorded of it.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use hayward_tests::{
        BANNED, Containerd, Dockerd, Ended, Host, IMAGE, Launch, Place, Pods, Start, Started,
    };
    use serde_json::Value;

    const UID: &str = "0c8e2f1a-1b2c-4d3e-9f00-112233445566";
    /// How long a container sleeps, to be known by that.
    const LONG: &str = "12345";

    /// An agent that asks one runtime.
    fn asking(host: Host, socket: &str) -> Host {
        // A rule that is new and acts in each container would only observe, by the breaker.
        host.start(&Start {
            settings: format!("workloads: {{runtimes: [\"{socket}\"]}}\nbreaker: {{young: 0s}}\n"),
            ..Start::default()
        })
    }

    /// What was recorded, by container's id.
    fn by_container(records: &[Value]) -> BTreeMap<&str, &Value> {
        let id = |record: &Value| {
            record["workload"]["container_id"]
                .as_str()
                .map(str::to_owned)
        };
        assert!(records.iter().all(|record| id(record).is_some()));
        let keyed = records.iter().map(|record| {
            let workload = &record["workload"];
            (
                workload["container_id"].as_str().unwrap_or_default(),
                workload,
            )
        });
        keyed.collect()
    }

    #[test]
    fn a_banned_command_that_is_all_of_a_pods_container_is_recorded_with_its_names() {
        // How many; more where this is a proof and not a test.
        let count = std::env::var("HAYWARD_CONTAINERS").map_or(10, |count| {
            count.parse().expect("HAYWARD_CONTAINERS is a number")
        });
        let host = Host::new();
        let place = Place::of(&host);
        let containerd = Containerd::new(&place);
        let host = asking(host, &format!("cri:{}", containerd.socket.display()));
        let mut pods = Pods::new(&place, &containerd.socket, "jupyter-ada", UID);
        let mut ids = Vec::new();
        for number in 0..count {
            let started = pods.start_with(&format!("c{number}"), &["/bin/true", BANNED]);
            pods.remove(&started);
            ids.push(started.id);
        }
        let records = host.wait_for_records("killed", count);
        let recorded = by_container(&records);
        for (number, id) in ids.iter().enumerate() {
            let workload = recorded[id.as_str()];
            assert_eq!(workload["name"], format!("hub/jupyter-ada/c{number}"));
            assert_eq!(workload["namespace"], "hub");
            assert_eq!(workload["labels"]["app"], "hub");
            assert_eq!(workload["runtime"], "containerd");
            let image = workload["image"].as_str().expect("an image");
            assert!(image.ends_with(IMAGE), "{image}");
        }
        assert_eq!(records.len(), count);
        let status = host.hayward(&["status", "--json"]).ok().json();
        let socket = containerd.socket.display().to_string();
        let version = &status["runtimes"][&socket]["connection"]["connected"]["version"];
        assert!(
            version
                .as_str()
                .is_some_and(|text| text.starts_with("containerd"))
        );
        drop(place);
    }

    #[test]
    fn a_banned_command_that_is_all_of_a_docker_container_is_recorded_with_its_names() {
        let host = Host::new();
        let place = Place::of(&host);
        let dockerd = Dockerd::new(&place);
        let host = asking(host, &format!("docker:{}", dockerd.socket.display()));
        // It is removed as soon as it has ended.
        let options = ["run", "--rm", "--network", "host", "--label", "team=a"];
        for number in 0..5 {
            let name = format!("c{number}");
            let own = ["--name", &name, IMAGE, "/bin/true", BANNED];
            let run = dockerd.try_docker(&place, &[&options[..], &own].concat());
            assert_eq!(run.status.code(), Some(137), "ended by SIGKILL: {run:?}");
        }
        let records = host.wait_for_records("killed", 5);
        let mut names: Vec<_> = by_container(&records).into_values().collect();
        names.sort_by_key(|workload| workload["name"].to_string());
        for (number, workload) in names.into_iter().enumerate() {
            assert_eq!(workload["name"], format!("c{number}"));
            assert_eq!(workload["image"], IMAGE);
            assert_eq!(workload["labels"]["team"], "a");
            assert_eq!(workload["runtime"], "docker");
        }
        drop(place);
    }

    #[test]
    fn a_container_that_has_gone_before_the_agent_looked_is_named_all_the_same() {
        let host = asking(Host::new(), "cri:/nowhere/runtime.sock");
        let id = "0123456789abcdef".repeat(4);
        let cgroup = host.inside.join(format!("docker-{id}.scope"));
        fs::create_dir(&cgroup).expect("a cgroup");
        host.pause_agent();
        let banned = Launch::new("/bin/true", &[BANNED]);
        assert_eq!(banned.run(&cgroup), Ended::Signal(9));
        fs::remove_dir(&cgroup).expect("nobody is in it");
        host.resume_agent();
        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(record["workload"]["container_id"], id.as_str(), "{record}");
        assert_eq!(record["workload"]["kind"], "container");
    }

    /// Runs a banned command until one is not killed, and then sleeps.
    fn retrying() -> [String; 3] {
        // The shell's own command line is not banned.
        let (begin, end) = BANNED.split_at(BANNED.len() / 2);
        let script = format!(
            "b={begin}; until /bin/true \"${{b}}{end}\"; do sleep 0.1; done; exec sleep {LONG}"
        );
        ["/bin/sh".to_owned(), "-c".to_owned(), script]
    }

    /// Whether it sleeps.
    fn went_through(place: &Place, started: &Started) -> bool {
        let processes = place.processes(&started.id);
        processes
            .iter()
            .any(|line| line.ends_with(LONG) && line.starts_with("sleep"))
    }

    #[test]
    fn what_settings_say_of_a_namespace_holds_once_its_runtime_has_told_it() {
        let host = Host::new();
        let place = Place::of(&host);
        let containerd = Containerd::new(&place);
        host.write_settings(&Start {
            settings: format!(
                "workloads: {{runtimes: [\"cri:{}\"]}}\noverrides: [{{match: {{namespace: staging, labels: app=hub}}, guards: {{command: observe}}}}]\n",
                containerd.socket.display()
            ),
            ..Start::default()
        });
        host.edit_settings("scope: {", "scope: {exclude: [{namespace: trusted}], ");
        let host = host.running();
        let namespaces = [("hub", '1'), ("trusted", '2'), ("staging", '3')];
        let mut pods = namespaces.map(|(namespace, digit)| {
            let uid = format!("{}{digit}", &UID[..UID.len() - 1]);
            Pods::in_namespace(&place, &containerd.socket, namespace, "job", &uid)
        });
        let command = retrying();
        let command = command.each_ref().map(String::as_str);
        let [hub, trusted, staging] = pods
            .each_mut()
            .map(|pods| pods.start_with("main", &command));
        host.wait_until("the namespaces' own settings", || {
            went_through(&place, &trusted) && went_through(&place, &staging)
        });
        host.wait_for_records("killed", 1);
        host.wait_for_records("observed", 1);
        assert!(!went_through(&place, &hub));
        for (namespace, expected) in [
            (
                "hub",
                "in scope: `scope.include` has containers\n  command  enforces",
            ),
            (
                "trusted",
                "out of scope: `scope.exclude` has {namespace: trusted}",
            ),
            (
                "staging",
                "in scope: override 1 is for {labels: app=hub, namespace: staging}\n  command  observes",
            ),
        ] {
            let path = place.workload(match namespace {
                "hub" => &hub.id,
                "trusted" => &trusted.id,
                _ => &staging.id,
            });
            let why = host.hayward(&["status", "--workload", &path.cgroup]).ok();
            assert!(why.out.contains(expected), "{namespace}: {}", why.out);
        }
        drop(place);
    }

    #[test]
    fn operators_name_containers_as_their_runtime_does() {
        let host = Host::new();
        let place = Place::of(&host);
        let containerd = Containerd::new(&place);
        let host = asking(host, &format!("cri:{}", containerd.socket.display()));
        let mut pods = Pods::new(&place, &containerd.socket, "jupyter-ada", UID);
        let notebook = pods.start("notebook");
        let name = "hub/jupyter-ada/notebook";
        host.wait_until("the container's name", || {
            let workloads = host.hayward(&["workloads"]).ok();
            workloads.out.contains(name)
        });
        for text in [name, "notebook", "hub/jupyter-ada/n", &notebook.id[..20]] {
            let frozen = host.hayward(&["freeze", text, "--dry-run", "--json"]).ok();
            let workload = &frozen.json()["workload"];
            assert_eq!(workload["name"], name, "{text}");
            assert_eq!(workload["container_id"], notebook.id.as_str());
        }
        // The pod's own container is in it too.
        let either = host.hayward(&["freeze", "jupyter-ada", "--dry-run"]);
        assert_eq!(either.code, 4, "{either:?}");
        assert!(either.err.contains("may be any of these"), "{either:?}");
        drop(place);
    }
}
