//! Rules may grow and shrink by any amount while they are in force, and what cannot be had leaves the old ones there.

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use hayward_tests::{BANNED, Ended, Host, Launch, Siege, Start};

    const STRINGS: u32 = 40_000;
    /// Enough for the second size class.
    const FEW: u32 = 2000;

    /// Rules that ban what the place's own do, and `strings` more.
    fn rules(strings: u32) -> String {
        let mut text = format!("rules:\n  - {{id: test/banned, banned: [{BANNED}]}}\n");
        for (rule, first) in (0..strings).step_by(1000).enumerate() {
            text += &format!("  - id: test/many-{rule}\n    banned:\n");
            for number in first..strings.min(first + 1000) {
                text += &format!("      - \"{}\"\n", word(number));
            }
        }
        text
    }

    /// Words that share as little as random ones would.
    fn word(number: u32) -> String {
        let mixed = u64::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{mixed:016x}{:016x}sentinel", mixed.rotate_left(31))
    }

    fn run(host: &Host, word: &str) -> Ended {
        Launch::new("/bin/true", &[word]).run(&host.inside)
    }

    fn command_maps(pins: &Path) -> Vec<String> {
        let folders = fs::read_dir(pins)
            .expect("pins")
            .map(|entry| entry.expect("a folder"));
        let folders = folders.filter(|f| f.file_name().to_string_lossy().starts_with("maps-"));
        let maps = folders.flat_map(|folder| fs::read_dir(folder.path()).expect("pinned maps"));
        let names = maps.map(|entry| entry.expect("a pin").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names
            .filter(|name| name.starts_with("command_tables"))
            .collect()
    }

    #[test]
    fn rules_that_outgrow_their_table_and_shrink_again_leave_no_gap() {
        let host = Host::new().start(&Start::default());
        let guard = || host.status()["guards"]["command"].clone();
        let before = guard();
        let number = |value: &serde_json::Value| value.as_u64().expect("a number");
        let small = command_maps(&host.pins);
        assert_eq!(small.len(), 1, "{small:?}");
        let siege = Siege::begin(&host, BANNED);
        // Once by much, and then often by a little, so that a gap would be hit however short it is.
        for round in 0..8 {
            let strings = if round == 0 { STRINGS } else { FEW };
            let tried = siege.tried();
            host.write_rules(&rules(strings));
            host.hayward(&["reload"]).ok();
            assert_eq!(run(&host, &word(strings - 1)), Ended::Signal(9));
            let large = guard();
            let more = u64::from(strings / 1000);
            assert_eq!(number(&large["rules"]), number(&before["rules"]) + more);
            assert!(number(&large["generation"]) > number(&before["generation"]) + 2 * round);
            assert_eq!(large["status"], "enforcing");
            let maps = command_maps(&host.pins);
            assert!(maps.len() == 1 && maps != small, "{maps:?}");

            host.write_rules(&rules(0));
            host.hayward(&["reload"]).ok();
            assert_eq!(run(&host, &word(strings - 1)), Ended::Code(0));
            let again = guard();
            assert_eq!(again["rules"], before["rules"]);
            assert!(number(&again["generation"]) > number(&large["generation"]));
            assert_eq!(command_maps(&host.pins), small, "the large table is gone");
            host.wait_until("attempts meanwhile", || siege.tried() > tried + 10);
        }
        let (tried, lived) = siege.end();
        assert_eq!(lived, 0, "of {tried}");
        // Each death was recorded, or counted as lost, whichever table it was judged by.
        let counted = |name: &str| number(&guard()["counters"][name]);
        let killed = counted("killed") - number(&before["counters"]["killed"]);
        assert!(killed >= tried, "{killed} of {tried}");
        host.wait_until("a record of each", || {
            let verdicts =
                host.series("hayward_verdicts_total{guard=\"command\",action=\"killed\"}");
            verdicts + counted("lost_ring_full") == killed
        });
        let of_rule = host.series(
            "hayward_rule_verdicts_total{guard=\"command\",rule=\"test/banned\",action=\"killed\"}",
        );
        assert!(
            of_rule + counted("lost_ring_full") >= tried,
            "judged by a known table"
        );
    }

    #[test]
    fn an_agent_that_starts_with_fewer_rules_than_the_last_leaves_no_large_table_behind() {
        let mut host = Host::new().start(&Start::default());
        let small = command_maps(&host.pins);
        let siege = Siege::begin(&host, BANNED);
        for (strings, expected) in [(STRINGS, None), (0, Some(&small))] {
            host.stop_agent();
            host.write_rules(&rules(strings));
            host = host.running();
            let maps = command_maps(&host.pins);
            assert_eq!(maps.len(), 1, "{maps:?}");
            assert_eq!(maps == small, expected.is_some(), "{maps:?}");
        }
        let (tried, lived) = siege.end();
        assert_eq!(lived, 0, "of {tried}");
    }

    #[test]
    fn rules_too_large_for_any_kernel_are_refused_and_the_old_ones_stay() {
        let host = Host::new().start(&Start::default());
        let before = host.status()["guards"]["command"].clone();
        // About forty states a string, and eight bytes a state.
        host.write_rules(&rules(300_000));
        for arguments in [&["reload"][..], &["reload", "--dry-run"]] {
            let refused = host.hayward(arguments);
            assert_eq!(refused.code, 4, "{refused:?}");
            for text in ["a table of", "largest", "fewer or shorter banned strings"] {
                assert!(refused.err.contains(text), "{refused:?}");
            }
        }
        assert_eq!(run(&host, BANNED), Ended::Signal(9));
        let after = host.status()["guards"]["command"].clone();
        for key in ["rules", "generation", "status"] {
            assert_eq!(after[key], before[key], "{key}");
        }
        let record = host.wait_for_records("reload-refused", 1).remove(0);
        assert!(
            record["detail"]
                .as_str()
                .is_some_and(|text| text.contains("largest"))
        );
        let refused = host.configured(&["check"]);
        assert_eq!(refused.code, 4, "checked like everything else: {refused:?}");
    }
}
