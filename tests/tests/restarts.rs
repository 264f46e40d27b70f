//! Runtimes and the agent end and come back while containers start one after the other: nobody who is banned lives, each
//! kill is recorded once, and names come back.

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
        ops::Range,
        os::unix::net::UnixListener,
        path::Path,
        sync::{
            Mutex, MutexGuard,
            atomic::{AtomicBool, Ordering::Relaxed},
        },
        thread,
        time::Duration,
    };

    use hayward_tests::{
        BANNED, Containerd, Dockerd, Ended, Host, IMAGE, Launch, Place, Pods, Start,
    };
    use jiff::Timestamp;
    use serde_json::Value;

    const UID: &str = "3c8e2f1a-1b2c-4d3e-9f00-112233445566";
    const NAMELESS: &str = "hayward_records_nameless_total";
    /// So long a record waits at least for a runtime that is away: a little less than it does.
    const PATIENCE: Duration = Duration::from_millis(1500);

    /// An agent that asks this runtime. A rule that is new and acts in each container would only observe, by the breaker.
    fn asking(host: Host, runtime: &str) -> Host {
        host.start(&Start {
            settings: format!("workloads: {{runtimes: [\"{runtime}\"]}}\nbreaker: {{young: 0s}}\n"),
            ..Start::default()
        })
    }

    fn is_connected(host: &Host, socket: &Path) -> bool {
        let state = &host.status()["runtimes"][socket.display().to_string()];
        state["connection"]["connected"].is_object()
    }

    /// The agent's threads, by name.
    fn threads(host: &Host) -> BTreeSet<String> {
        let agent = host.agent.as_ref().expect("it runs").id();
        let tasks = fs::read_dir(format!("/proc/{agent}/task")).expect("it runs");
        let names =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.collect()
    }

    /// A container that was made.
    struct Made {
        number: usize,
        id: String,
        /// The runtime said that it started. Where it was killed over that, the container may have started all the same.
        started: bool,
    }

    /// Containers that are started one after the other, all of which run a banned command, each second one after it has
    /// lived for more than a second.
    #[derive(Default)]
    struct Load {
        made: Mutex<Vec<Made>>,
        stop: AtomicBool,
    }

    impl Load {
        fn run(&self, pods: &mut Pods) {
            // The shell's own command line is not banned.
            let (begin, end) = BANNED.split_at(BANNED.len() / 2);
            let script = format!("b={begin}; sleep 1.2; exec /bin/true \"${{b}}{end}\"");
            let lasting = ["/bin/sh", "-c", &script];
            // A name that was tried before may be taken, by a container that nobody heard of.
            for number in 0.. {
                if self.stop.load(Relaxed) {
                    break;
                }
                let command = match self.made().len() % 2 {
                    0 => &lasting[..],
                    _ => &["/bin/true", BANNED],
                };
                match pods.try_start_with(&format!("c{number}"), command) {
                    Some((container, started)) => self.made().push(Made {
                        number,
                        id: container.id,
                        started,
                    }),
                    // The runtime is away, and comes back sooner where it has the processor.
                    None => thread::sleep(Duration::from_millis(10)),
                }
            }
        }

        fn made(&self) -> MutexGuard<'_, Vec<Made>> {
            self.made.lock().expect("nobody panics over it")
        }

        fn started(&self) -> usize {
            self.made().iter().filter(|made| made.started).count()
        }

        fn wait_for_more(&self, host: &Host, count: usize) {
            for _ in 0..count {
                let before = self.started();
                host.wait_until("one more container", || self.started() > before);
            }
        }
    }

    /// When a record was made.
    fn time(record: &Value) -> Timestamp {
        let text = record["time"].as_str().expect("a time");
        text.parse().expect("a time")
    }

    fn is_named(workload: &Value, number: usize) -> bool {
        let image = workload["image"].as_str().unwrap_or_default();
        workload["name"] == format!("hub/jupyter-ada/c{number}")
            && workload["namespace"] == "hub"
            && image.ends_with(IMAGE)
    }

    #[test]
    fn each_kill_is_recorded_once_and_named_while_runtime_and_agent_are_killed_and_restarted() {
        // How many containers after each beginning; more where this is a proof and not a test.
        let count = std::env::var("HAYWARD_CONTAINERS").map_or(50, |count| {
            count.parse().expect("HAYWARD_CONTAINERS is a number")
        });
        let host = Host::new();
        let place = Place::of(&host);
        let mut containerd = Containerd::new(&place);
        let socket = containerd.socket.clone();
        let mut host = asking(host, &format!("cri:{}", socket.display()));
        let mut pods = Pods::new(&place, &socket, "jupyter-ada", UID);
        host.wait_until("the connection", || is_connected(&host, &socket));
        let threads_before = threads(&host);
        let load = Load::default();
        // From the runtime's end until it answered the agent again.
        let mut outages = Vec::new();
        thread::scope(|scope| {
            let loading = scope.spawn(|| load.run(&mut pods));
            load.wait_for_more(&host, count);
            for _ in 0..2 {
                let since = Timestamp::now();
                containerd.kill();
                containerd.restart(&place);
                load.wait_for_more(&host, 1);
                host.wait_until("the connection again", || is_connected(&host, &socket));
                outages.push(since..Timestamp::now());
                load.wait_for_more(&host, count);
            }
            host.kill_agent();
            load.wait_for_more(&host, count / 2);
            host.spawn();
            load.wait_for_more(&host, count / 2);
            load.stop.store(true, Relaxed);
            loading.join().expect("no panic");
        });
        let made = load.made();
        let mut killed: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        host.wait_until("a record of each", || {
            killed.clear();
            for record in host.records("killed") {
                let id = record["workload"]["container_id"].as_str();
                let id = id.expect("a container").to_owned();
                killed.entry(id).or_default().push(record);
            }
            let mut started = made.iter().filter(|made| made.started);
            started.all(|made| killed.contains_key(&made.id))
        });
        for made in made.iter() {
            // One of which the runtime did not say that it started need not have run.
            let Some(records) = killed.remove(&made.id) else {
                continue;
            };
            assert_eq!(records.len(), 1, "{records:?}");
            let record = &records[0];
            let is_in = |outage: &Range<Timestamp>| {
                outage.contains(&time(record)) && time(record) + PATIENCE < outage.end
            };
            assert!(
                is_named(&record["workload"], made.number) || outages.iter().any(is_in),
                "{} of {outages:?}: {record}",
                made.number
            );
        }
        assert_eq!(killed, BTreeMap::new(), "nobody made these");
        assert_eq!(host.series(NAMELESS), 0);
        assert!(is_connected(&host, &socket));
        assert_eq!(host.status()["problems"], serde_json::json!([]));
        assert!(threads(&host).is_superset(&threads_before));
        drop(made);
        drop((pods, place));
    }

    #[test]
    fn what_docker_runs_is_named_again_after_it_was_killed_and_restarted() {
        let host = Host::new();
        let place = Place::of(&host);
        let mut dockerd = Dockerd::new(&place);
        let host = asking(host, &format!("docker:{}", dockerd.socket.display()));
        let mut names = BTreeSet::new();
        for round in 0..3 {
            if round > 0 {
                dockerd.kill();
                dockerd.restart(&place);
            }
            // The first are gone before the agent asks the new one.
            for number in 0..3 {
                let name = format!("c{round}-{number}");
                let options = ["run", "--rm", "--network", "host", "--name", &name, IMAGE];
                let run =
                    dockerd.try_docker(&place, &[&options[..], &["/bin/true", BANNED]].concat());
                assert_eq!(run.status.code(), Some(137), "ended by SIGKILL: {run:?}");
                names.insert(name);
            }
        }
        let records = host.wait_for_records("killed", names.len());
        assert_eq!(records.len(), names.len(), "{records:?}");
        let recorded = records.iter().map(|record| {
            let name = record["workload"]["name"].as_str();
            name.expect("a name").to_owned()
        });
        assert_eq!(recorded.collect::<BTreeSet<_>>(), names);
        assert_eq!(host.series(NAMELESS), 0);
        assert!(is_connected(&host, &dockerd.socket));
        drop(place);
    }

    #[test]
    fn a_record_that_waits_for_a_name_when_the_agent_is_killed_is_written_by_the_next() {
        let host = Host::new();
        // A runtime that never answers.
        let socket = host.path("runtime.sock");
        let _listener = UnixListener::bind(&socket).expect("a socket");
        let mut host = asking(host, &format!("cri:{}", socket.display()));
        let cgroup = host
            .inside
            .join(format!("docker-{}.scope", "0123456789abcdef".repeat(4)));
        fs::create_dir(&cgroup).expect("a cgroup");
        let banned = Launch::new("/bin/true", &[BANNED]);
        assert_eq!(banned.run(&cgroup), Ended::Signal(9));
        let waiting = host.path("journal/waiting");
        host.wait_until("a record that waits", || {
            fs::read_dir(&waiting).is_ok_and(|files| files.count() == 1)
        });
        host.kill_agent();
        let host = asking(host, &format!("cri:{}", socket.display()));
        host.wait_for_records("killed", 1);
        assert_eq!(banned.run(&cgroup), Ended::Signal(9));
        // Those that come before it are written before it.
        assert_eq!(host.wait_for_records("killed", 2).len(), 2);
        host.wait_until("nothing waits", || {
            fs::read_dir(&waiting).is_ok_and(|files| files.count() == 0)
        });
    }
}
