//! The compiled table against a reference that does the obvious, slowly.

#[cfg(test)]
mod tests {
    use hayward_model::Mode;
    use hayward_rules::{
        Rule,
        table::{CommandTable, Judgement},
    };
    use proptest::prelude::*;

    fn rule(id: &str, banned: &[&str], allow: &[&str]) -> Rule {
        Rule {
            banned: banned.iter().map(|text| text.as_bytes().to_vec()).collect(),
            allow: allow.iter().map(|pattern| (*pattern).to_owned()).collect(),
            ..Rule::new(id, "test", 1)
        }
    }

    fn compile(rules: Vec<Rule>) -> CommandTable {
        CommandTable::compile(rules, 1, |_| 0).expect("good rules")
    }

    fn line(arguments: &[&str]) -> Vec<u8> {
        arguments
            .iter()
            .flat_map(|argument| argument.bytes().chain([0]))
            .collect()
    }

    fn is_word(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || byte == b'_'
    }

    /// Whether `text` occurs as a whole word, tried at every offset.
    fn occurs(line: &[u8], text: &[u8]) -> bool {
        let line: Vec<u8> = line
            .iter()
            .map(|b| {
                if *b == 0 {
                    b' '
                } else {
                    b.to_ascii_lowercase()
                }
            })
            .collect();
        let text = text.to_ascii_lowercase();
        (0..line.len().saturating_sub(text.len() - 1)).any(|at| {
            line[at..].starts_with(&text)
                && (at == 0 || !is_word(line[at - 1]))
                && line.get(at + text.len()).is_none_or(|next| !is_word(*next))
        })
    }

    #[test]
    fn whole_words_count_wherever_they_stand_and_parts_of_words_do_not() {
        let table = compile(vec![rule("a", &["xmrig", "--donate level", "min"], &[])]);
        let banned = |arguments: &[&str]| {
            matches!(
                table.judge(&line(arguments), None, 0),
                Judgement::Banned { .. }
            )
        };
        assert!(banned(&["xmrig"]));
        assert!(banned(&["/opt/XMRig", "-o"]));
        assert!(
            banned(&["notxmrig", "xmrig2", "a/xmrig.exe"]),
            "a later occurrence counts"
        );
        assert!(
            banned(&["a", "--donate", "level"]),
            "strings may span arguments"
        );
        assert!(banned(&["a", "min"]) && banned(&["min"]) && banned(&["-min-"]));
        assert!(!banned(&["xmrigs", "myxmrig", "_xmrig", "xmrig_"]));
        assert!(!banned(&["mine", "admin"]));
        assert!(!banned(&[]));
    }

    #[test]
    fn the_rule_and_the_place_of_the_match_are_told() {
        let table = compile(vec![rule("a", &["alpha"], &[]), rule("b", &["beta"], &[])]);
        let judged = table.judge(&line(&["run", "beta"]), None, 0);
        assert_eq!(judged, Judgement::Banned { rule: 1, end: 8 });
        assert_eq!(
            table.matched_text(1, b"run BETA", 8).as_deref(),
            Some("beta")
        );
    }

    #[test]
    fn an_allow_pattern_spares_its_own_rules_only_and_only_whole_lines() {
        let table = compile(vec![
            rule("a", &["alpha"], &[r"echo .*", r".*\s--help"]),
            rule("b", &["beta"], &[]),
        ]);
        assert!(matches!(
            table.judge(&line(&["ECHO", "alpha"]), None, 0),
            Judgement::Spared { rule: 0, .. }
        ));
        assert!(matches!(
            table.judge(&line(&["x", "alpha", "--help"]), None, 0),
            Judgement::Spared { .. }
        ));
        assert!(matches!(
            table.judge(&line(&["x", "alpha", "--help", "y"]), None, 0),
            Judgement::Banned { rule: 0, .. }
        ));
        assert!(matches!(
            table.judge(&line(&["echo", "alpha", "beta"]), None, 0),
            Judgement::Banned { rule: 1, .. }
        ));
    }

