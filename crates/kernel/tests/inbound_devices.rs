//! The programs of the guard `inbound` at a network device, by each hook: XDP, links of `tcx`, and filters as before Linux 6.6.
//! The host is a network of the test's own, and whoever sends to it is in another.

#[cfg(test)]
mod place;

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        io::{BufRead, BufReader},
        process::{Child, Command, Stdio},
        time::{Duration, Instant},
    };

    use hayward_kernel::{
        AttachedProgram, Hook, InboundBans, InboundProof, Kernel, KernelOptions, Pins,
        enter_own_network,
    };
    use hayward_model::{BanStrength, Guard};

    use crate::place::Place;

    const SENDER: &str = "198.51.100.2";

    /// A network beside that of this thread, with the other end of a pair of veth devices.
    struct Sender(Child);

    impl Sender {
        fn new() -> Self {
            enter_own_network([127, 0, 0, 1].into()).expect("a network of this thread's own");
            let mut child = Command::new("unshare")
                .args(["--net", "sh", "-c", "echo; exec cat"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("unshare");
            let mut line = String::new();
            let out = child.stdout.take().expect("a pipe");
            BufReader::new(out).read_line(&mut line).expect("a line");
            let sender = Self(child);
            run(&format!(
                "ip link add v0 type veth peer name v1 netns {} && ip link set v0 up && ip addr add 198.51.100.1/24 dev v0",
                sender.0.id()
            ));
            sender.does(&format!(
                "ip link set v1 up && ip addr add {SENDER}/24 dev v1"
            ));
            sender
        }

        fn does(&self, line: &str) {
            let net = format!("--net=/proc/{}/ns/net", self.0.id());
            let done = Command::new("nsenter")
                .args([&net, "sh", "-c", line])
                .status();
            assert!(done.expect("nsenter").success(), "{line}");
        }

        /// A datagram to a port of the host.
        fn sends(&self, port: u16) {
            self.does(&format!(
                "exec python3 -c 'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b\"hi\", (\"198.51.100.1\", {port}))'"
            ));
        }
    }

    impl Drop for Sender {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn run(line: &str) -> String {
        let output = Command::new("sh").args(["-c", line]).output();
        let output = output.expect("a shell");
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn device(name: &str) -> u32 {
        let number = run(&format!("ip -o link show dev {name}"));
        let number = number.split(':').next().expect("a number");
        number.parse().expect("a number")
    }

    fn load(options: &KernelOptions) -> Kernel {
        let kernel = Kernel::load(options, &[0], &[0]).expect("it loads");
        let failure = kernel.failure(Guard::Inbound);
        assert!(failure.is_none(), "{failure:?}");
        kernel
    }

    fn look_at(kernel: &mut Kernel, hook: Hook) {
        let device = device("v0");
        let mut looks = kernel.look_at(&BTreeMap::from([(device, vec![hook])]));
        let looks = looks.remove(&device).expect("an answer");
        assert_eq!(looks.expect("it attaches"), hook);
    }

    fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < deadline, "never came to {what}");
            std::thread::yield_now();
        }
    }

    fn contacts(kernel: &Kernel) -> u64 {
        kernel.counters().expect("counters").inbound_contacts
    }

    fn dropped(kernel: &Kernel) -> u64 {
        kernel.counters().expect("counters").inbound_dropped
    }

    /// It sees what arrives and drops what is banned; the next agent takes over, and what is left at the end is nothing.
    fn works(name: &str, hook: Hook, filters: bool) {
        let sender = Sender::new();
        let place = Place::new(name);
        let options = KernelOptions {
            network: vec![Guard::Inbound],
            filters,
            ..place.options()
        };
        let mut kernel = load(&options);
        kernel.activate().expect("it attaches");
        look_at(&mut kernel, hook);
        assert!(kernel.prove_inbound().expect("it runs"));
        sender.sends(1_000);
        wait_for("a contact", || contacts(&kernel) >= 1);
        // Tables of another size class are of programs that are loaded anew.
        kernel
            .replace_tables(&vec![0; 100_000], &[0])
            .expect("room");
        assert!(kernel.prove_inbound().expect("it runs"));
        sender.sends(1_001);
        wait_for("another contact", || contacts(&kernel) >= 2);
        drop(kernel);
        let mut kernel = load(&options);
        look_at(&mut kernel, hook);
        kernel.activate().expect("it attaches");
        assert!(kernel.prove_inbound().expect("it runs"));
        sender.sends(1_002);
        wait_for("a contact with the next one", || contacts(&kernel) >= 3);
        let mut bans = InboundBans::open(&Pins::new(&place.pins), 64).expect("maps");
        let net = format!("{SENDER}/32").parse().expect("a prefix");
        bans.put(net, None, BanStrength::Full).expect("room");
        assert_eq!(proof(&mut kernel), InboundProof::Works);
        // The proofs were dropped too.
        let (before, proofs) = (contacts(&kernel), dropped(&kernel));
        sender.sends(1_003);
        wait_for("a drop", || dropped(&kernel) > proofs);
        assert_eq!(contacts(&kernel), before);
        // Each frame is seen once: nothing of an earlier one is left.
        let looks = kernel.look_at(&BTreeMap::new());
        assert!(looks.is_empty());
        sender.sends(1_004);
        let left = run(
            "ip -d link show dev v0; tc filter show dev v0 ingress; tc filter show dev v0 egress",
        );
        assert!(
            !left.contains("xdp") && !left.contains("on_inbound"),
            "{left}"
        );
        assert_eq!(dropped(&kernel), proofs + 1, "nobody looks any more");
    }

    fn proof(kernel: &mut Kernel) -> InboundProof {
        kernel.prove_inbound_at().expect("it runs")[&device("v0")]
    }

    /// Others can take a filter off, and tell nobody.
    #[test]
    fn what_was_taken_off_a_device_proves_nothing_there_and_is_attached_again() {
        let sender = Sender::new();
        let place = Place::new("taken-off");
        let options = KernelOptions {
            network: vec![Guard::Inbound],
            filters: true,
            ..place.options()
        };
        let mut kernel = load(&options);
        kernel.activate().expect("it attaches");
        look_at(&mut kernel, Hook::Tc);
        assert_eq!(proof(&mut kernel), InboundProof::Works);
        run("tc filter del dev v0 ingress");
        assert_eq!(proof(&mut kernel), InboundProof::TakenOff);
        assert!(kernel.prove_inbound().expect("it runs"));
        look_at(&mut kernel, Hook::Tc);
        assert_eq!(proof(&mut kernel), InboundProof::Works);
        sender.sends(1_000);
        wait_for("a contact", || contacts(&kernel) >= 1);
        let filters = run("tc filter show dev v0 ingress; tc filter show dev v0 egress");
        assert_eq!(filters.matches("direct-action").count(), 2, "{filters}");
    }

    #[test]
    fn by_xdp_in_the_driver() {
        works("native", Hook::Native, false);
    }

    #[test]
    fn by_xdp_with_any_driver() {
        works("generic", Hook::Generic, false);
    }

    #[test]
    fn by_links_of_tcx() {
        works("tcx", Hook::Tc, false);
    }

    #[test]
    fn by_filters() {
        works("filters", Hook::Tc, true);
    }

    #[test]
    fn a_table_of_sources_gives_way_to_one_of_another_size() {
        let place = Place::new("sources");
        let mut options = KernelOptions {
            network: vec![Guard::Inbound],
            ..place.options()
        };
        let tables = |options: &KernelOptions| {
            load(options).activate().expect("it attaches");
            let folders = std::fs::read_dir(&place.pins).expect("pins");
            let files = folders.flat_map(|folder| std::fs::read_dir(folder.expect("one").path()));
            let names = files
                .flatten()
                .filter_map(|file| file.ok()?.file_name().into_string().ok());
            names
                .filter(|name| name.starts_with("inbound_sources"))
                .collect::<Vec<_>>()
        };
        assert_eq!(tables(&options), ["inbound_sources-8192"]);
        options.inbound.sources = 1024;
        assert_eq!(tables(&options), ["inbound_sources-128"]);
        assert_eq!(tables(&options), ["inbound_sources-128"]);
        options.network.clear();
        assert_eq!(tables(&options), Vec::<String>::new());
    }

    #[test]
    fn what_is_attached_is_found_by_its_pin_and_run_with_its_maps() {
        let _sender = Sender::new();
        let place = Place::new("found");
        let options = KernelOptions {
            network: vec![Guard::Inbound],
            ..place.options()
        };
        let pins = Pins::new(&place.pins);
        let mut kernel = load(&options);
        kernel.activate().expect("it attaches");
        let nowhere = AttachedProgram::open(&pins, "on_inbound_frame");
        assert!(nowhere.is_err(), "it looks at no device yet");
        look_at(&mut kernel, Hook::Tc);
        let program = AttachedProgram::open(&pins, "on_inbound_frame").expect("it is attached");
        let mut frame = [[2; 12].as_slice(), &[0x08, 0x00]].concat();
        frame.extend([0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0]);
        frame.extend([203, 0, 113, 9, 198, 51, 100, 1]);
        frame.extend([156, 64, 0, 22, 0, 0, 0, 1, 0, 0, 0, 0]);
        frame.extend([0x50, 0x02, 4, 0, 0, 0, 0, 0]);
        let passes = program.run(&frame).expect("it runs");
        assert_eq!((passes, contacts(&kernel)), (u32::MAX, 1));
        let short = program.run(&frame[..4]).expect_err("it is no frame");
        assert!(short.to_string().contains("on_inbound_frame"), "{short}");
    }

    #[test]
    fn what_cannot_be_attached_is_said_and_nothing_is_left() {
        let _sender = Sender::new();
        let place = Place::new("refused");
        let mut options = KernelOptions {
            network: vec![Guard::Inbound],
            ..place.options()
        };
        options.inbound.enforce = false;
        let mut kernel = load(&options);
        kernel.activate().expect("it attaches");
        let proven = kernel.prove_inbound().expect("it runs");
        assert!(proven, "where it only observes, too");
        // Bridges carry no XDP of their own.
        run("ip link add b0 type bridge");
        let bridge = device("b0");
        let look = |kernel: &mut Kernel, hooks: &[Hook]| {
            let mut looks = kernel.look_at(&BTreeMap::from([(bridge, hooks.to_vec())]));
            looks.remove(&bridge).expect("an answer")
        };
        let refused = look(&mut kernel, &[Hook::Native]).expect_err("no driver");
        let refused = refused.to_string();
        for part in [
            "its driver takes no",
            "os error 95",
            "set `attach: generic`",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
        let generic = look(&mut kernel, &[Hook::Native, Hook::Generic]);
        assert_eq!(generic.expect("without a driver"), Hook::Generic);
        let nowhere = 4_000_000;
        let looks = kernel.look_at(&BTreeMap::from([(nowhere, vec![Hook::Generic, Hook::Tc])]));
        // A device that has gone meanwhile is none to fail for, but for XDP, which says so.
        assert_eq!(looks.len(), 1);
        let links = std::fs::read_dir(place.pins.join("links")).expect("links");
        let names = links.filter_map(|link| link.ok()?.file_name().into_string().ok());
        let left: Vec<_> = names.filter(|name| name.contains('@')).collect();
        assert_eq!(left, Vec::<String>::new());
    }
}
