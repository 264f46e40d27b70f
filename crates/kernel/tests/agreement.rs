//! The kernel programs against the library, over the same tables.

#[cfg(test)]
mod tests {
    use hayward_kernel::{KernelJudge, Variant};
    use hayward_model::{KernelVerdict, Mode};
    use hayward_rules::{
        Rule,
        table::{CommandTable, Judgement},
    };

    /// A small generator of numbers, so that a failure can be repeated from its seed.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, bound: usize) -> usize {
            usize::try_from(self.next() % bound as u64).expect("below a usize")
        }

        fn text(&mut self, alphabet: &[u8], most: usize) -> Vec<u8> {
            let length = self.below(most + 1);
            (0..length)
                .map(|_| alphabet[self.below(alphabet.len())])
                .collect()
        }
    }

    /// Offsets at which the kernel programs read on, or change what they read with.
    const BORDERS: [usize; 6] = [255, 4095, 4096, 8191, 131_000, 200_000];

    /// A command line of banned strings that are nearly there: in either case, with a byte changed or left out, with
    /// word characters, bytes that are no ASCII, or the end of an argument before and behind.
    fn near_miss(random: &mut Random, banned: &[Vec<u8>], far: bool) -> Vec<u8> {
        const BETWEEN: [&[u8]; 10] = [
            b" ",
            b"\0",
            b"-",
            b"_",
            b"a",
            b"Z",
            b"0",
            b"\xc3\xa9",
            b"\xff",
            b"",
        ];
        let mut line = Vec::new();
        if far {
            let border = BORDERS[random.below(BORDERS.len() - 1)];
            line.resize(border - random.below(24), b'x');
        }
        for _ in 0..1 + random.below(4) {
            line.extend_from_slice(BETWEEN[random.below(BETWEEN.len())]);
            let mut text = banned[random.below(banned.len())].clone();
            let at = random.below(text.len());
            match random.below(6) {
                0 => text.make_ascii_uppercase(),
                1 => text[at] ^= 0x20,
                2 => text[at] = b"abcAB_ -/\xc3\xa9\0"[random.below(12)],
                3 => drop(text.remove(at)),
                _ => {}
            }
            line.append(&mut text);
        }
        line.extend_from_slice(BETWEEN[random.below(BETWEEN.len())]);
        line
    }

    fn rule(index: usize, banned: Vec<Vec<u8>>, mode: Mode, allow: Vec<String>) -> Rule {
        Rule {
            banned,
            allow,
            mode,
            ..Rule::new(format!("r{index}"), "test", index)
        }
    }

    fn expected(judgement: Judgement) -> Option<(KernelVerdict, u32)> {
        match judgement {
            Judgement::Clean => None,
            Judgement::Spared { rule, .. } => Some((KernelVerdict::Spared, rule)),
            Judgement::Observed { rule, .. } => Some((KernelVerdict::Observed, rule)),
            Judgement::Banned { rule, .. } => Some((KernelVerdict::Killed, rule)),
        }
    }

    /// Every variant of the programs, all of which this kernel must take.
    struct Judges(Vec<KernelJudge>);

    impl Judges {
        fn new(table: &CommandTable) -> Self {
            let judge = |variant| KernelJudge::of(variant, table.words()).expect("programs load");
            Self(Variant::ALL.chunks(1).map(judge).collect())
        }

        /// What all variants say; they must say the same.
        fn judge(&mut self, line: &[u8]) -> Option<(KernelVerdict, u32)> {
            let verdicts = self.0.iter_mut().map(|judge| judge.judge(line));
            let verdicts: Vec<_> = verdicts.map(|verdict| verdict.expect("it runs")).collect();
            assert!(
                verdicts.iter().all(|verdict| *verdict == verdicts[0]),
                "{verdicts:?} of {}",
                line.escape_ascii()
            );
            verdicts[0]
        }
    }

    fn sentinel(text: &[u8]) -> CommandTable {
        let rules = vec![rule(0, vec![text.to_vec()], Mode::Enforce, Vec::new())];
        CommandTable::compile(rules, 1, |_| 0).expect("good rules")
    }

    #[test]
    fn kernel_and_library_agree_on_100_000_random_command_lines() {
        let mut random = Random(0x5eed_cafe_f00d_0001);
        let alphabet = b"abcAB_ -/\0\xc3\xa9";
        let mut judged = 0u32;
        let mut verdicts = std::collections::BTreeMap::new();
        for _ in 0..50 {
            let rules: Vec<Rule> = (0..1 + random.below(12))
                .map(|index| {
                    let strings = (0..1 + random.below(6))
                        .map(|_| random.text(b"abcAB_ -/\xc3\xa9", 7))
                        .filter(|text| !text.is_empty())
                        .chain([b"sentinel".to_vec()])
                        .collect();
                    let mode = if random.below(3) == 0 {
                        Mode::Observe
                    } else {
                        Mode::Enforce
                    };
                    let allow = if random.below(2) == 0 {
                        vec![".*c-?a".to_owned()]
                    } else {
                        Vec::new()
                    };
                    rule(index, strings, mode, allow)
                })
                .collect();
            let banned: Vec<_> = rules.iter().flat_map(|rule| rule.banned.clone()).collect();
            let table = CommandTable::compile(rules, 7, |_| 0).expect("good rules");
            let mut kernel = Judges::new(&table);
            for round in 0..2000 {
                let mut line = if round % 2 == 0 {
                    near_miss(&mut random, &banned, round % 50 == 0)
                } else {
                    random.text(alphabet, if round % 100 == 1 { 9000 } else { 60 })
                };
                line.push(0);
                let by_kernel = kernel.judge(&line);
                let by_library = expected(table.judge(&line, None, 0));
                assert_eq!(by_kernel, by_library, "{}", line.escape_ascii());
                *verdicts.entry(format!("{by_library:?}")).or_insert(0) += 1;
                judged += 1;
            }
        }
        assert_eq!(judged, 100_000);
        // Lines that are all clean, or none, would show little.
        let clean = verdicts.get("None").copied().unwrap_or(0);
        assert!((20_000..80_000).contains(&clean), "{clean} are clean");
        assert!(verdicts.len() > 20, "{verdicts:?}");
    }

    #[test]
    fn a_banned_string_is_found_at_every_offset_and_across_every_border() {
        let table = sentinel(b"hayward-sentinel");
        let mut kernel = Judges::new(&table);
        for offset in std::iter::once(0)
            .chain(BORDERS)
            .flat_map(|at| at.saturating_sub(20)..=at + 1)
        {
            let mut line = vec![b'x'; offset.saturating_sub(1)];
            if offset > 0 {
                line.push(0);
            }
            line.extend_from_slice(b"hayward-sentinel\0");
            let verdict = kernel.judge(&line);
            assert_eq!(verdict, Some((KernelVerdict::Killed, 0)), "at {offset}");
            line[offset + 3] = b'!';
            assert_eq!(kernel.judge(&line), None, "at {offset}");
        }
    }

    #[test]
    fn a_line_that_costs_too_much_is_not_called_clean() {
        let table = sentinel(b"hayward-sentinel");
        let mut kernel = Judges::new(&table);
        let almost = b"hayward-sentine ";
        let line = almost.repeat(200_000 / almost.len());
        let verdict = kernel.judge(&line);
        assert!(
            matches!(verdict, Some((KernelVerdict::Unscanned(_), _))),
            "{verdict:?}"
        );
        let line = almost.repeat(20_000 / almost.len());
        assert_eq!(kernel.judge(&line), None);
    }

    #[test]
    fn allow_patterns_that_cost_too_much_neither_kill_nor_spare() {
        let allow = |index: usize| vec![format!(".* allowed-{index} .*")];
        let rules = (0..40)
            .map(|index| rule(index, vec![b"banned".to_vec()], Mode::Enforce, allow(index)))
            .collect();
        let table = CommandTable::compile(rules, 1, |_| 0).expect("good rules");
        let mut kernel = Judges::new(&table);
        let line = |bytes: usize| {
            let mut line = b"banned ".to_vec();
            line.resize(bytes, b'x');
            (0..40).for_each(|index| line.extend(format!(" allowed-{index} ").bytes()));
            line.push(0);
            line
        };
        let verdict = kernel.judge(&line(3_000));
        assert_eq!(verdict, Some((KernelVerdict::Spared, 0)));
        let verdict = kernel.judge(&line(100_000));
        assert!(
            matches!(verdict, Some((KernelVerdict::Unscanned(_), _))),
            "{verdict:?}"
        );
    }

    #[test]
    fn a_line_past_the_bound_or_unreadable_is_not_called_clean() {
        let mut kernel = Judges::new(&sentinel(b"sentinel"));
        let verdict = kernel.judge(&vec![b'x'; 256 * 1024 + 1]);
        assert!(
            matches!(verdict, Some((KernelVerdict::Unscanned(_), _))),
            "{verdict:?}"
        );
        assert_eq!(kernel.judge(&vec![b'x'; 256 * 1024]), None);
    }
}
