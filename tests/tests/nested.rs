//! A container that a runtime within a pod's container runs: what is found in it is recorded with its own names and with
//! those of all that is around it.

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use hayward_test_miner::program;
    use hayward_tests::{
        BANNED, Containerd, Host, IMAGE, NestedDockerd, Place, Pods, Start, copy_program,
    };
    use serde_json::{Value, json};

    const UID: &str = "2c8e2f1a-1b2c-4d3e-9f00-112233445566";
    /// A miner that nobody stops ends by itself after so many seconds, which the test does not wait for.
    const SECONDS: &str = "60";

    /// An agent with both guards that asks these runtimes.
    fn asking(host: Host, runtimes: &[(&str, &Path)]) -> Host {
        let runtimes = runtimes.iter();
        let runtimes: Vec<String> = runtimes
            .map(|(api, socket)| format!("\"{api}:{}\"", socket.display()))
            .collect();
        host.write_settings(&Start {
            settings: format!("workloads: {{runtimes: [{}]}}\n", runtimes.join(", ")),
            ..Start::default()
        });
        host.edit_settings("journal:", "  randomx: {}\njournal:");
        let host = host.running();
        host.wait_until("both guards are in force", || {
            host.status()["guards"]["randomx"]["status"] == "enforcing"
        });
        host
    }

    /// Runs a container of the inner Docker's to its end, which is a kill. Returns its id.
    fn killed(place: &Place, nested: &NestedDockerd, name: &str, command: &[&str]) -> String {
        let id = place.path(name);
        let volume = format!("{0}:{0}:ro", nested.shared.display());
        let options = ["run", "--cidfile", &id.to_string_lossy(), "--name", name];
        let options = [
            &options[..],
            &["--network", "host", "--volume", &volume, IMAGE],
        ]
        .concat();
        let run = nested.docker(place, &[&options[..], command].concat());
        assert_eq!(run.status.code(), Some(137), "ended by SIGKILL: {run:?}");
        fs::read_to_string(id).expect("Docker's client wrote it")
    }

    /// What must stand in a record of a container in the pod's container, whatever the inner runtime tells.
    fn assert_is_within(workload: &Value, id: &str, around: &str) {
        assert_eq!(workload["container_id"], id, "{workload}");
        assert_eq!(workload["runtime"], "docker", "{workload}");
        assert_eq!(workload["pod_uid"], UID, "{workload}");
        assert_eq!(workload["namespace"], "hub", "{workload}");
        assert_eq!(workload["pod"], "jupyter-ada", "{workload}");
        assert_eq!(workload["labels"]["app"], "hub", "{workload}");
        let outer = json!([{"id": around, "name": "dind", "image": IMAGE}]);
        assert_eq!(workload["within"], outer, "{workload}");
    }

    #[test]
    fn what_docker_in_a_pod_runs_is_recorded_with_all_names() {
        let host = Host::new();
        let place = Place::of(&host);
        let containerd = Containerd::new(&place);
        let cri = ("cri", &*containerd.socket);
        // It lists what runs now, and next in ten seconds: of this pod it knows what it asks for.
        let mut host = asking(host, &[cri]);
        let mut pods = Pods::privileged(&place, &containerd.socket, "jupyter-ada", UID);
        let nested = NestedDockerd::new(&place, &mut pods, "dind");
        let around = nested.around.id.as_str();
        let banned = killed(&place, &nested, "banned", &["/bin/true", BANNED]);
        let record = host.wait_for_records("killed", 1).remove(0);
        let workload = &record["workload"];
        assert_is_within(workload, &banned, around);
        // What it is called, nobody tells whom the agent asks.
        assert_eq!(
            workload["name"],
            format!("hub/jupyter-ada/{}", &banned[..12])
        );
        assert_eq!(
            (&workload["container"], &workload["image"]),
            (&Value::Null, &Value::Null)
        );

        let miner = nested.shared.join("miner");
        copy_program(program(), &miner);
        let mining = [&*miner.to_string_lossy(), "--seconds", SECONDS];
        let mined = killed(&place, &nested, "mine", &mining);
        let record = host.wait_for_records("killed", 2).remove(1);
        assert_eq!(record["guard"], "randomx", "{record}");
        assert_is_within(&record["workload"], &mined, around);

        // Where the settings name the inner Docker's socket, it is asked too.
        host.stop_agent();
        let host = asking(host, &[cri, ("docker", &nested.socket)]);
        let named = killed(&place, &nested, "named", &["/bin/true", BANNED]);
        let record = host.wait_for_records("killed", 3).remove(2);
        let workload = &record["workload"];
        assert_is_within(workload, &named, around);
        assert_eq!(workload["name"], "hub/jupyter-ada/named");
        assert_eq!(workload["container"], "named");
        assert_eq!(workload["image"], IMAGE);
        drop((pods, place));
    }
}