    #[test]
    fn executables_and_strings_of_one_rule_must_both_match() {
        let mut both = rule("both", &["alpha"], &[]);
        both.executable = vec!["minerd".to_owned()];
        let mut other = rule("other", &["beta"], &[]);
        other.executable = vec!["/tmp/**".to_owned()];
        let mut only = rule("only", &[], &[]);
        only.executable = vec!["ethminer".to_owned()];
        let table = compile(vec![both, other, only]);
        let judge = |text: &str, path: &str| table.judge(&line(&[text]), Some(path.as_bytes()), 0);
        assert!(matches!(
            judge("alpha", "/usr/bin/minerd"),
            Judgement::Banned { rule: 0, .. }
        ));
        assert!(matches!(
            judge("beta", "/tmp/x"),
            Judgement::Banned { rule: 1, .. }
        ));
        assert!(matches!(
            judge("x", "/opt/ethminer"),
            Judgement::Banned { rule: 2, .. }
        ));
        assert_eq!(judge("beta", "/usr/bin/minerd"), Judgement::Clean);
        assert_eq!(judge("alpha", "/tmp/x"), Judgement::Clean);
        assert_eq!(table.judge(&line(&["alpha"]), None, 0), Judgement::Clean);
    }

    #[test]
    fn observed_rules_come_after_enforced_ones_and_expired_ones_not_at_all() {
        let mut observed = rule("o", &["alpha"], &[]);
        observed.mode = Mode::Observe;
        let mut expiring = rule("e", &["alpha"], &[]);
        expiring.expires = Some("2027-01-01T00:00:00Z".parse().expect("a time"));
        let table = CommandTable::compile(vec![observed, expiring], 1, |_| 1000).expect("good");
        let arguments = line(&["alpha"]);
        assert!(matches!(
            table.judge(&arguments, None, 999),
            Judgement::Banned { rule: 1, .. }
        ));
        assert!(matches!(
            table.judge(&arguments, None, 1000),
            Judgement::Observed { rule: 0, .. }
        ));
    }

    #[test]
    fn patterns_without_a_bounded_dfa_are_refused_and_named() {
        for (pattern, word) in [
            (r"(?=x)y", "look-around"),
            (r"(a)\1", "backreferences"),
            (r"\p{Greek}", "Unicode"),
            (r"(x{1,200}y{1,200}){1,200}", "counted repetitions"),
            (r"(", "unclosed"),
        ] {
            let error = CommandTable::compile(vec![rule("a", &["b"], &[pattern])], 1, |_| 0)
                .expect_err(pattern)
                .to_string();
            assert!(
                error.contains(word) && error.contains(pattern),
                "{pattern}: {error}"
            );
        }
    }

    #[test]
    fn a_pattern_of_many_states_is_compiled_or_refused_in_seconds() {
        for pattern in [
            "x{1,9000}",
            "[^a]{20000}",
            "(?:.*a){40}",
            "(x{1,200}y{1,200}){1,200}",
            ".*a.{18}",
        ] {
            let begin = std::time::Instant::now();
            let rules = vec![rule("a", &["b"], &[pattern])];
            let compiled = CommandTable::compile(rules, 1, |_| 0).map(|table| table.words().len());
            let took = begin.elapsed();
            println!("{pattern}: {took:?}, {:?}", compiled.is_ok());
            assert!(took.as_secs() < 20, "{pattern}: {took:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        /// A small alphabet with border characters makes overlaps, embedded and adjoining occurrences common.
        #[test]
        fn judgement_agrees_with_the_reference(
            banned in prop::collection::vec("[abA_ \\-]{1,6}", 1..8),
            text in "[abB_ \\-]{0,40}",
        ) {
            let strings: Vec<&str> = banned.iter().map(String::as_str).collect();
            let table = compile(vec![rule("a", &strings, &[])]);
            let expected = banned.iter().any(|string| occurs(text.as_bytes(), string.as_bytes()));
            let judged = table.judge(&[text.as_bytes(), &[0]].concat(), None, 0);
            prop_assert_eq!(judged != Judgement::Clean, expected, "{:?} in {:?}", banned, text);
        }
    }
}
