//! Programs that get in touch with many others and do no harm: the guards of the network leave them alone.

#[cfg(test)]
mod tests {
    use std::fs;

    use hayward_tests::{World, network_sources};

    #[test]
    fn a_browser_whose_page_names_many_others_some_of_them_dead() {
        let mut world = World::guarded("{}");
        let site = world.folder().join("site");
        fs::create_dir(&site).expect("a folder");
        fs::copy(network_sources().join("page.html"), site.join("index.html")).expect("a page");
        let browser = world.asking(
            "/usr/bin/chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage http://site0.test/?silent=12",
        );
        assert_eq!(world.container.does(&format!("start {browser}")), "ok");
        world.wait_for("done");
        let traffic = world.was_left_alone("chromium");
        // All that answer but those visited one by one, the dead, those that refuse, and the name server.
        assert!(traffic.contacts > 60 + 30 + 12 + 5, "{traffic:?}");
    }
}
