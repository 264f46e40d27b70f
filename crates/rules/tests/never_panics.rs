//! Rule files, recipes and encrypted files, damaged: an error with a place, or rules that compile and mean what they say.

#[cfg(test)]
mod tests {
    use hayward_fuzz::{Corpus, throw};
    use hayward_model::ScopePolicy;
    use hayward_rules::{
        BUILTIN, Rule, generate, parse_bytes, render,
        table::{CommandTable, Cut, ScopeTable},
    };
    use hayward_yaml::Problem;
    use proptest::prelude::*;

    const OURS: &str = r#"# A file of rules.
mode: observe
allow:
  - 'echo .*'
rules:
  - id: one
    banned: [xmrig, "--donate level", 'it''s']
    executable: [minerd, "/tmp/**", "/usr/*/min{er,d}[a-c!]?"]
    allow: ['.*\s--help', '(a|b)+[^c]{1,3}$']
    mode: enforce
    response: kill
    reason: because
    source: https://example.org
    expires: 2027-01-01T12:00:00Z
  - { id: two, banned: ["é\x41 b"], expires: 2999-01-01 }
  - id: three
    banned:
      - |
        block
      - >-
        folded
        text
"#;
    const CRYPTNONO: &str = r#"{
  "bannedCommandStrings": ["xmrig", "stratum+tcp", "x"],
  "allowedCommandPatterns": ["echo .*", ".*grep"]
}
"#;
    const JSON: &str =
        r#"{"mode": "enforce", "rules": [{"id": "a", "banned": ["b"], "allow": ["c.*"]}]}"#;
    const RECIPE: &str = r#"id: pools
lists:
  name: [alpha, beta]
  end: [com, org, net]
templates:
  - "{name}.pool.{end}"
  - plain
  - "{end}{end}"
allow: ['ping .*']
mode: observe
reason: generated
source: nowhere
"#;

    const WORDS: [&str; 26] = [
        "rules:",
        "banned: ",
        "executable: ",
        "allow: ",
        "expires: ",
        "mode: ",
        "response: ",
        "id: ",
        "lists: ",
        "templates: ",
        "{name}",
        ".*",
        "(?i)",
        "x{1,9000}",
        "(",
        ")",
        "\\d",
        "[^",
        "**",
        "{a,b}",
        "(?:.*a){40}",
        "\\b",
        "9999-12-31",
        "- ",
        "\\u0000",
        "bannedCommandStrings",
    ];

    /// YAML ends a line at LF, CR, and both together.
    fn lines(bytes: &[u8]) -> usize {
        let ends = |(at, byte): (usize, &u8)| {
            *byte == b'\n' || *byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')
        };
        bytes.iter().enumerate().filter(|&end| ends(end)).count() + 1
    }

    /// An error names the file, and a line that the file has; 0 is none.
    fn has_a_place(problem: &Problem, bytes: &[u8]) -> Result<(), TestCaseError> {
        prop_assert_eq!(&problem.file, "a.yaml");
        prop_assert!(problem.line <= lines(bytes), "{}", problem);
        prop_assert!(!problem.message.is_empty());
        Ok(())
    }

    fn compiles_or_says_why(rules: Vec<Rule>) -> Result<(), TestCaseError> {
        let count = rules.len();
        match CommandTable::compile(rules, 1, |_| 1) {
            Ok(table) => {
                prop_assert_eq!(table.rules().len(), count);
                for line in [
                    &b""[..],
                    b"\0",
                    b"xmrig\0-o\0",
                    b"--donate level\0 \xc3\xa9\0",
                ] {
                    table.judge(line, Some(b"/tmp/x/minerd"), 0);
                    table.secrets().ranges(line, Cut::default());
                }
            }
            Err(error) => prop_assert!(!error.problems.is_empty()),
        }
        Ok(())
    }

    /// What parses, parses again from what `render` writes, to the same rules but for their places.
    fn renders(rules: &[Rule]) -> Result<(), TestCaseError> {
        let text = render(rules).map_err(TestCaseError::fail)?;
        let again = parse_bytes("a.yaml", text.as_bytes());
        let again = again.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        let placeless = |rules: &[Rule]| -> Vec<Rule> {
            let mut rules = rules.to_vec();
            for rule in &mut rules {
                rule.origin.line = 0;
            }
            rules
        };
        prop_assert_eq!(placeless(rules), placeless(&again), "{}", text);
        Ok(())
    }

    fn rules_of(bytes: &[u8]) -> Result<(), TestCaseError> {
        match parse_bytes("a.yaml", bytes) {
            Ok(rules) => {
                for rule in &rules {
                    prop_assert!((1..=lines(bytes)).contains(&rule.origin.line));
                    prop_assert!(!rule.banned.is_empty() || !rule.executable.is_empty());
                    prop_assert!(rule.banned.iter().all(|text| !text.is_empty()));
                }
                renders(&rules)?;
                compiles_or_says_why(rules)
            }
            Err(error) => {
                prop_assert!(!error.problems.is_empty());
                error
                    .problems
                    .iter()
                    .try_for_each(|problem| has_a_place(problem, bytes))
            }
        }
    }

    #[test]
    fn parsing_damaged_rule_files_never_panics() {
        let inputs = BUILTIN.map(|(_, text)| text).into_iter();
        let inputs = inputs.chain([OURS, CRYPTNONO, JSON, OURS, CRYPTNONO, JSON]);
        let strategy = Corpus::new(inputs, WORDS).damaged();
        throw(100, &strategy, |input| rules_of(&input.0));
    }

    #[test]
    fn parsing_arbitrary_text_never_panics() {
        let strategy = prop_oneof!["(?s).{0,300}", "[\\[\\]{}:,&*!|>'\"%@`# \n\ta-]{0,120}"];
        throw(300, &strategy, |text| rules_of(text.as_bytes()));
    }

    #[test]
    fn expanding_damaged_recipes_never_panics() {
        let strategy = Corpus::new([RECIPE], WORDS).damaged_text();
        throw(200, &strategy, |text| {
            match generate("a.yaml", &text) {
                Ok(generated) => {
                    prop_assert_eq!(Ok(generated.clone()), generate("a.yaml", &text));
                    let rules = parse_bytes("a.yaml", generated.as_bytes());
                    let rules = rules.map_err(|error| TestCaseError::fail(error.to_string()))?;
                    prop_assert_eq!(rules.len(), 1);
                    compiles_or_says_why(rules)?;
                }
                Err(problem) => has_a_place(&problem, text.as_bytes())?,
            }
            Ok(())
        });
    }

    /// A scope of whatever patterns compiles or says why.
    #[test]
    fn compiling_patterns_never_panics() {
        let patterns =
            prop::collection::vec(("[a-c/.*+?()\\[\\]|^$\\\\{},0-9<>b-]{0,20}", 0..9u32), 0..6);
        throw(200, &patterns, |patterns| {
            let policy =
                |(regex, bits): &(String, u32)| (regex.clone(), ScopePolicy::from_bits(*bits));
            let patterns: Vec<_> = patterns.iter().map(policy).collect();
            if let Err(error) = ScopeTable::compile(&patterns) {
                prop_assert!(!error.is_empty());
            }
            Ok(())
        });
    }
}
