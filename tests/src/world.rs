//! A container in a network of its own, and the world that it reaches from there: hundreds of hosts that answer, others that
//! refuse, and silence wherever nobody is. What the world holds is in `tests/benign/network/world.py`.

use std::{
    collections::{HashSet, VecDeque},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Host, NetworkWorkload, Start};

/// What all that is done here may take.
const PATIENCE: Duration = Duration::from_secs(100);
/// A contact that nobody answers was met with silence by then; see docs/outbound.md.
const SILENCE: Duration = Duration::from_secs(33);
/// The network's guards, as they are unless settings say otherwise.
const GUARDS: &str = "guards:\n  outbound: SETTINGS\n  pool: {}\n  egress: {policy: open}\n";
const CONTAINER: &str =
    "docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope";

/// The whole of it.
pub struct World {
    /// Where the agent runs.
    pub host: Host,
    /// What answers.
    pub others: NetworkWorkload,
    /// The container.
    pub container: NetworkWorkload,
}

/// What a container did, by the log of its first contacts.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    /// First contacts.
    pub contacts: usize,
    /// The most different destinations that it got in touch with in a minute.
    pub in_a_minute: usize,
}

impl World {
    /// With these settings of the guard `outbound`, and an agent that enforces.
    pub fn guarded(settings: &str) -> Self {
        let mut host = Host::new();
        host.write_settings(&Start::default());
        host.edit_settings("guards:\n", &GUARDS.replace("SETTINGS", settings));
        host.spawn();
        // Beside a browser on a busy machine, the kernel takes its time over the programs of all guards.
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "60s"])
            .ok();
        for guard in ["outbound", "pool", "egress"] {
            host.wait_until(guard, || {
                host.status()["guards"][guard]["status"] == "enforcing"
            });
        }
        let mut others = NetworkWorkload::new(&host.outside);
        let inside = host.inside.join(CONTAINER);
        fs::create_dir(&inside).expect("a cgroup");
        let mut container = NetworkWorkload::new(&inside);
        let pid = container.does("pid");
        others.all(&[("silence", "ok")]);
        others.does(&format!("lead {pid}"));
        container.all(&[("follow", "ok")]);
        others.all(&[("own 11.0.0.1/8", "ok")]);
        let mut world = Self {
            host,
            others,
            container,
        };
        fs::create_dir(world.folder()).expect("a folder");
        world.host_program("world.py", "");
        world.wait_for("ready");
        let names = world.folder().join("resolv.conf");
        fs::write(names, "nameserver 11.0.0.53\n").expect("a file");
        world
    }

    /// What is served, and where programs leave word.
    pub fn folder(&self) -> PathBuf {
        self.host.path("world")
    }

    /// Starts one of the programs in `tests/benign/network` on the other side.
    pub fn host_program(&mut self, name: &str, arguments: &str) {
        let command = format!("start {} {arguments}", self.python(name));
        assert_eq!(self.others.does(command.trim()), "ok");
    }

    /// The command line of one of them.
    pub fn python(&self, name: &str) -> String {
        let path = network_sources().join(name);
        let folder = self.folder();
        format!("/usr/bin/python3 {} {}", path.display(), folder.display())
    }

    /// A command line by which a program asks the world's name server, with the environment of a home of its own.
    pub fn asking(&self, command: &str) -> String {
        let script = network_sources().join("contain");
        format!("{} {} {command}", script.display(), self.folder().display())
    }

    /// Waits until somebody has left word.
    pub fn wait_for(&self, word: &str) {
        let path = self.folder().join(word);
        self.wait_until(word, || path.exists());
    }

    /// Waits for longer than a [`Host`] does.
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(
                Instant::now() < deadline,
                "never came to {what}: {:?}",
                self.stopped()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets so much time pass that nobody who is silent is waited for any more.
    pub fn give_up_the_silent(&self) {
        let began = Instant::now();
        self.wait_until("silence", || began.elapsed() > SILENCE);
    }

    /// Sees that the container gets in touch with this host, whom it did not know: at once, or when less waits for an answer.
    pub fn reaches(&mut self, address: &str) {
        let deadline = Instant::now() + SILENCE;
        let connect = format!("connect new {address} 80");
        loop {
            assert_eq!(self.container.does("make new 4 SOCK_STREAM"), "ok");
            match self.container.does(&connect).as_str() {
                "ok" => return,
                "TimeoutError" if Instant::now() < deadline => {}
                other => panic!("{address} is not reached: {other}"),
            }
        }
    }

    /// The end of what programs in the container had to say.
    pub fn output(&self) -> String {
        let output = fs::read(self.folder().join("output")).unwrap_or_default();
        String::from_utf8_lossy(&output[output.len().saturating_sub(3_000)..]).into_owned()
    }

    /// What the container did, once all of it is logged.
    pub fn traffic(&self) -> Traffic {
        let counted = || {
            let status = self.host.status();
            let counters = &status["guards"]["outbound"]["counters"];
            (
                counters["outbound_logged"].as_u64().expect("a number"),
                counters["outbound_log_lost"].as_u64().expect("a number"),
            )
        };
        let mut lines = Vec::new();
        self.host.wait_until("a log of all contacts", || {
            let to = |all| {
                let traced = self.host.configured(&["trace", "--json", "--to", all]);
                traced.lines()
            };
            lines = [to("0.0.0.0/0"), to("::/0")].concat();
            (lines.len() as u64, 0) == counted()
        });
        Traffic {
            contacts: lines.len(),
            in_a_minute: most_in_a_minute(&lines),
        }
    }

    /// Records of what was stopped.
    fn stopped(&self) -> Vec<Value> {
        let records = ["denied", "killed"].map(|action| self.host.records(action));
        records.concat()
    }

    /// Sees that nobody was found and nothing refused, and prints what the container did.
    pub fn was_left_alone(&self, what: &str) -> Traffic {
        let traffic = self.traffic();
        println!("{what}: {traffic:?}");
        let records = self.stopped();
        assert!(records.is_empty(), "{what}: {records:?}");
        let status = self.host.status();
        for guard in ["outbound", "pool", "egress"] {
            let counters = &status["guards"][guard]["counters"];
            let told = counters[format!("{guard}_events")].as_u64();
            // Of the agent's own canary, which is no record.
            assert!(told <= Some(1), "{what}: {counters}");
        }
        traffic
    }
}

/// Where the programs lie.
pub fn network_sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benign/network")
}

/// The most different destinations (address, port) in any minute.
fn most_in_a_minute(lines: &[Value]) -> usize {
    let mut contacts: Vec<(jiff::Timestamp, String)> = lines
        .iter()
        .map(|line| {
            let time = line["time"].as_str().and_then(|time| time.parse().ok());
            (time.expect("a time"), line["destination"].to_string())
        })
        .collect();
    contacts.sort();
    let mut window: VecDeque<(jiff::Timestamp, String)> = VecDeque::new();
    let mut most = 0;
    for contact in contacts {
        while let Some((time, _)) = window.front()
            && contact.0.duration_since(*time).as_secs() >= 60
        {
            window.pop_front();
        }
        window.push_back(contact);
        let different: HashSet<&str> = window.iter().map(|(_, to)| to.as_str()).collect();
        most = most.max(different.len());
    }
    most
}
