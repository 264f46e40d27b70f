//! Workloads that are kept from each other, by settings.

#[cfg(test)]
mod tests {
    use std::fs;

    use hayward_tests::{Host, NetworkWorkload};

    fn guarding() -> Host {
        let settings = "{policy: open, between_workloads: refuse}";
        Host::new().guarding("egress", settings)
    }

    #[test]
    fn workloads_are_kept_from_each_other() {
        let host = guarding();
        let [ada, bob] = ["ada", "bob"].map(|name| host.inside.join(name));
        for group in [&ada, &bob] {
            fs::create_dir(group).expect("a cgroup");
        }
        let mut workload = NetworkWorkload::new(&ada);
        assert_eq!(workload.does("listen web SOCK_STREAM 10.1.0.1 80"), "ok");
        let moved = workload.does(&format!("move {}", bob.display()));
        assert_eq!(moved, "ok");
        workload.all(&[
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "EPERM"),
        ]);
        let record = host.wait_for_records("denied", 1).remove(0);
        assert_eq!(
            record["reason"], "it belongs to another workload",
            "{record}"
        );
        assert_eq!(record["evidence"]["other_workload"], true);
    }
}
