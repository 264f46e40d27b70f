//! Whatever the kernel saw is recorded or counted as lost.

#[cfg(test)]
mod tests {
    use std::process::Command;

    use hayward_tests::{BANNED, Host, Start};

    /// More events than the kernel's ring holds, at 1.2 KB and more each.
    const FLOOD: usize = 2000;

    #[test]
    fn sent_and_lost_add_up_to_generated() {
        let host = Host::new().start(&Start::default());
        let before = host.status()["guards"]["command"]["counters"].clone();
        // Nobody reads the ring while the agent stands still.
        host.pause_agent();
        let flooded = Command::new("/bin/sh")
            .args([
                "-c",
                r#"echo $$ > "$PROCS"; i=0; while [ $i -lt "$COUNT" ]; do /bin/true "$WORD"; i=$((i+1)); done"#,
            ])
            .env("PROCS", host.inside.join("cgroup.procs"))
            .env("COUNT", FLOOD.to_string())
            .env("WORD", BANNED)
            .stderr(std::process::Stdio::null())
            .status();
        host.resume_agent();
        assert!(flooded.expect("a shell").code().is_some());

        let counters = host.status()["guards"]["command"]["counters"].clone();
        let counted =
            |name: &str| counters[name].as_u64().expect(name) - before[name].as_u64().expect(name);
        assert_eq!(counted("killed"), FLOOD as u64, "a full ring spares nobody");
        assert_eq!(counted("events"), FLOOD as u64);
        let lost = counted("lost_ring_full");
        assert!(lost > 0, "the flood must be more than the ring holds");
        let sent = FLOOD - usize::try_from(lost).expect("a count");
        let records = host.wait_for_records("killed", sent);
        assert_eq!(records.len(), sent, "sent + lost = generated");
        let metrics = host.metrics();
        let line =
            format!("hayward_events_lost_total{{guard=\"command\",cause=\"ring-full\"}} {lost}");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
}
