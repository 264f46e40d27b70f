//! The built-in rules against command lines of users who do no harm, and of those who do.

#[cfg(test)]
mod tests {
    use hayward_rules::{
        Rule, load,
        table::{CommandTable, Judgement},
    };

    const BENIGN: &str = include_str!("benign.txt");
    const ABUSIVE: &str = include_str!("abusive.txt");

    fn builtin() -> Vec<Rule> {
        load(&["builtin".to_owned()], None)
            .expect("good rules")
            .rules
    }

    fn compile(rules: Vec<Rule>) -> CommandTable {
        CommandTable::compile(rules, 1, |_| 0).expect("good rules")
    }

    /// Executable and arguments of each line.
    fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| {
                let (executable, arguments) = line.split_once('\t').expect("a tab");
                assert!(executable.starts_with('/'), "no whole path: {line}");
                (executable, arguments)
            })
    }

    /// The rule that stops or observes a command line, and the string that it finds.
    fn hit(table: &CommandTable, executable: &str, arguments: &str) -> Option<(usize, String)> {
        match table.judge(arguments.as_bytes(), Some(executable.as_bytes()), 0) {
            Judgement::Clean | Judgement::Spared { .. } => None,
            Judgement::Observed { rule, end } | Judgement::Banned { rule, end } => {
                let text = table.matched_text(rule, arguments.as_bytes(), end);
                Some((rule as usize, text.unwrap_or_default()))
            }
        }
    }

    #[test]
    fn no_benign_line_is_hit() {
        let table = compile(builtin());
        let hits: Vec<String> = lines(BENIGN)
            .filter_map(|(executable, arguments)| {
                let (rule, text) = hit(&table, executable, arguments)?;
                let id = &table.rules()[rule].id;
                Some(format!(
                    "{id} finds {text:?} in: {executable} | {arguments}"
                ))
            })
            .collect();
        assert!(hits.is_empty(), "{}", hits.join("\n"));
        assert!(lines(BENIGN).count() >= 120);
    }

    #[test]
    fn every_abusive_line_is_hit() {
        let table = compile(builtin());
        let missed: Vec<String> = lines(ABUSIVE)
            .filter(|(executable, arguments)| hit(&table, executable, arguments).is_none())
            .map(|(executable, arguments)| format!("{executable} | {arguments}"))
            .collect();
        assert!(missed.is_empty(), "{}", missed.join("\n"));
        assert!(lines(ABUSIVE).count() >= 60);
    }

    /// Each by itself: in the whole table a line names only the first of the rules that it breaks.
    #[test]
    fn every_built_in_rule_has_a_reason_and_finds_some_abusive_line() {
        for rule in builtin() {
            let id = rule.id.clone();
            assert!(
                rule.reason.as_ref().is_some_and(|text| !text.is_empty()),
                "{id} has no reason"
            );
            let table = compile(vec![rule]);
            assert!(
                lines(ABUSIVE)
                    .any(|(executable, arguments)| hit(&table, executable, arguments).is_some()),
                "{id} finds nothing"
            );
        }
    }
}
