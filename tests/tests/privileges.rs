//! The packaged unit grants what the agent needs and no more: with exactly that it does all its work, and without any one
//! of it something is lost, and said to be.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{fs::PermissionsExt, process::ExitStatusExt},
        path::{Path, PathBuf},
        process::{Child, Command},
    };

    use hayward_tests::{BANNED, Ended, Host, Launch, Start, copy_program};

    const UNIT: &str = include_str!("../../packaging/hayward.service");
    const NOBODY: u32 = 65534;
    const EXPECTED: [&str; 7] = [
        "CAP_BPF",
        "CAP_CHOWN",
        "CAP_DAC_READ_SEARCH",
        "CAP_KILL",
        "CAP_NET_ADMIN",
        "CAP_PERFMON",
        "CAP_SYS_PTRACE",
    ];

    fn setting(name: &str) -> Vec<&'static str> {
        UNIT.lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .flat_map(str::split_whitespace)
            .collect()
    }

    /// An agent with these capabilities alone. Every word is of the unit itself.
    fn spawn(host: &mut Host, capabilities: &[&str]) {
        let mut set = "-all".to_owned();
        for capability in capabilities {
            set += ",+";
            set += &capability.trim_start_matches("CAP_").to_lowercase();
        }
        let set = format!("--bounding-set={set}");
        host.spawn_by(&["setpriv", "--no-new-privs", &set]);
    }

    fn without(lacking: &str) -> Vec<&'static str> {
        EXPECTED
            .into_iter()
            .filter(|capability| *capability != lacking)
            .collect()
    }

    /// A place in which a stranger's processes run: readers are the group `games`, and the scan is quick.
    struct Place {
        host: Host,
        perl: PathBuf,
        running: Vec<Child>,
    }

    impl Place {
        fn new() -> Self {
            let host = Host::new();
            let perl = host.path("badtool");
            copy_program("/usr/bin/perl", &perl);
            let open = fs::Permissions::from_mode(0o755);
            fs::set_permissions(host.folder.path(), open).expect("our own folder");
            host.write_rules(&format!(
                "rules:\n  - {{id: test/banned, banned: [{BANNED}]}}\n  - {{id: test/tool, executable: [badtool]}}\n"
            ));
            host.write_settings(&Start {
                command: "scan: 100ms".to_owned(),
                ..Start::default()
            });
            host.edit_settings("hayward.sock}", "hayward.sock, readers: games}");
            Self {
                host,
                perl,
                running: Vec::new(),
            }
        }

        /// A process of nobody's in `cgroup`, which was there before the agent and ends after a minute.
        fn stranger(&mut self, program: &Path, word: &str, cgroup: &Path) -> usize {
            let child = Command::new("/bin/sh")
                .args([
                    "-c",
                    r#"echo $$ > "$PROCS"; exec setpriv --reuid=65534 --regid=65534 --clear-groups "$PROGRAM" -e '$|=1; print STDERR ""; sleep 60' "$WORD""#,
                ])
                .env("PROCS", cgroup.join("cgroup.procs"))
                .env("PROGRAM", program)
                .env("WORD", word)
                .spawn()
                .expect("a shell");
            let exe = PathBuf::from(format!("/proc/{}/exe", child.id()));
            let name = program.file_name().expect("a name").to_owned();
            self.host.wait_until("the stranger's program", || {
                fs::read_link(&exe).is_ok_and(|path| path.ends_with(&name))
            });
            self.running.push(child);
            self.running.len() - 1
        }

        fn lives(&mut self, index: usize) -> bool {
            self.running[index].try_wait().expect("a child").is_none()
        }

        fn was_killed(&mut self, index: usize) {
            let child = &mut self.running[index];
            let mut ended = None;
            self.host.wait_until("the stranger's end", || {
                ended = child.try_wait().expect("a child");
                ended.is_some()
            });
            assert_eq!(ended.and_then(|status| status.signal()), Some(9));
        }

        /// Waits for a scan that began after this was called.
        fn scanned(&self) {
            let scans = || {
                let status = self.host.status();
                status["guards"]["command"]["scan"]["scans"].as_u64()
            };
            let before = scans().expect("a count");
            self.host
                .wait_until("two scans", || scans().is_some_and(|now| now > before + 1));
        }

        fn problems(&self) -> String {
            self.host.status()["problems"].to_string()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            for child in &mut self.running {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }

    #[test]
    fn the_unit_grants_exactly_this() {
        assert_eq!(setting("CapabilityBoundingSet"), EXPECTED);
        assert!(setting("AmbientCapabilities").is_empty());
        for (name, value) in [
            ("NoNewPrivileges", "yes"),
            ("ProtectSystem", "strict"),
            ("LimitMEMLOCK", "infinity"),
            ("UMask", "0077"),
            ("StateDirectoryMode", "0700"),
        ] {
            assert_eq!(setting(name), [value], "{name}");
        }
        // The API, metrics, and news of network devices.
        let families = setting("RestrictAddressFamilies");
        assert_eq!(families, ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_UNIX"]);
        // A cgroup for the canary and the drill, and the pins: without these two nothing works.
        let writable = setting("ReadWritePaths");
        assert_eq!(writable, ["/sys/fs/bpf", "/sys/fs/cgroup"]);
    }

    #[test]
    fn systemd_finds_nothing_wrong_with_the_unit() {
        let folder = tempfile::tempdir().expect("a folder");
        let unit = folder.path().join("hayward.service");
        // Neither the binary nor the page is installed here.
        let text = UNIT.replace("/usr/bin/hayward", "/bin/true");
        let text = text.replace("Documentation=man:hayward(1)\n", "");
        fs::write(&unit, text).expect("a unit");
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&unit)
            .output()
            .expect("systemd-analyze (Debian's package systemd)");
        let said = String::from_utf8_lossy(&output.stderr);
        let about_it: Vec<_> = said
            .lines()
            .filter(|line| line.contains("hayward"))
            .collect();
        assert!(about_it.is_empty(), "{about_it:?}");
        assert!(output.status.success(), "{said}");
    }

    #[test]
    fn with_exactly_that_it_does_all_its_work() {
        let mut place = Place::new();
        let inside = place.host.inside.clone();
        let closed = inside.join("closed");
        fs::create_dir(&closed).expect("a cgroup");
        std::os::unix::fs::chown(&closed, Some(NOBODY), Some(NOBODY)).expect("our own cgroup");
        let by_word = place.stranger(Path::new("/usr/bin/perl"), BANNED, &inside);
        let badtool = place.perl.clone();
        let by_name = place.stranger(&badtool, "harmless", &inside);
        let in_closed = place.stranger(Path::new("/usr/bin/perl"), BANNED, &closed);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("our own cgroup");
        spawn(&mut place.host, &EXPECTED);
        place
            .host
            .hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        for index in [by_word, by_name, in_closed] {
            place.was_killed(index);
        }
        let host = &place.host;
        host.wait_for_records("killed", 3);
        let ended = Launch::new("/bin/true", &[BANNED]).run(&host.inside);
        assert_eq!(ended, Ended::Signal(9));
        host.hayward(&["drill"]).ok();
        host.hayward(&["reload"]).ok();
        host.hayward(&["off"]).ok();
        host.hayward(&["on"]).ok();
        assert_eq!(place.problems(), "[]");
        let socket = fs::metadata(host.path("hayward.sock")).expect("a socket");
        assert_eq!(socket.permissions().mode() & 0o777, 0o660);
    }

    #[test]
    fn without_one_of_the_two_that_load_programs_it_does_not_start() {
        for lacking in ["CAP_BPF", "CAP_PERFMON"] {
            let mut place = Place::new();
            spawn(&mut place.host, &without(lacking));
            let status = place.host.agent.as_mut().expect("an agent").wait();
            assert_eq!(status.expect("a child").code(), Some(5), "{lacking}");
            let log = place.host.log();
            assert!(log.contains("run as root, or with CAP_BPF"), "{log}");
        }
    }

    /// An agent without one capability, which enforces, and says what it cannot do.
    fn enforcing_without(place: &mut Place, lacking: &str) {
        spawn(&mut place.host, &without(lacking));
        let wait = ["status", "--wait", "enforcing", "--timeout", "20s"];
        place.host.hayward(&wait).ok();
        let problems = place.problems();
        assert!(problems.contains(lacking), "{problems}");
        assert!(place.host.log().contains(&format!("without {lacking}")));
    }

    #[test]
    fn without_kill_the_scan_ends_nothing_of_other_users() {
        let mut place = Place::new();
        let inside = place.host.inside.clone();
        let stranger = place.stranger(Path::new("/usr/bin/perl"), BANNED, &inside);
        enforcing_without(&mut place, "CAP_KILL");
        let record = place.host.wait_for_records("missed", 1).remove(0);
        assert_eq!(record["process"]["uid"], NOBODY);
        assert!(place.lives(stranger));
    }

    #[test]
    fn without_ptrace_the_scan_sees_no_executable_of_other_users() {
        let mut place = Place::new();
        let inside = place.host.inside.clone();
        let badtool = place.perl.clone();
        let unseen = place.stranger(&badtool, "harmless", &inside);
        enforcing_without(&mut place, "CAP_SYS_PTRACE");
        place.scanned();
        assert!(place.lives(unseen));
        assert!(place.host.records("killed").is_empty());
    }

    #[test]
    fn without_dac_the_scan_cannot_look_into_a_closed_cgroup() {
        let mut place = Place::new();
        let closed = place.host.inside.join("closed");
        fs::create_dir(&closed).expect("a cgroup");
        std::os::unix::fs::chown(&closed, Some(NOBODY), Some(NOBODY)).expect("our own cgroup");
        let unseen = place.stranger(Path::new("/usr/bin/perl"), BANNED, &closed);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("our own cgroup");
        enforcing_without(&mut place, "CAP_DAC_READ_SEARCH");
        place.scanned();
        assert!(place.lives(unseen));
    }

    #[test]
    fn without_chown_readers_cannot_look() {
        let mut place = Place::new();
        enforcing_without(&mut place, "CAP_CHOWN");
        let socket = fs::metadata(place.host.path("hayward.sock")).expect("a socket");
        assert_eq!(socket.permissions().mode() & 0o777, 0o600);
        let problems = place.problems();
        assert!(problems.contains("group games"), "{problems}");
    }

    #[test]
    fn without_net_admin_the_guard_egress_is_absent_and_says_why_and_the_others_work() {
        for (lacking, status) in [("CAP_NET_ADMIN", "absent"), ("", "enforcing")] {
            let mut host = Host::new();
            host.write_settings(&Start::default());
            host.edit_settings("guards:\n", "guards:\n  egress: {policy: deny}\n");
            spawn(&mut host, &without(lacking));
            host.wait_until("a proven agent", || {
                let status = host.hayward(&["status", "--json"]);
                status.code == 0 && status.json()["guards"]["command"]["status"] == "enforcing"
            });
            let guard = host.hayward(&["status", "--json"]).ok().json()["guards"]["egress"].clone();
            assert_eq!(guard["status"], status, "{guard}");
            let reason = guard["reason"].as_str().unwrap_or_default();
            assert_eq!(
                reason.contains("CAP_NET_ADMIN"),
                status == "absent",
                "{reason}"
            );
        }
    }
}
