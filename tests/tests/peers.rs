//! Readers look, operators act, strangers are refused; and whoever acts is on record.

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, process::Command};

    use hayward_tests::{Answer, Host, copy_program};

    const NOBODY: u32 = 65534;
    /// Debian's group for scores: no process that matters has it.
    const GAMES: u32 = 60;

    /// The built binary as nobody, whose only group is `group`.
    fn as_nobody(host: &Host, group: u32, arguments: &[&str]) -> Answer {
        let output = Command::new("setpriv")
            .args(["--clear-groups", &format!("--reuid={NOBODY}")])
            .arg(format!("--regid={group}"))
            .arg(host.path("hayward"))
            .args(arguments)
            .env("HAYWARD_SOCKET", host.path("hayward.sock"))
            .output()
            .expect("setpriv");
        Answer {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// An agent whose readers are the group `games`, and a copy of the binary that anybody may start.
    fn agent() -> Host {
        let host = Host::new();
        host.edit_settings("hayward.sock}", "hayward.sock, readers: games}");
        fs::set_permissions(host.folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let built = host.command(&["x"]).get_program().to_owned();
        copy_program(built, host.path("hayward"));
        host.running()
    }

    #[test]
    fn readers_look_and_only_root_acts() {
        let host = agent();
        for look in [
            &["status"][..],
            &["status", "--json"],
            &["events"],
            &["report"],
            &["support"],
            &["workloads"],
        ] {
            let reader = as_nobody(&host, GAMES, look);
            assert_eq!(reader.code, 0, "{look:?}: {reader:?}");
        }
        for act in [
            &["off"][..],
            &["on"],
            &["reload"],
            &["forget", "0"],
            &["freeze", "x"],
            &["kill-workload", "x"],
        ] {
            let refused = as_nobody(&host, GAMES, act);
            assert_eq!(refused.code, 5, "{refused:?}");
            let who = "nobody (uid 65534) may look and not act: use sudo";
            assert!(refused.err.contains(who), "{refused:?}");
        }
        assert_eq!(host.status()["guards"]["command"]["status"], "enforcing");
        for action in ["switched-off", "switched-on", "reloaded", "forgot"] {
            assert!(host.records(action).is_empty(), "{action}");
        }
    }

    #[test]
    fn members_of_the_operators_group_act_and_are_on_record() {
        let host = agent();
        host.edit_settings("readers: games}", "readers: games, operators: nogroup}");
        host.hayward(&["reload"]).ok();
        as_nobody(&host, GAMES, &["reload"]).ok();
        let records = host.records("reloaded");
        let actor = &records.last().expect("a record")["actor"];
        assert_eq!(actor["uid"], NOBODY, "{actor}");
        assert_eq!(actor["name"], "nobody", "{actor}");
    }

    #[test]
    fn a_stranger_is_told_that_it_may_not_and_not_that_no_agent_answers() {
        let host = agent();
        for any in [&["status"][..], &["events"], &["off"]] {
            let stranger = as_nobody(&host, NOBODY, any);
            assert_eq!(stranger.code, 5, "{stranger:?}");
            for text in ["uid 65534 may not use", "sudo", "`api.readers`"] {
                assert!(stranger.err.contains(text), "{stranger:?}");
            }
        }
    }

    #[test]
    fn each_act_is_recorded_with_who_did_it() {
        let host = agent();
        host.configured(&["off", "--for", "1h"]).ok();
        host.configured(&["on"]).ok();
        host.hayward(&["reload"]).ok();
        host.hayward(&["forget", "4294967294"]).ok();
        for action in ["switched-off", "switched-on", "reloaded", "forgot"] {
            let records = host.records(action);
            assert_eq!(records.len(), 1, "{action}: {records:?}");
            let actor = &records[0]["actor"];
            assert_eq!(actor["uid"], 0, "{action}");
            assert_eq!(actor["name"], "root", "{action}");
            assert!(actor["pid"].as_u64().is_some_and(|pid| pid > 1), "{action}");
        }
        let shown = host.hayward(&["events", "--action", "switched-off"]).ok();
        assert!(shown.out.contains("by root (uid 0)"), "{}", shown.out);
        assert!(host.log().contains("switched off by root (uid 0)"));
    }
}
