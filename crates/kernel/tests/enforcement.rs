//! The programs on real processes, inside a cgroup that the test makes and removes.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{fs::MetadataExt, process::ExitStatusExt},
        path::{Path, PathBuf},
        process::{Command, ExitStatus},
        time::Duration,
    };

    use hayward_kernel::{Kernel, KernelOptions, KernelPolicy, Pins, uninstall, wire};
    use hayward_model::{Event, KernelVerdict, Mode};
    use hayward_rules::{
        Origin, Rule,
        table::{CommandTable, scope_words},
    };

    const BANNED: &str = "hayward-test-sentinel";

    /// A cgroup and pins of its own; both are gone when it is dropped.
    struct Place {
        cgroup: PathBuf,
        path: String,
        pins: PathBuf,
    }

    impl Place {
        fn new(name: &str) -> Self {
            let root = cgroup2();
            let name = format!("hayward-test-{}-{name}", std::process::id());
            let cgroup = root.join(&name);
            fs::create_dir(&cgroup).expect("a cgroup of the test's own");
            let pins = PathBuf::from("/sys/fs/bpf").join(&name);
            Self {
                cgroup,
                path: format!("/{name}"),
                pins,
            }
        }

        fn options(&self) -> KernelOptions {
            KernelOptions {
                pins: self.pins.clone(),
                root_cgroup: fs::metadata(&self.cgroup).expect("the cgroup").ino(),
                lease: Duration::from_secs(60),
                uid_min: None,
                users_policy: 0,
                fileless_kill: false,
                unscanned_kill: false,
            }
        }

        /// A kernel side that scopes `<place>/box/**`.
        fn kernel(&self, enforce: bool) -> Kernel {
            let policies = [
                KernelPolicy::default(),
                KernelPolicy {
                    command: true,
                    command_enforce: enforce,
                },
            ];
            let scope = scope_words(&[(format!("{}/box(/.*)?", self.path), 1)]).expect("a scope");
            let mut kernel = Kernel::load(&self.options(), table().words(), &scope, &policies)
                .expect("the kernel side loads");
            kernel.activate().expect("the programs attach");
            kernel
        }

        fn group(&self, name: &str) -> PathBuf {
            let path = self.cgroup.join(name);
            fs::create_dir_all(&path).expect("a cgroup");
            path
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = uninstall(&Pins::new(&self.pins));
            for inner in ["box/inner", "box", "outside", ""] {
                let _ = fs::remove_dir(self.cgroup.join(inner));
            }
        }
    }

    fn cgroup2() -> PathBuf {
        let mounts = fs::read_to_string("/proc/mounts").expect("/proc/mounts");
        let line = mounts
            .lines()
            .find(|line| line.split(' ').nth(2) == Some("cgroup2"));
        PathBuf::from(
            line.and_then(|line| line.split(' ').nth(1))
                .expect("a cgroup2 mount"),
        )
    }

    fn table() -> CommandTable {
        let rule = Rule {
            id: "test".to_owned(),
            banned: vec![BANNED.as_bytes().to_vec()],
            executable: Vec::new(),
            allow: vec![".*--help".to_owned()],
            mode: Mode::Enforce,
            response: None,
            reason: None,
            source: None,
            expires: None,
            secret: false,
            origin: Origin {
                file: "test".to_owned(),
                line: 1,
            },
        };
        let mut by_name = rule.clone();
        by_name.banned.clear();
        by_name.executable = vec!["/**/hayward-evil".to_owned(), "hayward-evil2".to_owned()];
        CommandTable::compile(vec![rule, by_name], 3, |_| 0).expect("good rules")
    }

    /// Starts `program` in `cgroup`: a shell joins the cgroup and then becomes the program.
    fn run_in(cgroup: &Path, program: &str, arguments: &[&str]) -> ExitStatus {
        Command::new("/bin/sh")
            .arg("-c")
            .arg(r#"echo $$ > "$0/cgroup.procs" && exec "$@""#)
            .arg(cgroup)
            .arg(program)
            .args(arguments)
            .status()
            .expect("a shell")
    }

    #[test]
    fn banned_dies_before_it_runs_and_everything_else_lives() {
        let place = Place::new("kill");
        let kernel = place.kernel(true);
        let inner = place.group("box/inner");
        let marker = tempfile::tempdir().expect("a folder");
        let file = marker.path().join("ran");
        let path = file.to_str().expect("a path");
        let status = run_in(&inner, "/usr/bin/touch", &[path, BANNED]);
        assert_eq!(status.signal(), Some(9));
        assert!(!file.exists(), "not one instruction ran");
        assert!(
            run_in(&inner, "/usr/bin/touch", &[path]).success(),
            "harmless ones live"
        );
        assert!(
            run_in(&inner, "/bin/echo", &[BANNED, "--help"]).success(),
            "allowed ones live"
        );
        let outside = place.group("outside");
        assert!(
            run_in(&outside, "/bin/echo", &[BANNED]).success(),
            "out of scope"
        );
        let counters = kernel.counters().expect("counters");
        assert_eq!(
            (counters.killed, counters.spared, counters.observed),
            (1, 1, 0)
        );
    }

    #[test]
    fn executables_are_known_by_the_file_that_runs() {
        let place = Place::new("name");
        let _kernel = place.kernel(true);
        let group = place.group("box");
        let folder = tempfile::tempdir().expect("a folder");
        for (name, dies) in [
            ("hayward-evil", true),
            ("hayward-evil2", true),
            ("harmless", false),
        ] {
            let program = folder.path().join(name);
            fs::copy("/bin/true", &program).expect("a copy");
            let status = run_in(&group, program.to_str().expect("a path"), &[]);
            assert_eq!(status.signal() == Some(9), dies, "{name}: {status:?}");
        }
        assert!(
            run_in(&group, "/bin/echo", &["hayward-evil"]).success(),
            "a mention is harmless"
        );
    }

    #[test]
    fn events_tell_who_what_and_which_rule() {
        let place = Place::new("event");
        let kernel = place.kernel(true);
        let group = place.group("box");
        let long = "x".repeat(5000);
        run_in(&group, "/bin/echo", &[BANNED]);
        run_in(&group, "/bin/echo", &[&long, BANNED]);
        let events = std::cell::RefCell::new(Vec::new());
        let stream = kernel
            .events(|bytes| events.borrow_mut().push(wire::decode(bytes)))
            .expect("a ring");
        stream.poll(Duration::ZERO).expect("events");
        let events = events.borrow();
        let [Ok(Event::Exec(first)), Ok(Event::Exec(second))] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(first.verdict, KernelVerdict::Killed);
        assert_eq!((first.rule, first.generation), (Some(0), 3));
        assert_eq!(
            first.cgroup_id,
            fs::metadata(&group).expect("the cgroup").ino()
        );
        assert_eq!(first.comm, "echo");
        assert!(
            first.executable.ends_with(b"/echo"),
            "{:?}",
            first.executable
        );
        assert_eq!(first.command_line, format!("/bin/echo {BANNED}").as_bytes());
        assert_eq!(first.match_end as usize, first.command_line.len());
        assert_eq!((first.uid, first.fileless), (0, false));
        assert_eq!(second.command_line.len(), 4096);
        assert_eq!(
            second.command_line_bytes as usize,
            10 + 5001 + BANNED.len() + 1
        );
        assert!(String::from_utf8_lossy(&second.match_window).contains(BANNED));
    }

    #[test]
    fn observe_off_and_a_lapsed_lease_spare_and_are_counted() {
        let place = Place::new("observe");
        let mut kernel = place.kernel(false);
        let group = place.group("box");
        assert!(run_in(&group, "/bin/echo", &[BANNED]).success(), "observed");
        assert_eq!(kernel.counters().expect("counters").observed, 1);
        let enforcing = KernelPolicy {
            command: true,
            command_enforce: true,
        };
        kernel
            .replace_policies(&[KernelPolicy::default(), enforcing])
            .expect("policies");
        assert_eq!(run_in(&group, "/bin/echo", &[BANNED]).signal(), Some(9));
        kernel.cells().off(None, None).expect("off");
        assert!(run_in(&group, "/bin/echo", &[BANNED]).success(), "off");
        kernel.cells().on(None).expect("on");
        assert_eq!(run_in(&group, "/bin/echo", &[BANNED]).signal(), Some(9));
        let mut options = place.options();
        options.lease = Duration::from_nanos(1);
        kernel.write_cells(&options).expect("cells");
        assert!(
            run_in(&group, "/bin/echo", &[BANNED]).success(),
            "the lease has run out"
        );
        assert!(kernel.counters().expect("counters").lease_expired > 0);
    }

    #[test]
    fn enforcement_outlives_the_agent_and_a_new_one_takes_over() {
        let place = Place::new("adopt");
        let group = place.group("box");
        let first = place.kernel(true);
        drop(first);
        // The cgroup was there before the programs: nobody has entered it yet.
        let inner = place.group("box/inner");
        assert_eq!(
            run_in(&inner, "/bin/echo", &[BANNED]).signal(),
            Some(9),
            "no agent"
        );
        let second = place.kernel(true);
        assert!(second.adopted());
        second
            .set_scope(fs::metadata(&group).expect("the cgroup").ino(), 1)
            .expect("a scope");
        assert_eq!(
            run_in(&group, "/bin/echo", &[BANNED]).signal(),
            Some(9),
            "adopted"
        );
        assert_eq!(
            second.counters().expect("counters").killed,
            2,
            "counters go on, none twice"
        );
        let links = Pins::new(&place.pins);
        drop(second);
        assert!(uninstall(&links).expect("uninstall") > 0);
        assert!(!place.pins.exists());
        assert!(
            run_in(&inner, "/bin/echo", &[BANNED]).success(),
            "uninstalled"
        );
    }

    #[test]
    fn a_table_that_outgrows_its_size_class_takes_over_without_a_gap() {
        let place = Place::new("grow");
        let mut kernel = place.kernel(true);
        let group = place.group("box");
        let mut words = table().words().to_vec();
        words.resize(2 << 20, 0);
        kernel
            .replace_command_table(&words)
            .expect("a larger class");
        assert_eq!(run_in(&group, "/bin/echo", &[BANNED]).signal(), Some(9));
        kernel
            .replace_command_table(table().words())
            .expect("a smaller class");
        assert_eq!(run_in(&group, "/bin/echo", &[BANNED]).signal(), Some(9));
        assert_eq!(kernel.counters().expect("counters").killed, 2);
    }

    #[test]
    fn a_second_agent_with_the_same_pins_is_refused() {
        let place = Place::new("second");
        let _first = place.kernel(true);
        let error = Kernel::load(&place.options(), table().words(), &[0], &[]).expect_err("locked");
        assert!(
            error.to_string().contains("another agent is running"),
            "{error}"
        );
    }
}
