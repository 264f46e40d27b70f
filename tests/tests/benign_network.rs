//! Programs that get in touch with many others and do no harm: the guards of the network leave them alone.

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use hayward_tests::{World, network_sources};

    #[test]
    fn a_browser_whose_page_names_many_others_some_of_them_dead() {
        let mut world = World::guarded("{}");
        let site = world.folder().join("site");
        fs::create_dir(&site).expect("a folder");
        fs::copy(network_sources().join("page.html"), site.join("index.html")).expect("a page");
        let browser = world.asking(
            "/usr/bin/chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage http://site0.test/?silent=20",
        );
        assert_eq!(world.container.does(&format!("start {browser}")), "ok");
        world.wait_for("done");
        let traffic = world.was_left_alone("chromium");
        // All that answer but those visited one by one, the dead, those that refuse, and the name server.
        assert!(traffic.contacts > 60 + 30 + 20 + 5, "{traffic:?}");
    }

    #[test]
    fn three_package_installers_at_once() {
        let mut world = World::guarded("{}");
        let made = Command::new("/usr/bin/python3")
            .arg(network_sources().join("packages.py"))
            .arg(world.folder())
            .arg("60")
            .status();
        assert!(made.expect("python3").success(), "packages");
        let script = network_sources().join("install");
        let install = world.asking(&format!(
            "{} {}",
            script.display(),
            world.folder().display()
        ));
        let ended = world.container.does(&format!("run {install}"));
        assert_eq!(ended, "0", "{}", world.output());
        let traffic = world.was_left_alone("pip, npm, apt");
        assert!(traffic.contacts > 20, "{traffic:?}");
    }

    #[test]
    fn workers_that_send_each_other_all_they_have() {
        let mut world = World::guarded("{}");
        assert_eq!(world.others.does("own 10.50.0.1/16"), "ok");
        world.host_program("cluster.py", "world");
        world.wait_for("cluster");
        let workers = world.asking(&format!("{} container", world.python("cluster.py")));
        let ended = world.container.does(&format!("run {workers}"));
        assert_eq!(ended, "0", "{}", world.output());
        let traffic = world.was_left_alone("dask");
        assert!(traffic.contacts > 40, "{traffic:?}");
    }

    #[test]
    fn a_hundred_stores_opened_at_once_some_of_which_have_gone() {
        let mut world = World::guarded("{}");
        let stores = world.asking(&world.python("stores.py"));
        let ended = world.container.does(&format!("run {stores}"));
        assert_eq!(ended, "0", "{}", world.output());
        world.give_up_the_silent();
        world.reaches("11.1.1.1");
        let traffic = world.was_left_alone("aiohttp");
        assert!(traffic.contacts > 100 + 15, "{traffic:?}");
    }

    #[test]
    fn a_pool_of_connections_whose_server_restarts_and_a_policy_that_drops() {
        let mut world = World::guarded("{}");
        let container = |world: &mut World, command: &str| {
            let found = world.container.does(command);
            assert!(!found.contains("EPERM"), "{command}: {found}");
        };
        // Nobody listens there yet, then somebody does.
        for _ in 0..50 {
            container(&mut world, "scan 11.4.0.1 5432 5432");
        }
        assert_eq!(world.others.does("serve 5432"), "ok");
        for _ in 0..50 {
            container(&mut world, "scan 11.4.0.1 5432 5432");
        }
        // What the policy of a network drops, and dead ports that somebody asks after health.
        container(&mut world, "sweep 12.5.0. 1 20 443");
        for _ in 0..50 {
            container(&mut world, "scan 11.4.0.2 9 9");
            container(&mut world, "sweep 12.5.0. 1 20 443");
        }
        // Hosts of both kinds, of which those of IPv6 are dropped on their way.
        container(&mut world, "sweep 2a00:1450:4001:: 1 20 80");
        container(&mut world, "sweep 11.4.1. 1 20 80");
        world.give_up_the_silent();
        world.reaches("11.1.1.1");
        let traffic = world.was_left_alone("pools, health checks, drops");
        assert!(traffic.contacts > 60, "{traffic:?}");
    }

    /// Fetches from a swarm with so many peers that have gone, for longer than silence is waited for.
    fn fetches(settings: &str, gone: u32) {
        let mut world = World::guarded(settings);
        world.host_program("swarm.py", &format!("12 {gone}"));
        world.wait_for("swarm");
        let folder = world.folder().display().to_string();
        let fetch = world.asking(&format!(
            "aria2c --no-conf --dir={folder}/fetched --enable-dht=false --seed-time=0 --max-overall-download-limit=280K {folder}/shared.torrent"
        ));
        let ended = world.container.does(&format!("run {fetch}"));
        assert_eq!(ended, "0", "{}", world.output());
        world.reaches("11.1.1.1");
        let traffic = world.was_left_alone(&format!("BitTorrent, {gone} of whose peers have gone"));
        assert!(traffic.contacts > 12 + 20, "{traffic:?}");
    }

    #[test]
    fn a_swarm_some_of_whose_peers_have_gone() {
        fetches("{}", 30);
    }

    #[test]
    fn a_swarm_most_of_whose_peers_have_gone_where_settings_allow_for_it() {
        fetches("{failures: 1000}", 150);
    }
}
