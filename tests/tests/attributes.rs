//! Records say what a workload's first process was started with, as far as settings ask for it.

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use hayward_tests::{BANNED, Ended, Host, Launch};

    /// The first process of the workload, which outlives the ones that are judged.
    fn first(host: &Host) -> Child {
        Command::new("sh")
            .args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec sleep 60"#])
            .arg(&host.inside)
            .env("JUPYTERHUB_USER", "alice")
            .env(
                "BINDER_REPO_URL",
                "https://me:hunter2secret@example.org/repo",
            )
            .env("JUPYTERHUB_API_TOKEN", "hunter2secret")
            .env("BINDER_CLIENT_IP", "192.0.2.7")
            .spawn()
            .expect("started")
    }

    #[test]
    fn a_record_names_the_user_and_the_repository_and_no_secret() {
        let mut host = Host::new();
        host.spawn();
        host.wait_until("a socket", || {
            host.hayward(&["status", "--wait", "enforcing"]).code == 0
        });
        let mut first = first(&host);
        // Between two programs a process has no environment.
        host.wait_until("it has started in the cgroup", || {
            let read = |file| std::fs::read_to_string(format!("/proc/{}/{file}", first.id()));
            read("comm").is_ok_and(|name| name == "sleep\n")
                && read("environ").is_ok_and(|environment| !environment.is_empty())
        });
        let ended = Launch::new("/bin/true", &[BANNED]).run(&host.inside);
        assert_eq!(ended, Ended::Signal(9));
        let record = host.wait_for_records("killed", 1).remove(0);
        first.kill().expect("our own child");
        first.wait().expect("it ended");
        let attributes = record["workload"]["attributes"]
            .as_object()
            .expect("attributes");
        assert_eq!(attributes["JUPYTERHUB_USER"], "alice");
        let repository = attributes["BINDER_REPO_URL"].as_str().expect("text");
        assert!(repository.ends_with("@example.org/repo"), "{repository}");
        assert_eq!(attributes.len(), 2, "{record}");
        assert!(!record.to_string().contains("hunter2secret"), "{record}");
        // Whoever was seen is named after it has gone.
        let ended = Launch::new("/bin/true", &[BANNED, "again"]).run(&host.inside);
        assert_eq!(ended, Ended::Signal(9));
        let record = host.wait_for_records("killed", 2).remove(1);
        assert_eq!(record["workload"]["attributes"]["JUPYTERHUB_USER"], "alice");
    }
}
