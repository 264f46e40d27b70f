//! The programs on real processes, inside a cgroup that the test makes and removes.

#[cfg(test)]
mod place;

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{fs::MetadataExt, process::ExitStatusExt},
        path::Path,
        process::{Command, ExitStatus},
        time::Duration,
    };

    use hayward_kernel::{Cell, Kernel, Pins, Variant, uninstall, wire};
    use hayward_model::{Event, Guard, KernelVerdict, Mode, ScopePolicy};
    use hayward_rules::{
        Rule,
        table::{CommandTable, ScopeTable},
    };
    use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

    use crate::place::Place;

    const BANNED: &str = "hayward-test-sentinel";

    /// Does the same with each variant of the programs; this kernel must take them all.
    fn with_each_variant(name: &str, act: impl Fn(Place)) {
        for variants in Variant::ALL.chunks(1) {
            eprintln!("{variants:?}");
            let mut place = Place::new(name);
            place.variants = variants;
            act(place);
        }
    }

    impl Place {
        fn scope(&self, mode: Mode) -> ScopeTable {
            let pattern = format!("{}/box(/.*)?", self.path);
            ScopeTable::compile(&[(pattern, policy(mode))]).expect("a scope")
        }

        /// A kernel side that scopes `<place>/box/**`.
        fn kernel(&self, enforce: bool) -> Kernel {
            let mode = if enforce {
                Mode::Enforce
            } else {
                Mode::Observe
            };
            let scope = self.scope(mode);
            let mut kernel = Kernel::load(&self.options(), table().words(), scope.words())
                .expect("the kernel side loads");
            kernel.activate().expect("the programs attach");
            kernel
        }
    }

    fn policy(mode: Mode) -> ScopePolicy {
        ScopePolicy::of(Guard::Command, mode)
    }

    fn table() -> CommandTable {
        let rule = Rule {
            banned: vec![BANNED.as_bytes().to_vec()],
            allow: vec![".*--help".to_owned()],
            ..Rule::new("test", "test", 1)
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
        with_each_variant("kill", |place| {
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
        });
    }

    #[test]
    fn executables_are_known_by_the_file_that_runs() {
        with_each_variant("name", |place| {
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
        });
    }

    #[test]
    fn events_tell_who_what_and_which_rule() {
        with_each_variant("event", |place| {
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
        });
    }

    #[test]
    fn observe_off_and_a_lapsed_lease_spare_and_are_counted() {
        with_each_variant("observe", |place| {
            let kernel = place.kernel(false);
            let group = place.group("box");
            let id = fs::metadata(&group).expect("the cgroup").ino();
            assert!(run_in(&group, "/bin/echo", &[BANNED]).success(), "observed");
            assert_eq!(kernel.counters().expect("counters").observed, 1);
            kernel
                .set_scope(id, policy(Mode::Enforce))
                .expect("a scope");
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
        });
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
            .set_scope(
                fs::metadata(&group).expect("the cgroup").ino(),
                policy(Mode::Enforce),
            )
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
    fn one_variant_takes_over_from_the_other() {
        let mut place = Place::new("variant");
        let group = place.group("box");
        let inner = place.group("box/inner");
        let id = fs::metadata(&group).expect("the cgroup").ino();
        for (round, variants) in [0, 1, 0]
            .map(|at| &Variant::ALL[at..=at])
            .iter()
            .enumerate()
        {
            place.variants = variants;
            let kernel = place.kernel(true);
            assert_eq!(kernel.adopted(), round > 0);
            kernel
                .set_scope(id, policy(Mode::Enforce))
                .expect("a scope");
            let status = run_in(&inner, "/bin/echo", &[BANNED]);
            assert_eq!(status.signal(), Some(9), "{variants:?}");
            let killed = kernel.counters().expect("counters").killed;
            assert_eq!(killed, round as u64 + 1);
        }
    }

    #[test]
    fn a_table_that_outgrows_its_size_class_takes_over_without_a_gap() {
        with_each_variant("grow", |place| {
            let mut kernel = place.kernel(true);
            let group = place.group("box");
            let scope = place.scope(Mode::Enforce);
            let mut words = table().words().to_vec();
            words.resize(2 << 20, 0);
            kernel
                .replace_tables(&words, scope.words())
                .expect("a larger class");
            assert_eq!(run_in(&group, "/bin/echo", &[BANNED]).signal(), Some(9));
            kernel
                .replace_tables(table().words(), scope.words())
                .expect("a smaller class");
            assert_eq!(run_in(&group, "/bin/echo", &[BANNED]).signal(), Some(9));
            let mut words = scope.words().to_vec();
            words.resize(1 << 17, 0);
            kernel
                .replace_tables(table().words(), &words)
                .expect("a larger class of the scope");
            let inner = place.group("box/inner");
            assert_eq!(run_in(&inner, "/bin/echo", &[BANNED]).signal(), Some(9));
            assert_eq!(kernel.counters().expect("counters").killed, 3);
            let folders = fs::read_dir(&place.pins).expect("pins");
            let mut folders = folders.map(|entry| entry.expect("a folder").path());
            let maps = folders.find(|path| path.to_string_lossy().contains("/maps-"));
            let pinned = fs::read_dir(maps.expect("maps")).expect("pins");
            let names = pinned.map(|entry| entry.expect("a pin").file_name().into_string());
            let tables =
                names.filter(|name| name.as_ref().is_ok_and(|name| name.contains("_tables")));
            assert_eq!(tables.count(), 2, "outgrown tables are not kept");
        });
    }

    #[test]
    fn maps_of_another_version_go_and_what_was_switched_off_there_stays_off() {
        let place = Place::new("layout");
        let folder = place.pins.join("maps-1");
        fs::create_dir_all(&folder).expect("a folder");
        let (key, value) = (4, 8);
        let options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
            ..Default::default()
        };
        let name = Some("cells");
        let mut cells =
            MapHandle::create(MapType::Array, name, key, value, 64, &options).expect("a map");
        let until = u64::MAX.to_ne_bytes();
        cells
            .update(
                &(Cell::OffCommand as u32).to_ne_bytes(),
                &until,
                MapFlags::ANY,
            )
            .expect("switched off");
        cells.pin(folder.join("cells")).expect("pinned");
        let kernel = place.kernel(true);
        assert!(!folder.exists());
        let off = |guard| kernel.cells().off_until(guard).expect("cells");
        assert_eq!(
            (off(Guard::Command), off(Guard::Randomx)),
            (Some(u64::MAX), None)
        );
        let group = place.group("box");
        assert!(run_in(&group, "/bin/echo", &[BANNED]).success());
    }

    #[test]
    fn a_table_swapped_during_a_judgement_changes_no_verdict() {
        with_each_variant("swap", |place| {
            let mut kernel = place.kernel(true);
            let group = place.group("box");
            let scope = place.scope(Mode::Enforce);
            let strings = (0..900).map(|number| format!("{number}-of-another").into_bytes());
            let mut rules = table().rules().to_vec();
            rules[0].banned.extend(strings);
            let other = CommandTable::compile(rules, 4, |_| 0).expect("good rules");
            let tables = [other, table()];
            // Beginnings of banned strings keep the programs busy, so that swaps hit them.
            let long = "hayward-test-sentine 1-of-anothe ".repeat(300);
            std::thread::scope(|threads| {
                let starts = threads.spawn(|| {
                    for _ in 0..150 {
                        let harmless = run_in(&group, "/bin/true", &[&long, &long]);
                        assert!(harmless.success(), "{harmless:?}");
                        let banned = run_in(&group, "/bin/true", &[&long, &long, BANNED]);
                        assert_eq!(banned.signal(), Some(9));
                    }
                });
                for table in tables.iter().cycle().take_while(|_| !starts.is_finished()) {
                    kernel
                        .replace_tables(table.words(), scope.words())
                        .expect("a swap");
                }
            });
            assert_eq!(kernel.counters().expect("counters").unscanned_long, 0);
        });
    }

    #[test]
    fn a_second_agent_with_the_same_pins_is_refused() {
        let place = Place::new("second");
        let _first = place.kernel(true);
        let error = Kernel::load(&place.options(), table().words(), &[0]).expect_err("locked");
        assert!(
            error.to_string().contains("another agent is running"),
            "{error}"
        );
    }
}
