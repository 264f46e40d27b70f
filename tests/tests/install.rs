//! What `install` writes, `uninstall` removes; what operators wrote stays theirs.

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        fs,
        os::unix::fs::PermissionsExt,
        path::{Path, PathBuf},
        process::Command,
    };

    use hayward_tests::{Answer, Host, Start, copy_program};

    /// Every file below `root` with its permissions.
    fn files(root: &Path) -> BTreeMap<PathBuf, u32> {
        let mut found = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let metadata = fs::symlink_metadata(&path).expect("metadata");
                if metadata.is_dir() {
                    folders.push(path);
                } else {
                    let below = path.strip_prefix(root).expect("below").to_owned();
                    found.insert(below, metadata.permissions().mode() & 0o7777);
                }
            }
        }
        found
    }

    fn install(host: &Host, root: &Path) -> Answer {
        host.hayward(&["install", "--root", root.to_str().expect("text")])
    }

    fn done(answer: &Answer) -> BTreeMap<String, String> {
        let files = answer.json()["files"].clone();
        let files = files.as_array().expect("a list").iter().map(|file| {
            let text = |key: &str| file[key].as_str().expect("text").to_owned();
            (text("path"), text("done"))
        });
        files.collect()
    }

    #[test]
    fn files_lie_where_they_belong_with_modes_that_do_not_hang_on_the_umask() {
        let host = Host::new();
        let root = host.path("root");
        let output = Command::new("/bin/sh")
            .args(["-c", r#"umask 077; exec "$0" install --root "$1""#])
            .arg(host.command(&["x"]).get_program())
            .arg(&root)
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{output:?}");
        let files = files(&root);
        for (path, mode) in [
            ("usr/local/bin/hayward", 0o755),
            ("etc/systemd/system/hayward.service", 0o644),
            ("etc/hayward/hayward.yaml", 0o644),
            ("usr/local/share/bash-completion/completions/hayward", 0o644),
            ("usr/local/share/zsh/site-functions/_hayward", 0o644),
            (
                "usr/local/share/fish/vendor_completions.d/hayward.fish",
                0o644,
            ),
            ("usr/local/share/man/man1/hayward.1", 0o644),
            ("usr/local/share/man/man1/hayward-status.1", 0o644),
            ("usr/local/share/man/man1/hayward-rules-encrypt.1", 0o644),
        ] {
            assert_eq!(files.get(Path::new(path)), Some(&mode), "{path}");
        }
        assert!(root.join("etc/hayward/rules.d").is_dir());
        let folder = fs::metadata(root.join("etc/hayward")).expect("a folder");
        assert_eq!(folder.permissions().mode() & 0o777, 0o755);
        let names: Vec<_> = files
            .keys()
            .map(|path| path.display().to_string())
            .collect();
        assert!(
            names
                .iter()
                .all(|name| !name.contains("canary") && !name.ends_with(".new")),
            "{names:?}"
        );

        let text = |path: &str| fs::read_to_string(root.join(path)).expect(path);
        let unit = text("etc/systemd/system/hayward.service");
        assert!(
            unit.contains("ExecStart=/usr/local/bin/hayward run"),
            "{unit}"
        );
        let bash = text("usr/local/share/bash-completion/completions/hayward");
        assert!(bash.contains("complete -F"), "{bash}");
        let page = root.join("usr/local/share/man/man1/hayward-events.1");
        let page = Command::new("man").arg("-l").arg(page).output();
        // Only where there is a `man`.
        if let Ok(page) = page {
            let page = String::from_utf8_lossy(&page.stdout).into_owned();
            assert!(page.is_empty() || page.contains("--follow"), "{page}");
        }
        let settings = root.join("etc/hayward/hayward.yaml");
        let settings = settings.to_str().expect("text").to_owned();
        host.hayward(&["check", "--config", &settings]).ok();
        let installed = Command::new(root.join("usr/local/bin/hayward"))
            .arg("--version")
            .output();
        assert!(installed.expect("the installed binary").status.success());
    }

    #[test]
    fn a_second_time_changes_nothing_and_edited_settings_are_kept() {
        let host = Host::new();
        let root = host.path("root");
        let first = install(&host, &root).ok();
        assert!(first.out.contains("enable --now hayward"), "{}", first.out);
        let settings = root.join("etc/hayward/hayward.yaml");
        fs::write(&settings, "mode: observe\n").expect("settings");
        let again = host.hayward(&["install", "--json", "--root", root.to_str().expect("text")]);
        let again = again.ok();
        let next = again.json()["next"].clone();
        assert!(next.as_str().is_some_and(|next| next.contains("nothing")));
        for (path, what) in done(&again) {
            let expected = if path.ends_with("hayward.yaml") {
                "kept"
            } else {
                "same"
            };
            assert_eq!(what, expected, "{path}");
        }
        let text = fs::read_to_string(&settings).expect("settings");
        assert_eq!(text, "mode: observe\n");
    }

    #[test]
    fn another_binary_replaces_the_old_one_while_that_runs() {
        let host = Host::new();
        let root = host.path("root");
        let binary = root.join("usr/local/bin/hayward");
        fs::create_dir_all(binary.parent().expect("a folder")).expect("a folder");
        copy_program("/bin/sleep", &binary);
        let mut old = Command::new(&binary).arg("60").spawn().expect("it runs");
        let answer = install(&host, &root);
        let running = old.try_wait().expect("a child").is_none();
        old.kill().expect("our own child");
        old.wait().expect("our own child");
        assert!(running, "the old one was not disturbed");
        let answer = answer.ok();
        assert!(answer.out.contains("restart hayward"), "{}", answer.out);
        let built = fs::read(host.command(&["x"]).get_program()).expect("the built binary");
        assert!(fs::read(&binary).expect("the installed one") == built);
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o700)).expect("ours");
        install(&host, &root).ok();
        assert_eq!(files(&root)[Path::new("usr/local/bin/hayward")], 0o755);
    }

    #[test]
    fn uninstall_removes_what_install_wrote_and_keeps_what_operators_wrote() {
        let host = Host::new();
        let root = host.path("root");
        let at = root.to_str().expect("text").to_owned();
        install(&host, &root).ok();
        host.hayward(&["uninstall", "--root", &at]).ok();
        assert!(files(&root).is_empty(), "{:?}", files(&root));
        assert!(!root.join("etc/hayward").exists());

        install(&host, &root).ok();
        fs::write(root.join("etc/hayward/hayward.yaml"), "mode: observe\n").expect("settings");
        fs::write(root.join("etc/hayward/rules.d/own.yaml"), "rules: []\n").expect("rules");
        let answer = host.hayward(&["uninstall", "--root", &at]).ok();
        let left: Vec<_> = files(&root).into_keys().collect();
        let expected = ["etc/hayward/hayward.yaml", "etc/hayward/rules.d/own.yaml"];
        assert_eq!(left, expected.map(PathBuf::from));
        assert!(answer.out.contains("kept"), "{}", answer.out);
        host.hayward(&["uninstall", "--root", &at]).ok();
    }

    #[test]
    fn pins_go_with_the_hosts_own_installation_alone_and_never_under_a_running_agent() {
        let mut host = Host::new().start(&Start::default());
        let root = host.path("root");
        let at = root.to_str().expect("text").to_owned();
        install(&host, &root).ok();
        let refused = host.configured(&["uninstall", "--root", &at]);
        assert_eq!(refused.code, 5, "{refused:?}");
        assert!(
            refused.err.contains("systemctl stop hayward"),
            "{refused:?}"
        );
        assert!(root.join("usr/local/bin/hayward").exists());
        host.stop_agent();
        host.hayward(&["uninstall", "--root", &at]).ok();
        assert!(host.pins.exists(), "another root has other pins");
        let answer = host.configured(&["uninstall", "--json"]).ok().json();
        assert!(
            answer["removed"]
                .as_u64()
                .is_some_and(|removed| removed > 5)
        );
        assert!(!host.pins.exists());
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let host = Host::new();
        fs::set_permissions(host.folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let binary = host.path("hayward");
        copy_program(host.command(&["x"]).get_program(), &binary);
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&binary)
            .args(["install", "--root"])
            .arg(host.path("root"))
            .output()
            .expect("setpriv");
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains("run this as root"), "{err}");
        let refused = host.hayward(&["install"]);
        assert_eq!(
            refused.code, 4,
            "a test may not install on the host: {refused:?}"
        );
    }
}
