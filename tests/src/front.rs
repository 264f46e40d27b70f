//! A host with a front to the internet, and an internet of its own: two networks that the test makes, joined by a pair of veth
//! devices. Nothing in them reaches anybody else.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::Host;

/// The host's own address, and its gateway, at which everybody else is.
pub const FRONT: &str = "198.51.100.1";
/// The same of IPv6.
pub const FRONT_6: &str = "2001:db8:1::1";
const GATEWAY: &str = "198.51.100.254";
const GATEWAY_6: &str = "2001:db8:1::fe";
/// The interface of the host.
pub const INTERFACE: &str = "front0";

/// A network that lives as long as this.
#[derive(Debug)]
struct Network {
    holder: Child,
}

impl Network {
    fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare; tests run as root");
        let out = holder.stdout.take().expect("a pipe");
        let mut line = String::new();
        // It has a network of its own from then on.
        BufReader::new(out).read_line(&mut line).expect("a line");
        Self { holder }
    }

    fn path(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.holder.id())
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(self.path()).args(["sh", "-c", line]);
        command
    }

    fn run(&self, line: &str) -> Output {
        let output = self.command(line).stdin(Stdio::null()).output();
        output.expect("nsenter")
    }

    fn must(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A host, the agent on it, and everybody else.
#[derive(Debug)]
pub struct Front {
    /// The place of the agent.
    pub host: Host,
    network: Network,
    internet: Network,
}

impl Front {
    /// Without an agent yet. In the internet are 203.0.113.1 to .60, and 2001:db8:9:1::1 to 2001:db8:9:9::1.
    pub fn new() -> Self {
        Self::of(Host::new())
    }

    /// The same around a host that has no agent yet.
    pub fn of(host: Host) -> Self {
        let (network, internet) = (Network::new(), Network::new());
        let peer = internet.holder.id();
        network.must(&format!(
            "ip link set lo up && ip link add {INTERFACE} type veth peer name out0 netns {peer} &&
             sysctl -qw net.ipv6.conf.{INTERFACE}.accept_dad=0 && ip link set {INTERFACE} up &&
             ip addr add {FRONT}/24 dev {INTERFACE} && ip addr add {FRONT_6}/64 dev {INTERFACE} nodad"
        ));
        let mut lines = format!(
            "ip link set lo up && sysctl -qw net.ipv6.conf.out0.accept_dad=0 && ip link set out0 up &&
             ip addr add {GATEWAY}/24 dev out0 && ip addr add {GATEWAY_6}/64 dev out0 nodad"
        );
        for last in 1..=60 {
            lines.push_str(&format!(" && ip addr add 203.0.113.{last}/32 dev lo"));
        }
        for net in 1..=9 {
            lines.push_str(&format!(
                " && ip addr add 2001:db8:9:{net}::1/128 dev lo nodad"
            ));
        }
        // Whoever names no address of its own sends from this one.
        lines.push_str(" && ip route replace 198.51.100.0/24 dev out0 src 203.0.113.1");
        lines.push_str(" && ip -6 route replace 2001:db8:1::/64 dev out0 src 2001:db8:9:1::1");
        internet.must(&lines);
        network.must(&format!(
            "ip route add default via {GATEWAY} && ip -6 route add default via {GATEWAY_6}"
        ));
        Self {
            host,
            network,
            internet,
        }
    }

    /// With an agent that has these settings of the guard, a YAML flow mapping without braces, once it is proven.
    pub fn guarding(settings: &str) -> Self {
        Self::new().guarded(settings)
    }

    /// Starts an agent that has these settings of the guard, and waits until it is proven.
    #[must_use]
    pub fn guarded(mut self, settings: &str) -> Self {
        self.host.list_guard(
            "inbound",
            &format!("{{interfaces: [{INTERFACE}], {settings}}}"),
        );
        self.spawn();
        self.host.wait_for_proof("inbound");
        self
    }

    /// Starts the agent on the host, and does not wait.
    pub fn spawn(&mut self) {
        let network = self.network.path();
        self.host.spawn_by(&["nsenter", &network]);
    }

    /// The same with further environment variables.
    pub fn spawn_with(&mut self, variables: &[(&str, &str)]) {
        let variables = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let variables: Vec<String> = variables.collect();
        let mut launcher = vec!["env"];
        launcher.extend(variables.iter().map(String::as_str));
        self.spawn_by(&launcher);
    }

    /// Starts another agent on the host, and does not wait.
    pub fn spawn_another(&self, host: &mut Host) {
        host.spawn_by(&["nsenter", &self.network.path()]);
    }

    /// The address of the host's interface.
    pub fn mac(&self) -> String {
        let link = self.must(&format!("ip -o link show dev {INTERFACE}"));
        let mut words = link.split_whitespace();
        words.find(|word| *word == "link/ether");
        words.next().expect("an address").to_owned()
    }

    /// Starts the agent on the host by such a command, which runs the rest of its arguments, and does not wait.
    pub fn spawn_by(&mut self, command: &[&str]) {
        let network = self.network.path();
        let whole = [&["nsenter", &network], command].concat();
        self.host.spawn_by(&whole);
    }

    /// A command line on the host.
    pub fn here(&self, line: &str) -> Output {
        self.network.run(line)
    }

    /// The same, which must succeed: what it prints.
    pub fn must(&self, line: &str) -> String {
        self.network.must(line)
    }

    /// A command line in the internet.
    pub fn there(&self, line: &str) -> Output {
        self.internet.run(line)
    }

    /// The same, which goes on.
    pub fn there_meanwhile(&self, line: &str) -> Meanwhile {
        Meanwhile::of(&self.internet, line)
    }

    /// A command line on the host, which goes on.
    pub fn here_meanwhile(&self, line: &str) -> Meanwhile {
        Meanwhile::of(&self.network, line)
    }

    /// Servers of TCP on the host that say one line to whoever connects, ready when this returns.
    pub fn serve(&self, ports: &[u16]) -> Meanwhile {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let mut server = self.here_meanwhile(&format!(
            "exec python3 {}/front/serve.py {}",
            env!("CARGO_MANIFEST_DIR"),
            ports.join(" ")
        ));
        server.wait_for_line();
        server
    }

    /// Takes all places for programs on what arrives at the host's interface, until this is dropped.
    pub fn crowd(&self) -> Meanwhile {
        let mut crowd = self.here_meanwhile(&format!(
            "exec python3 {}/front/crowd.py {INTERFACE}",
            env!("CARGO_MANIFEST_DIR")
        ));
        assert_eq!(crowd.wait_for_line(), "taken\n");
        crowd
    }

    /// Whether somebody with this address gets a line from a port of the host, in a second or two.
    pub fn reaches(&self, from: &str, port: u16) -> bool {
        let to = if from.contains(':') { FRONT_6 } else { FRONT };
        let line = format!(
            "exec python3 {}/front/reach.py {from} {to} {port}",
            env!("CARGO_MANIFEST_DIR")
        );
        self.there(&line).status.success()
    }

    /// Bans, by the command line.
    pub fn bans(&self) -> Vec<Value> {
        let bans = self.host.hayward(&["bans", "list", "--json"]).ok().json();
        bans.as_array().expect("a list").clone()
    }

    /// The first record about a source, once there is one.
    pub fn record_of(&self, source: &str) -> Value {
        let mut found = None;
        self.host
            .wait_until(&format!("a record about {source}"), || {
                let events = self
                    .host
                    .hayward(&["events", "--json", "--limit", "100000"])
                    .ok();
                found = events
                    .lines()
                    .into_iter()
                    .find(|record| record["evidence"]["inbound"]["source"] == source);
                found.is_some()
            });
        found.expect("it was found")
    }

    /// One series of the agent's metrics page, which is served on the host; 0 where it is not there yet.
    pub fn series(&self, name: &str) -> u64 {
        let status = self.host.status();
        let listen = status["metrics"]["listen"].as_str().expect("an address");
        let page = self.must(&format!(
            "exec python3 -c 'import urllib.request as r; print(r.urlopen(\"http://{listen}/metrics\").read().decode())'"
        ));
        let value = page.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0, |value| value.trim().parse().expect("a number"))
    }

    /// A counter of the guard, by its name in the status.
    pub fn counter(&self, name: &str) -> u64 {
        let status = self.host.status();
        let counter = &status["guards"]["inbound"]["counters"][name];
        counter
            .as_u64()
            .unwrap_or_else(|| panic!("{name} in {status}"))
    }
}

impl Default for Front {
    fn default() -> Self {
        Self::new()
    }
}

/// A program that goes on until this is dropped.
#[derive(Debug)]
pub struct Meanwhile {
    child: Child,
}

impl Meanwhile {
    fn of(network: &Network, line: &str) -> Self {
        let mut command = network.command(line);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter");
        Self { child }
    }

    /// Its number, where its command line has become one program by `exec`.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGINT, as of Ctrl-C.
    pub fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("our own program");
    }

    /// Waits until it has printed a line.
    pub fn wait_for_line(&mut self) -> String {
        let mut line = String::new();
        let out = self.child.stdout.as_mut().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        line
    }

    /// Waits for its end: what it has printed.
    pub fn finish(mut self) -> String {
        let mut text = String::new();
        let out = self.child.stdout.as_mut().expect("a pipe");
        out.read_to_string(&mut text).expect("text");
        text
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
