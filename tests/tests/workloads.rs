//! Whole workloads: listed, stopped, slowed down and ended by hand, and what is never touched.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::MetadataExt,
        path::{Path, PathBuf},
        process::{Child, Command, Stdio},
        thread::sleep,
        time::Duration,
    };

    use hayward_respond::{Act, ActError, Bounds, Grace, Restrictions, Standing, Target, act};
    use hayward_tests::{Answer, Host, Start};

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OTHER: &str = "0123456789abcdee0123456789abcdef0123456789abcdef0123456789abcdef";

    /// A cgroup of a container in scope.
    fn container(host: &Host, id: &str) -> PathBuf {
        let cgroup = host.inside.join(format!("docker-{id}.scope"));
        fs::create_dir(&cgroup).expect("a cgroup of our own");
        cgroup
    }

    /// A shell in a cgroup. It ends with the cgroup.
    fn shell(cgroup: &Path, script: &str) -> Child {
        let child = Command::new("sh")
            .args(["-c", &format!("echo $$ > \"$0/cgroup.procs\"; {script}")])
            .arg(cgroup)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let pid = child.id().to_string();
        while !pids(cgroup).contains(&pid) {
            sleep(Duration::from_millis(1));
        }
        child
    }

    fn pids(cgroup: &Path) -> Vec<String> {
        let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn value(cgroup: &Path, file: &str, key: &str) -> u64 {
        let text = fs::read_to_string(cgroup.join(file)).expect("a file of the kernel");
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.expect(key).trim().parse().expect("a number")
    }

    /// Whether anything in a cgroup ran within a quarter of a second.
    fn runs(cgroup: &Path) -> bool {
        let used = || value(cgroup, "cpu.stat", "usage_usec");
        let before = used();
        sleep(Duration::from_millis(250));
        used() > before
    }

    /// A cgroup's path below the mount.
    fn path(host: &Host, cgroup: &Path) -> String {
        let mount = host.cgroup.parent().expect("a mount");
        format!("/{}", cgroup.strip_prefix(mount).expect("below").display())
    }

    fn refused(answer: &Answer, code: i32, text: &str) {
        assert!(
            answer.code == code && answer.err.contains(text),
            "{text}: {answer:?}"
        );
    }

    #[test]
    fn a_frozen_container_stands_still_and_goes_on_after_the_next_agent_thaws_it() {
        let mut host = Host::new().start(&Start::default());
        let cgroup = container(&host, ID);
        let below = cgroup.join("init");
        fs::create_dir(&below).expect("a cgroup");
        let mut busy = shell(&below, "while :; do :; done");
        assert!(runs(&cgroup));
        let dry = host.hayward(&["freeze", &ID[..12], "--dry-run"]).ok();
        assert!(dry.out.contains("would be frozen"), "{dry:?}");
        assert!(runs(&cgroup));

        let said = host.hayward(&["freeze", &path(&host, &below)]).ok();
        assert!(said.out.starts_with("frozen: 0123456789ab ("), "{said:?}");
        assert!(!runs(&cgroup));
        let again = host.hayward(&["freeze", &ID[..12]]).ok();
        assert!(again.out.contains("nothing to do"), "{again:?}");

        host.kill_agent();
        assert!(!runs(&cgroup));
        let host = host.running();
        let listed = host.hayward(&["workloads", "--json"]).ok().json();
        let listed = listed.as_array().expect("a list");
        let it = listed
            .iter()
            .find(|it| it["workload"]["container_id"] == ID);
        let it = it.expect("it is listed");
        assert_eq!((&it["frozen"], &it["processes"]), (&true.into(), &1.into()));
        assert_eq!(it["restriction"]["frozen"], true, "{it}");
        assert_eq!(it["guards"]["command"], "enforce", "{it}");
        let table = host.hayward(&["workloads"]).ok().out;
        assert!(
            table.contains("frozen") && table.contains("container"),
            "{table}"
        );

        let id = fs::metadata(&cgroup).expect("it is there").ino();
        host.hayward(&["thaw", &id.to_string()]).ok();
        assert!(runs(&cgroup));
        for action in ["frozen", "thawed"] {
            let records = host.records(action);
            assert_eq!(records.len(), 1, "{action}: {records:?}");
            assert_eq!(records[0]["actor"]["uid"], 0);
            assert_eq!(records[0]["workload"]["cgroup"], path(&host, &cgroup));
        }
        busy.kill().expect("our own child");
        busy.wait().expect("it ended");
    }

    #[test]
    fn what_somebody_else_froze_is_not_thawed() {
        let host = Host::new().start(&Start::default());
        let cgroup = container(&host, ID);
        fs::write(cgroup.join("cgroup.freeze"), "1").expect("our own");
        refused(&host.hayward(&["thaw", &ID[..12]]), 6, "not by Hayward");
        let table = host.hayward(&["workloads"]).ok().out;
        assert!(table.contains("frozen by others"), "{table}");
        let named = host.inside.join("\x1b[31m");
        fs::create_dir(&named).expect("a cgroup");
        fs::write(named.join("cgroup.freeze"), "1").expect("our own");
        let table = host.hayward(&["workloads"]).ok().out;
        assert!(table.contains("/\u{fffd}[31m"), "{table}");
        let answer = host.hayward(&["thaw", &path(&host, &named)]);
        refused(&answer, 6, "/\u{fffd}[31m");
        assert_eq!(value(&cgroup, "cgroup.events", "frozen "), 1);
    }

    #[test]
    fn all_of_a_workload_is_ended_and_nothing_beside_it() {
        let host = Host::new().start(&Start::default());
        let (cgroup, beside) = (container(&host, ID), container(&host, OTHER));
        let below = cgroup.join("a");
        fs::create_dir(&below).expect("a cgroup");
        let mut spared = shell(&beside, "exec sleep 60");
        let forking = "(while :; do sleep 0.02; done) &";
        let script = format!("for _ in $(seq 25); do {forking} done; wait");
        let mut killed = [&cgroup, &below].map(|cgroup| shell(cgroup, &script));
        host.wait_until("fifty processes", || {
            pids(&cgroup).len() > 25 && pids(&below).len() > 25
        });
        let said = host.hayward(&["kill-workload", ID]).ok();
        assert!(said.out.starts_with("workload-killed"), "{said:?}");
        assert_eq!(value(&cgroup, "cgroup.events", "populated "), 0);
        for child in &mut killed {
            child.wait().expect("it ended");
        }
        assert!(spared.try_wait().expect("a child").is_none(), "it lives");
        assert_eq!(host.records("workload-killed").len(), 1);
        spared.kill().expect("our own child");
        spared.wait().expect("it ended");
    }

    #[test]
    fn a_workload_is_named_without_doubt_or_not_at_all() {
        let host = Host::new().start(&Start::default());
        let cgroups = [container(&host, ID), container(&host, OTHER)];
        let two = host.hayward(&["freeze", "0123456789ab"]);
        refused(&two, 4, &path(&host, &cgroups[0]));
        refused(&two, 4, &path(&host, &cgroups[1]));
        for unknown in ["web", "18446744073709551615", "/no/such", "", "/.."] {
            refused(&host.hayward(&["freeze", unknown]), 6, "hayward workloads");
        }
        host.hayward(&["freeze", &OTHER[..20]]).ok();
        let frozen = cgroups.map(|cgroup| value(&cgroup, "cgroup.events", "frozen "));
        assert_eq!(frozen, [0, 1]);

        let uid = "0c8e2f1a-1b2c-4d3e-9f00-112233445566";
        let pod = host.inside.join(format!("kubepods/pod{uid}"));
        let of_pod = pod.join(ID.replace('0', "f"));
        fs::create_dir_all(&of_pod).expect("cgroups of our own");
        host.hayward(&["freeze", uid]).ok();
        let frozen = [&pod, &of_pod].map(|cgroup| {
            let text = fs::read_to_string(cgroup.join("cgroup.freeze"));
            text.expect("a file of the kernel").trim().to_owned()
        });
        assert_eq!(frozen, ["1", "0"], "the pod, and its containers with it");
        assert_eq!(value(&of_pod, "cgroup.events", "frozen "), 1);
    }

    #[test]
    fn what_is_never_acted_on_is_refused_by_every_action() {
        let host = Host::new();
        let excluded = host.inside.join("jobs/excluded");
        fs::create_dir_all(&excluded).expect("cgroups");
        let exclude = format!("containers], exclude: [\"{}\"]", path(&host, &excluded));
        host.edit_settings("containers]", &exclude);
        let host = host.running();
        let other = Host::new();
        let home = host.inside.join("home");
        fs::create_dir(&home).expect("a cgroup");
        let mut outside = shell(&host.outside, "exec sleep 60");
        let agent = host.agent.as_ref().expect("it runs").id();
        fs::write(home.join("cgroup.procs"), agent.to_string()).expect("our own child");
        for (cgroup, why) in [
            ("/".to_owned(), "the whole host"),
            (path(&host, &host.cgroup), "`cgroup_root`"),
            (path(&other, &other.inside), "not below `cgroup_root"),
            (path(&host, &host.outside), "not in scope"),
            (path(&host, &excluded), "is excluded"),
            (
                path(&host, &host.inside.join("jobs")),
                "jobs/excluded is excluded",
            ),
            (path(&host, &home), "is Hayward"),
            (path(&host, &host.inside), "is excluded"),
        ] {
            for act in ["freeze", "thaw", "throttle", "release", "kill-workload"] {
                for dry_run in [&["--dry-run"][..], &[]] {
                    let arguments = [&[act, &cgroup], dry_run].concat();
                    refused(&host.hayward(&arguments), 5, why);
                }
            }
        }
        assert!(outside.try_wait().expect("a child").is_none(), "it lives");
        for action in ["frozen", "workload-killed"] {
            assert!(host.records(action).is_empty(), "{action}");
        }
        outside.kill().expect("our own child");
        outside.wait().expect("it ended");
    }

    #[test]
    fn what_cannot_be_throttled_is_refused_or_frozen_where_that_was_asked_for() {
        let host = Host::new().start(&Start::default());
        let cgroup = container(&host, ID);
        // Nothing enables the controller for cgroups of tests, not even where cgroup2 has it.
        assert!(!cgroup.join("cpu.max").exists());
        refused(&host.hayward(&["throttle", ID]), 5, "`cpu`");
        assert!(host.records("throttled").is_empty());
        let said = host.hayward(&["throttle", ID, "--or-freeze"]).ok();
        assert!(
            said.out.contains("cannot throttle") && said.out.contains("\nfrozen: "),
            "{said:?}"
        );
        let record = host.records("frozen").remove(0);
        let detail = record["detail"].as_str().expect("a detail");
        assert!(detail.contains("cannot throttle"), "{detail}");
        host.hayward(&["thaw", ID]).ok();
        let said = host.hayward(&["throttle", ID, "--share", "0%"]);
        refused(&said, 2, "1% to 100%");
    }

    #[test]
    fn a_cgroup_that_is_made_anew_under_an_old_name_is_left_alone() {
        let host = Host::new();
        let bounds = Bounds {
            mount: host.cgroup.parent().expect("a mount").to_owned(),
            root: path(&host, &host.cgroup),
            standing: &|_| Standing::In,
            stop: &|_| Ok("nobody".to_owned()),
            quarantine: &|_, _| Ok(()),
        };
        let job = host.inside.join("job");
        let inode = || fs::metadata(&job).expect("it is there").ino();
        fs::create_dir(&job).expect("a cgroup");
        let (id, name) = (inode(), path(&host, &job));
        let target = Target::open(&bounds, id, &name).expect("it is there");
        fs::remove_dir(&job).expect("it is empty");
        fs::create_dir(&job).expect("a cgroup");
        assert_ne!(inode(), id, "the kernel gives an id once");

        let restrictions = Restrictions::open(host.folder.path()).0.into();
        let mut sleeper = shell(&job, "exec sleep 60");
        for what in [Act::Freeze, Act::KillWorkload, Act::Evict(Grace(1))] {
            let result = act(&target, &restrictions, what, false);
            assert!(matches!(result, Err(ActError::Gone { .. })), "{result:?}");
        }
        let reopened = Target::open(&bounds, id, &name).map(|_| ());
        assert!(
            matches!(reopened, Err(ActError::Gone { .. })),
            "{reopened:?}"
        );
        assert_eq!(value(&job, "cgroup.events", "frozen "), 0);
        assert!(sleeper.try_wait().expect("a child").is_none(), "it lives");
        sleeper.kill().expect("our own child");
        sleeper.wait().expect("it ended");
    }
}
