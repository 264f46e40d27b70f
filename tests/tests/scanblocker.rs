//! What scanblocker's users have: its device by variable, its lines, its metric, and its rule.

#[cfg(test)]
mod tests {
    use hayward_tests::{FRONT, Front, INTERFACE};

    #[test]
    fn its_device_its_lines_and_its_metric_are_taken_over_and_nobody_is_banned() {
        let mut front = Front::new();
        front.host.edit_settings(
            "metrics: {listen",
            "metrics: {scanblocker: \"127.0.0.1:0\", listen",
        );
        front
            .host
            .edit_settings("log:", "compat: [scanblocker]\nlog:");
        front.spawn_with(&[("SB_DEVICE", INTERFACE)]);
        front.host.wait_for_proof("inbound");
        let guard = &front.host.status()["guards"]["inbound"];
        assert_eq!(guard["status"], "observing", "{guard}");
        let server = front.serve(&[7001, 7002, 7003, 7004]);
        for port in [7001, 7002, 7003] {
            assert!(front.reaches("203.0.113.7", port));
        }
        let lines = front.host.output();
        assert!(!lines.contains("Port scan detected"), "{lines}");
        // The fourth port is one too many, though all of them answer.
        assert!(front.reaches("203.0.113.7", 7004));
        front
            .host
            .wait_until("its line", || front.host.output().contains("Port scan"));
        front.host.wait_until("all connections", || {
            front.host.output().matches("New connection: ").count() == 4
        });
        let lines = front.host.output();
        assert!(
            lines.contains(&format!("Port scan detected: 203.0.113.7 -> {FRONT}")),
            "{lines}"
        );
        assert!(lines.contains(&format!(" -> {FRONT}:7002")), "{lines}");
        assert!(front.reaches("203.0.113.7", 7001), "it observes");
        let address = front.host.status()["metrics"]["scanblocker"].clone();
        let address = address.as_str().expect("an address");
        let page = front.must(&format!("exec curl -fsS http://{address}/"));
        assert!(page.contains("total_conns_attempts 4"), "{page}");
        drop(server);
    }
}
